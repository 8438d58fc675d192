import { describe, expect, test } from "bun:test";
import fc from "../../test/properties.ts";
import { hostText, parseAuthority, parseHost } from "./host.ts";

const canonical: readonly (readonly [text: string, kind: "name" | "address", host: string])[] = [
  ["github.com", "name", "github.com"],
  ["GitHub.COM", "name", "github.com"],
  ["github.com.", "name", "github.com"],
  ["localhost", "name", "localhost"],
  ["_dmarc.foo_bar.example", "name", "_dmarc.foo_bar.example"],
  ["a--b.-c-.example", "name", "a--b.-c-.example"],
  ["123.example", "name", "123.example"],
  ["ｇｉｔｈｕｂ.com", "name", "github.com"],
  ["github。com", "name", "github.com"],
  ["git\u00adhub.com", "name", "github.com"],
  ["bücher.example", "name", "xn--bcher-kva.example"],
  ["XN--BCHER-KVA.example", "name", "xn--bcher-kva.example"],
  ["faß.example", "name", "xn--fa-hia.example"],
  [`${"a".repeat(63)}.example`, "name", `${"a".repeat(63)}.example`],
  ["192.0.2.1", "address", "192.0.2.1"],
  ["192.0.2.1.", "address", "192.0.2.1"],
  ["127.1", "address", "127.0.0.1"],
  ["0177.0.0.1", "address", "127.0.0.1"],
  ["0x7f000001", "address", "127.0.0.1"],
  ["0X7F.1", "address", "127.0.0.1"],
  ["2130706433", "address", "127.0.0.1"],
  ["１２７.0.0.1", "address", "127.0.0.1"],
  ["0", "address", "0.0.0.0"],
  ["[::1]", "address", "::1"],
  ["[2001:DB8:0:0:1:0:0:1]", "address", "2001:db8::1:0:0:1"],
  ["[::ffff:127.0.0.1]", "address", "::ffff:7f00:1"],
];

const refused: readonly (readonly [text: string, why: RegExp])[] = [
  ["", /empty/],
  [".", /label of it is empty/],
  ["a..b", /label of it is empty/],
  ["github.com..", /label of it is empty/],
  ["github。com。。", /label of it is empty/],
  [".github.com", /label of it is empty/],
  ["git\0hub.com", /control character/],
  ["github.com\r\nHost: evil", /control character/],
  ["git\thub.com", /control character/],
  ["git\u0085hub.com", /control character/],
  ["git hub.com", /space/],
  ["git\u3000hub.com", /space/],
  ["github%2ecom", /percent/],
  ["github.com%00", /percent/],
  ["evil\\@github.com", /backslash/],
  ["github.com@evil.example", /user name/],
  ["github.com/x", /more than a host/],
  ["github.com?x", /more than a host/],
  ["github.com#x", /more than a host/],
  ["github.com:443", /brackets/],
  ["::1", /brackets/],
  ["[::1", /no IPv6/],
  ["::1]", /no IPv6/],
  ["[::1]x", /no IPv6/],
  ["[fe80::1%25eth0]", /zone id/],
  ["[fe80::1%eth0]", /zone id/],
  ["[1.2.3.4]", /no IPv6/],
  ["[v1.x]", /no IPv6/],
  [`${"a".repeat(64)}.example`, /63 characters/],
  [`${"a.".repeat(126)}ab`, /253 characters/],
  ["a".repeat(5000), /253 characters/],
  ["*.github.com", /letters, digits/],
  ["git,hub.com", /letters, digits/],
  ["256.1.1.1", /neither a valid name/],
  ["1.2.3.4.5", /neither a valid name/],
  ["foo.0x1", /neither a valid name/],
  ["1.2.3.08", /neither a valid name/],
  ["xn--a.example", /IDNA/],
  ["／github.com", /IDNA/],
  ["github.com％2e", /IDNA/],
];

describe("a host", () => {
  for (const [text, kind, host] of canonical) {
    test(`${JSON.stringify(text.slice(0, 40))} is the ${kind} ${host.slice(0, 40)}`, () => {
      expect(parseHost(text)).toEqual({ ok: true, value: { kind, text: host } });
    });
  }
  for (const [text, why] of refused) {
    test(`${JSON.stringify(text.slice(0, 40))} is none: ${why.source}`, () => {
      const parsed = parseHost(text);
      expect(parsed.ok).toBe(false);
      expect(parsed.ok ? "" : parsed.why).toMatch(why);
    });
  }
  test("253 characters fit, with a final dot too", () => {
    const name = `${"a.".repeat(125)}abc`;
    expect(name.length).toBe(253);
    expect(parseHost(`${name}.`)).toEqual({ ok: true, value: { kind: "name", text: name } });
  });
});

describe("an authority", () => {
  const github = { kind: "name", text: "github.com" } as const;
  const v6 = { kind: "address", text: "::1" } as const;
  test("has a host and a port", () => {
    expect(parseAuthority("GitHub.com.:443")).toEqual({ ok: true, value: { host: github, port: 443 } });
    expect(parseAuthority("[::1]:8080")).toEqual({ ok: true, value: { host: v6, port: 8080 } });
    expect(parseAuthority("github.com:65535")).toEqual({ ok: true, value: { host: github, port: 65535 } });
  });
  test("takes the default port where there is one", () => {
    expect(parseAuthority("github.com", 80)).toEqual({ ok: true, value: { host: github, port: 80 } });
    expect(parseAuthority("[::1]", 80)).toEqual({ ok: true, value: { host: v6, port: 80 } });
    expect(parseAuthority("github.com").ok).toBe(false);
  });
  const bad = [
    "github.com:0",
    "github.com:65536",
    "github.com:",
    "github.com:+443",
    "github.com:0443",
    "github.com:44 3",
    "github.com:443:443",
    "github.com:４４３",
    "user:password@github.com:443",
    "github.com:443@evil.example:443",
    "user@github.com",
    ":443",
    "::1:443",
    "[::1]443",
    "[::1]:443:1",
    "[::1",
    "[fe80::1%25eth0]:443",
    "",
  ];
  for (const text of bad) {
    test(`is not ${JSON.stringify(text)}`, () => expect(parseAuthority(text, 80).ok).toBe(false));
  }
});

describe("for any text", () => {
  /** Bits of hosts, and what attacks are made of. */
  const piece = fc.constantFrom(
    ..."abzA.-_0179x:[]%@\\/ \0\r\t。．ａ１ßüxn--.github.com".split(""),
    "xn--",
    "..",
    "0x",
    "127.",
    "::",
    "\u00ad",
    "\u200d",
    "ﬀ",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join("")),
    fc.domain(),
    fc.ipV4Extended(),
    fc.ipV6().map((address) => `[${address}]`),
  );

  test("parsing gives a canonical host, or a reason that holds nothing of the text", () => {
    fc.assert(
      fc.property(text, (input) => {
        const parsed = parseHost(input);
        if (!parsed.ok) return /^[\x20-\x7e]{5,100}$/.test(parsed.why);
        return parsed.value.kind === "address"
          ? /^[0-9.]+$|^[0-9a-f:]+$/.test(parsed.value.text)
          : /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(parsed.value.text) &&
              parsed.value.text.length <= 253;
      }),
      { numRuns: 5000 },
    );
  });
  test("a canonical host means itself", () => {
    fc.assert(
      fc.property(text, (input) => {
        const parsed = parseHost(input);
        if (parsed.ok) expect(parseHost(hostText(parsed.value))).toEqual(parsed);
      }),
      { numRuns: 5000 },
    );
  });
  test("where the runtime's URL parser sees a host in the canonical text, it sees the same one", () => {
    fc.assert(
      fc.property(text, (input) => {
        const parsed = parseHost(input);
        if (parsed.ok) {
          expect(new URL(`http://${hostText(parsed.value)}/`).hostname).toBe(hostText(parsed.value));
        }
      }),
      { numRuns: 5000 },
    );
  });
  test("an authority is its host and its port", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: -1, max: 70_000 }), (input, port) => {
        const host = parseHost(input);
        const authority = parseAuthority(`${input}:${port}`);
        if (host.ok && port >= 1 && port <= 65535) {
          expect(authority).toEqual({ ok: true, value: { host: host.value, port } });
        } else expect(authority.ok).toBe(false);
      }),
      { numRuns: 3000 },
    );
  });
});
