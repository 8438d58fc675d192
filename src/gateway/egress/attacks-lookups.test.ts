import { afterEach, describe, expect, test } from "bun:test";
import { environmentSchema } from "../../domain/environment.ts";
import { answerTo, expectPassage, expectRefusal, forms, open, openInspected } from "./attacks.fixture.ts";
import { closeEgress, connectTo } from "./egress.fixture.ts";

afterEach(closeEgress);

/** What a name may lead to that no sandbox may reach: address, and what the refusal calls it. */
const inside: [address: string, what: string][] = [
  ["127.0.0.1", "loopback"],
  ["127.8.9.10", "loopback"],
  ["0.0.0.0", "unspecified"],
  ["10.1.2.3", "private"],
  ["172.16.0.1", "private"],
  ["192.168.1.1", "private"],
  ["100.64.0.1", "carrier-grade NAT"],
  ["169.254.1.1", "link-local"],
  ["169.254.169.254", "metadata"],
  ["100.100.100.200", "metadata"],
  ["168.63.129.16", "metadata"],
  ["224.0.0.1", "multicast"],
  ["255.255.255.255", "broadcast"],
  ["203.0.114.9", "this machine itself"],
  ["::1", "loopback"],
  ["::", "unspecified"],
  ["fd12::1", "private"],
  ["fe80::1", "link-local"],
  ["fd00:ec2::254", "metadata"],
  ["ff02::1", "multicast"],
  ["::ffff:127.0.0.1", "IPv4-mapped"],
  ["::ffff:203.0.114.9", "this machine itself"],
  ["64:ff9b::7f00:1", "NAT64"],
  ["2002:7f00:1::", "6to4"],
  ["2001:0:7f00:1::", "Teredo"],
  ["::127.0.0.1", "IPv4-compatible"],
  ["fe80::1%eth0", "not an address"],
];

describe.each(forms)("%s", (form, request) => {
  test(`ATTACKS 15: an allowed name that leads inside is refused, in Full too (${form})`, async () => {
    for (const access of ["custom", "full"] as const) {
      const names = Object.fromEntries(inside.map(([address], i) => [`n${i}.wild.test`, [address]]));
      const { door, origin, port } = await open({
        access,
        names,
        allowedRanges: [],
        ownAddresses: ["203.0.114.9"],
      });
      for (const [i, [address, what]] of inside.entries()) {
        const host = `n${i}.wild.test`;
        const refusal = { status: 403, reason: "address-not-allowed", host, lookups: [host] };
        const answer = await expectRefusal(door, request(`${host}:${port}`), refusal);
        expect(answer).toContain(what);
        expect(answer).toContain(`(${address})`);
        expect(door.rows.at(-1)?.address).toBe("");
      }
      expect(origin.connections).toBe(0);
    }
  });

  test(`ATTACKS 15: a range that the operator lists is reached; metadata and this machine within it are not (${form})`, async () => {
    const { door, origin, port } = await open({
      names: { "ok.test": ["127.0.0.1"], "m.wild.test": ["169.254.169.254"], "own.wild.test": ["127.0.0.9"] },
      allowedRanges: ["127.0.0.0/8", "169.254.0.0/16"],
      ownAddresses: ["127.0.0.9"],
    });
    await expectPassage(door, origin, request(`ok.test:${port}`), "ok.test");
    for (const host of ["m.wild.test", "own.wild.test"]) {
      const refusal = { status: 403, reason: "address-not-allowed", host, lookups: [host] };
      await expectRefusal(door, request(`${host}:${port}`), refusal);
    }
  });

  test(`ATTACKS 16: of a mixed answer the bad addresses are dropped, wherever they stand (${form})`, async () => {
    for (const addresses of [
      ["10.0.0.1", "127.0.0.1"],
      ["127.0.0.1", "10.0.0.1"],
      ["::1", "169.254.169.254", "127.0.0.1", "10.0.0.1"],
    ]) {
      const { door, origin, port } = await open({ names: { "ok.test": addresses } });
      await expectPassage(door, origin, request(`ok.test:${port}`), "ok.test");
    }
  });

  test(`ATTACKS 17: a name is looked up once, and the address that was judged is dialled (${form})`, async () => {
    let times = 0;
    // Public at the first look, inside at the second: what a rebinding name does.
    const names = { "ok.test": () => (times++ === 0 ? ["127.0.0.1"] : ["10.0.0.1"]) };
    const { door, origin, port } = await open({ names });
    await expectPassage(door, origin, request(`ok.test:${port}`), "ok.test");
    expect(door.lookups).toEqual(["ok.test"]);
  });

  test(`ATTACKS 20: a name is judged by where it leads in the end (${form})`, async () => {
    // The resolver follows aliases: `alias` stands for a CNAME from an allowed name to one inside the network.
    const internal: Record<string, string[]> = { "db.internal.test": ["10.0.0.5"] };
    const names = { "alias.wild.test": () => internal["db.internal.test"] ?? [] };
    const { door, origin, port } = await open({ names, access: "full" });
    const host = "alias.wild.test";
    const refusal = { status: 403, reason: "address-not-allowed", host, lookups: [host] };
    expect(await expectRefusal(door, request(`${host}:${port}`), refusal)).toContain("10.0.0.5");
    expect(origin.connections).toBe(0);
  });

  test(`ATTACKS 18: a name that is denied, or not allowed, is never looked up (${form})`, async () => {
    const { door, port } = await open({ access: "full", deny: ["*.evil.test"] });
    await expectRefusal(door, request(`a.evil.test:443`), {
      status: 403,
      reason: "host-denied",
      lookups: [],
    });
    door.change({ access: "custom", allow: ["ok.test port=80"] });
    await expectRefusal(door, request("other.test:443"), {
      status: 403,
      reason: "host-not-allowed",
      lookups: [],
    });
    await expectRefusal(door, request(`ok.test:${port}`), {
      status: 403,
      reason: "port-not-allowed",
      lookups: [],
    });
    door.change({ access: "none", allow: ["ok.test"] });
    await expectRefusal(door, request("ok.test:80"), { status: 403, reason: "no-egress", lookups: [] });
    expect(door.lookups).toEqual([]);
  });

  test(`ATTACKS 19: distinct names below a wildcard are limited, and those beyond are not looked up (${form})`, async () => {
    const { door, origin, port } = await open({ limits: { namesPerMinute: 3 } });
    for (let i = 0; i < 3; i++) await answerTo(door.socket, request(`data-${i}.wild.test:${port}`));
    expect(door.lookups.length).toBe(3);
    const host = "data-3.wild.test";
    await expectRefusal(door, request(`${host}:${port}`), {
      status: 429,
      reason: "too-many-names",
      host,
      lookups: [],
    });
    // A name that was reached goes on; so does one that has a rule of its own.
    expect(await answerTo(door.socket, request(`data-0.wild.test:${port}`))).toContain("name-not-found");
    await expectPassage(door, origin, request(`ok.test:${port}`), "ok.test");
  });

  test(`ATTACKS 19: in Full access distinct names are limited as well, those with a rule of their own excepted (${form})`, async () => {
    const { door, origin, port } = await open({ access: "full", limits: { namesPerMinute: 3 } });
    // Ports 80 and 443 are what Full opens; nobody answers for these names.
    for (let i = 0; i < 3; i++) await answerTo(door.socket, request(`data-${i}.evil.test:443`));
    expect(door.lookups.length).toBe(3);
    for (const host of ["data-3.evil.test", "fresh.example"])
      await expectRefusal(door, request(`${host}:443`), {
        status: 429,
        reason: "too-many-names",
        host,
        lookups: [],
      });
    expect(await answerTo(door.socket, request("data-0.evil.test:443"))).toContain("name-not-found");
    await expectPassage(door, origin, request(`ok.test:${port}`), "ok.test");
  });

  test(`ATTACKS 19: a secret in the name of a host stops it before the look-up, and is written down nowhere (${form})`, async () => {
    const value = "s3cret-Of-the-appliance";
    const { door } = await open({ access: "full", secrets: [{ name: "DEPLOY_KEY", value }] });
    for (const label of [value, value.toUpperCase(), Buffer.from(value).toString("hex")]) {
      await expectRefusal(door, request(`x.${label}.evil.test:443`), {
        status: 403,
        reason: "secret-found",
        lookups: [],
      });
    }
    expect(door.notices.join()).toContain("DEPLOY_KEY");
    expect(JSON.stringify([door.rows, door.lines, door.notices, door.asked]).toLowerCase()).not.toContain(
      "s3cret",
    );
  });
});

test("ATTACKS 17: the addresses of a name that is remembered are judged again for each tunnel", async () => {
  let inside = false;
  const whyNot = () => (inside ? "private" : undefined);
  const { door, origin, port } = await open({ whyNot });
  await expectPassage(door, origin, connectTo(`ok.test:${port}`), "ok.test");
  const { connections } = origin;
  inside = true;
  await expectRefusal(door, connectTo(`ok.test:${port}`), { status: 403, reason: "address-not-allowed" });
  expect(origin.connections).toBe(connections);
  expect(door.lookups).toEqual(["ok.test"]);
});

test("ATTACKS 15, 17: a host that is read is looked up once too, and told to lead inside before the tunnel is granted", async () => {
  let times = 0;
  const names = { "ok.test": () => (times++ === 0 ? ["127.0.0.1"] : ["10.0.0.1"]) };
  const { door, origin, inside } = await openInspected("ok.test", { names });
  expect(await inside("GET / HTTP/1.1\r\nHost: $HOST\r\n\r\n")).toContain("hello");
  expect(door.lookups).toEqual(["ok.test"]);
  expect((await door.row(1)).address).toBe("127.0.0.1");
  const shut = await openInspected("ok.test", { allowedRanges: [] });
  const refusal = { status: 403, reason: "address-not-allowed", host: "ok.test", lookups: ["ok.test"] };
  await expectRefusal(shut.door, connectTo(`ok.test:${shut.origin.port}`), refusal);
  expect([origin.connections, shut.origin.connections]).toEqual([1, 0]);
});

test("ATTACKS 21: a wildcard on a public suffix is refused when it is saved; only * alone means everything", () => {
  const saved = (rule: string) => environmentSchema.safeParse({ name: "work", egress: { allow: [rule] } });
  for (const rule of [
    "*.com",
    "*.co.uk",
    "*.dev",
    "*.COM",
    "*.com.",
    "com",
    "*.*",
    "*.*.com",
    "**",
    "*com",
    ".com",
    "*.",
  ]) {
    const result = saved(rule);
    expect([rule, result.success]).toEqual([rule, false]);
    expect(result.error?.issues[0]?.message).toMatch(/^line 1 \(".*"\): .{10,}/);
  }
  for (const rule of ["*", "*.example.com", "*.example.co.uk"])
    expect([rule, saved(rule).success]).toEqual([rule, true]);
});
