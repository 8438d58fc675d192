import { describe, expect, test } from "bun:test";
import fc from "../../test/properties.ts";
import { formatEgressRule, parseEgressRule } from "./egress-rule.ts";
import { parseHost } from "./host.ts";
import { crossesOwners, formatHostPattern, indexPatterns, parseHostPattern } from "./host-pattern.ts";

/** What is written, and its canonical text where that differs. */
const accepted: readonly (readonly [text: string, canonical?: string])[] = [
  ["github.com"],
  ["*.github.com"],
  ["*"],
  ["GitHub.com.", "github.com"],
  ["  github.com\t", "github.com"],
  ["intranet"],
  ["*.internal"],
  ["foo_bar.example.com"],
  ["xn--bcher-kva.example"],
  ["192.0.2.1"],
  ["2001:db8::1", "[2001:db8::1]"],
  ["[2001:DB8::1]", "[2001:db8::1]"],
  ["*.github.io"],
  ["s3.amazonaws.com"],
  ["example.com port=443,80", "example.com"],
  ["example.com port=8443,22,8443", "example.com port=22,8443"],
  ["example.com methods=POST,GET"],
  ["example.com path=/a/b-c/@scope"],
  ["example.com path=/a/", "example.com path=/a"],
  ["example.com inspect"],
  ["example.com write inspect path=/a port=8443", "example.com port=8443 path=/a inspect write"],
  ["example.com no-inspect"],
  ["example.com port=22 raw"],
  ["* port=22 raw"],
];

/** What is written, and what the correction says. */
const refused: readonly (readonly [text: string, why: string])[] = [
  ["", "the host is missing"],
  ["https://github.com/foo", "write github.com, and path=/foo for one path"],
  ["https://github.com", "write github.com"],
  ["//github.com/foo?x=1", "write github.com, and path=/foo for one path"],
  ["github.com/foo", "write github.com, and path=/foo for one path"],
  ["github.com/", "write github.com"],
  ["10.0.0.0/8", "an operator opens ranges of addresses in ccw.toml"],
  ["github.com:8443", "write github.com port=8443"],
  ["[2001:db8::1]:443", "write [2001:db8::1] port=443"],
  ["user@github.com", "write github.com: a rule names no user"],
  ["github.com,", "write github.com without what follows it"],
  ["github.com,gitlab.com", "write one host a line"],
  [".example.com", "write *.example.com for the names below example.com"],
  ["a.*.com", "a wildcard is a whole first label"],
  ["*example.com", "a wildcard is a whole first label"],
  ["*.*.example.com", "a wildcard is a whole first label"],
  ["**", "a wildcard is a whole first label"],
  ["*.com", "anybody can register a name below com"],
  ["*.co.uk", "anybody can register a name below co.uk"],
  ["*.xn--p1ai", "anybody can register a name below xn--p1ai"],
  ["com", "com is a public suffix"],
  ["co.uk", "write the host itself, such as www.example.co.uk"],
  ["bücher.example", "write xn--bcher-kva.example"],
  ["*.bücher.example", "write *.xn--bcher-kva.example"],
  ["127.1", "write 127.0.0.1"],
  ["*.127.0.0.1", "an address has nothing below it"],
  ["a..b", "a label of it is empty"],
  ["git%68ub.com", "percent"],
  ["https://me:secret@github.com/", "write github.com"],
  ["github.com gitlab.com", "gitlab.com is no option. There are port="],
  ["github.com path=/a*", "a path holds no *"],
  ["github.com # code", "a comment stands on a line of its own"],
  ["github.com ports=22", "did you mean port=?"],
  ["github.com method=GET", "did you mean methods=?"],
  ["github.com inspct", "did you mean inspect?"],
  ["github.com noinspect", "did you mean no-inspect?"],
  ["github.com rite", "did you mean write?"],
  ["github.com port=", "write ports as port=443"],
  ["github.com port=0", "each from 1 to 65535"],
  ["github.com port=65536", "each from 1 to 65535"],
  ["github.com port=443,", "write ports as port=443"],
  ["github.com port=22 port=80", "write port once"],
  ["github.com methods=", "write methods as methods=GET,POST"],
  ["github.com methods=GET,", "write methods as methods=GET,POST"],
  ["github.com methods=get", "write GET"],
  ["github.com methods=PSOT", "write POST"],
  ["github.com methods=CONNECT", "CONNECT never passes"],
  ["github.com methods=trace", "TRACE never passes"],
  ["github.com path=foo", "write path=/foo"],
  ["github.com path=/", "leave it out"],
  ["github.com path=/a?b=1", "write path=/a"],
  ["github.com path=/a/*", "it stands for all that lies below it already"],
  ["github.com path=/a%2fb", "no percent sign"],
  ["github.com path=/ä", "write a shorter prefix"],
  ["github.com path=/a/../b", "never matches"],
  ["github.com path=/a/.", "never matches"],
  ["github.com path=/a//b", "never matches"],
  ["github.com inspect no-inspect", "one of inspect, no-inspect and raw"],
  ["github.com inspect raw", "one of inspect, no-inspect and raw"],
  ["github.com inspect=yes", "write inspect alone"],
  ["github.com write=yes", "write the word write alone"],
  ["github.com no-inspect path=/a", "no-inspect forbids to read"],
  ["github.com raw methods=GET", "raw forbids to read"],
];

describe("a rule", () => {
  for (const [text, canonical = text] of accepted) {
    test(`${JSON.stringify(text)} means ${canonical}`, () => {
      const parsed = parseEgressRule(text);
      expect(parsed.ok ? formatEgressRule(parsed.value) : parsed.why).toBe(canonical);
    });
  }
  for (const [text, why] of refused) {
    test(`${JSON.stringify(text)} is refused: ${why}`, () => {
      const parsed = parseEgressRule(text);
      expect(parsed.ok ? "accepted" : parsed.why).toContain(why);
    });
  }
  test("has the web's ports unless it names others", () => {
    const parsed = parseEgressRule("example.com");
    expect(parsed.ok && parsed.value.ports).toEqual([80, 443]);
  });
  test("on a public suffix can deny what it cannot allow", () => {
    expect(parseHostPattern("*.zip", "allow").ok).toBe(false);
    expect(parseHostPattern("*.zip", "deny")).toEqual({ ok: true, value: { kind: "wildcard", base: "zip" } });
  });
});

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/).filter((it) => !it.startsWith("xn--"));
const name = fc
  .array(label, { minLength: 1, maxLength: 5 })
  .map((labels) => [...labels, "example"].join("."));
const word = fc.constantFrom(
  ..."github.com *.github.com * *.com 1.2.3.4 [::1] port=22 port=1,2 methods=GET,POST path=/a/b path=/a%2f inspect no-inspect raw write , # https://a/b \0".split(
    " ",
  ),
);

test("any text is a rule or has a correction that can be shown", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.oneof(word, fc.string(), name), { maxLength: 5 }).map((words) => words.join(" ")),
  );
  fc.assert(
    fc.property(text, (input) => {
      const parsed = parseEgressRule(input);
      if (!parsed.ok) return parsed.why.length > 5 && !/\p{Cc}/u.test(parsed.why);
      expect(parseEgressRule(formatEgressRule(parsed.value))).toEqual(parsed);
      return true;
    }),
    { numRuns: 3000 },
  );
});

describe("a pattern", () => {
  const matches = (pattern: string, text: string) => {
    const parsed = parseHostPattern(pattern, "deny");
    const host = parseHost(text);
    if (!parsed.ok || !host.ok) throw new Error(`${pattern} or ${text} cannot be read`);
    return indexPatterns([[parsed.value, true]]).matches(host.value).length === 1;
  };

  test("*.name means any depth below, and neither the name nor one that ends like it", () => {
    fc.assert(
      fc.property(name, label, label, (base, one, two) => {
        expect(matches(`*.${base}`, `${one}.${base}`)).toBe(true);
        expect(matches(`*.${base}`, `${two}.${one}.${base}`)).toBe(true);
        expect(matches(`*.${base}`, base)).toBe(false);
        expect(matches(`*.${base}`, `evil${base}`)).toBe(false);
        expect(matches(`*.${base}`, `${one}.${base}.${two}.test`)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
  test("an exact name means itself alone, in any spelling", () => {
    fc.assert(
      fc.property(name, label, (base, one) => {
        expect(matches(base, base)).toBe(true);
        expect(matches(base, `${base.toUpperCase()}.`)).toBe(true);
        expect(matches(base, `${one}.${base}`)).toBe(false);
        expect(matches(base, `${one}${base}`)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
  test("lists the most specific first", () => {
    const patterns = ["*.c.example", "a.b.c.example", "*.example", "*.b.c.example"].map((text) => {
      const parsed = parseHostPattern(text, "allow");
      if (!parsed.ok) throw new Error(parsed.why);
      return [parsed.value, formatHostPattern(parsed.value)] as const;
    });
    expect(indexPatterns(patterns).matches({ kind: "name", text: "a.b.c.example" })).toEqual([
      "a.b.c.example",
      "*.b.c.example",
      "*.c.example",
      "*.example",
    ]);
  });
  test("crosses owners where strangers register between it and the name", () => {
    expect(crossesOwners("github.io", "x.github.io")).toBe(true);
    expect(crossesOwners("amazonaws.com", "bucket.s3.amazonaws.com")).toBe(true);
    expect(crossesOwners("amazonaws.com", "sts.amazonaws.com")).toBe(false);
    expect(crossesOwners("team.github.io", "docs.team.github.io")).toBe(false);
    expect(crossesOwners("example.com", "a.b.example.com")).toBe(false);
  });
});
