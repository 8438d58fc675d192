import { afterEach, describe, expect, test } from "bun:test";
import { everywhere, expectPassage, expectRefusal, forms, open, utf8 } from "./attacks.fixture.ts";
import { closeEgress } from "./egress.fixture.ts";

afterEach(closeEgress);

describe.each(forms)("%s", (form, request) => {
  test(`ATTACKS 1: names that only look like an allowed one are refused (${form})`, async () => {
    const { door, origin, port } = await open();
    for (const host of [
      "evilok.test",
      "ok.test.evil.test",
      "ok.tes",
      "k.test",
      "ok-test",
      "ok.test-evil.test",
    ]) {
      await expectRefusal(door, request(`${host}:${port}`), {
        status: 403,
        reason: "host-not-allowed",
        host,
      });
    }
    expect(origin.connections).toBe(0);
  });

  test(`ATTACKS 2: a wildcard is any depth below its name, and never the name itself (${form})`, async () => {
    const { door, origin, port } = await open({
      names: everywhere(["a.wild.test", "a.b.c.wild.test", "wild.test"]),
    });
    for (const host of ["wild.test", "evilwild.test", "a.wild.test.evil.test"]) {
      await expectRefusal(door, request(`${host}:${port}`), {
        status: 403,
        reason: "host-not-allowed",
        host,
      });
    }
    expect(origin.connections).toBe(0);
    for (const host of ["a.wild.test", "a.b.c.wild.test"]) {
      await expectPassage(door, origin, request(`${host}:${port}`), host);
    }
  });

  test(`ATTACKS 3: capitals change no verdict (${form})`, async () => {
    const { door, origin, port } = await open({ deny: ["denied.test"] });
    await expectPassage(door, origin, request(`oK.TEst:${port}`), "ok.test");
    expect(door.lookups).toEqual(["ok.test"]);
    for (const [host, reason] of [
      ["eViL.TEST", "host-not-allowed"],
      ["Denied.TEST", "host-denied"],
    ] as const) {
      await expectRefusal(door, request(`${host}:${port}`), {
        status: 403,
        reason,
        host: host.toLowerCase(),
      });
    }
  });

  test(`ATTACKS 4: a final dot is dropped before match and look-up, two dots are 400 (${form})`, async () => {
    const { door, origin, port } = await open({ deny: ["denied.test"] });
    await expectPassage(door, origin, request(`ok.test.:${port}`), "ok.test");
    expect(door.lookups).toEqual(["ok.test"]);
    if (form === "http://") expect(origin.received).toContain(`Host: ok.test:${port}\r\n`);
    await expectRefusal(door, request(`denied.test.:${port}`), {
      status: 403,
      reason: "host-denied",
      host: "denied.test",
    });
    for (const host of ["ok.test..", "ok..test", ".ok.test", ".", ".."]) {
      await expectRefusal(door, request(`${host}:${port}`), { status: 400, reason: "bad-host" });
    }
  });

  test(`ATTACKS 5: control characters in a host are 400, and nothing is looked up (${form})`, async () => {
    const { door, origin, port } = await open({ access: "full" });
    for (const bad of [
      "\0",
      "\r",
      "\n",
      "\t",
      "\x01",
      "\x1b",
      "\x7f",
      "\x80",
      "\xc2\x85",
      "\r\n",
      "\r\nHost: x",
      " ",
    ]) {
      for (const host of [`ok${bad}.test`, `ok.test${bad}`, `${bad}ok.test`, `ok.test${bad}.evil.test`]) {
        await expectRefusal(door, request(`${host}:${port}`), { status: 400 });
      }
    }
    for (const code of ["%00", "%0d", "%0a", "%0d%0a", "%20"]) {
      await expectRefusal(door, request(`ok.test${code}:${port}`), { status: 400, reason: "bad-host" });
    }
    expect(origin.connections).toBe(0);
  });

  test(`ATTACKS 6: full-width and international names are ASCII before the match (${form})`, async () => {
    const { door, origin, port } = await open({
      names: everywhere(["ok.test", "xn--bcher-kva.test"]),
      access: "full",
      allow: ["ok.test port=$PORT raw", "xn--bcher-kva.test port=$PORT raw"],
      deny: ["denied.test", "xn--dnied-bsa.test"],
    });
    for (const [written, host] of [
      ["ｏｋ.ｔｅｓｔ", "ok.test"],
      ["OK。test", "ok.test"],
      ["bücher.test", "xn--bcher-kva.test"],
      ["BÜCHER.test", "xn--bcher-kva.test"],
      ["bu\u0308cher.test", "xn--bcher-kva.test"],
      ["XN--BCHER-KVA.test", "xn--bcher-kva.test"],
    ] as const) {
      await expectPassage(door, origin, utf8(request(`${written}:${port}`)), host);
      expect(door.lookups.at(-1)).toBe(host);
    }
    for (const [written, host] of [
      ["ｄｅｎｉｅｄ.test", "denied.test"],
      ["denied．test", "denied.test"],
      ["dénied.test", "xn--dnied-bsa.test"],
    ] as const) {
      const bytes = utf8(request(`${written}:${port}`));
      await expectRefusal(door, bytes, { status: 403, reason: "host-denied", host });
    }
  });

  test(`ATTACKS 6: what is no name in any reading is 400 (${form})`, async () => {
    const { door, origin, port } = await open({ access: "full" });
    // Signs that become `/`, `@`, `:`, `%` and `#`, a zero-width joiner, punycode of nothing, and bytes of no UTF-8.
    const hosts = [
      "ok.test／x",
      "ok.test＠evil.test",
      "ok.test：80",
      "ok％2etest",
      "ok.test＃",
      "ok\u200d.test",
    ];
    for (const host of [...hosts, "xn--.test", "xn--a.test", "ok.test\u3000"]
      .map(utf8)
      .concat("\xef\xbd.test", "ok\xff.test")) {
      await expectRefusal(door, request(`${host}:${port}`), { status: 400 });
    }
    expect(origin.connections).toBe(0);
  });

  test.each([
    [
      "ATTACKS 7: a user name in a host is 400, and nothing is looked up",
      ["ok.test@evil.test", "ok.test:pass-word@evil.test", "@evil.test", "a@ok.test", "ok.test%40evil.test"],
    ],
    [
      "ATTACKS 8: a backslash in a host is 400, and nothing is looked up",
      ["evil.test\\@ok.test", "evil.test\\.ok.test", "ok.test\\", "\\ok.test"],
    ],
    [
      "ATTACKS 9: percent encoding in a host is 400, and nothing is looked up",
      ["ok%2etest", "%6fk.test", "ok.test%2f.evil.test", "ok.test%23", "%ok.test", "ok.test%"],
    ],
    [
      "ATTACKS 10: labels and names that are too long or empty are 400, and nothing is looked up",
      [`${"a".repeat(64)}.test`, `${"a.".repeat(126)}test`, "a..test", "", "ok.test,evil.test"],
    ],
    [
      "ATTACKS 14: a zone in a host is 400, and nothing is looked up",
      ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%25lo]", "[::1%1]", "fe80::1%eth0"],
    ],
  ])(`%s (${form})`, async (_name, hosts) => {
    const { door, origin, port } = await open({ access: "full" });
    for (const host of hosts) {
      await expectRefusal(door, request(`${host}:${port}`), { status: 400, reason: "bad-host" });
      expect(door.rows.at(-1)?.host).not.toContain("pass-word");
      expect(door.rows.at(-1)?.host).toMatch(/^[\x21-\x7e]{0,400}$/);
    }
    expect(origin.connections).toBe(0);
  });
});
