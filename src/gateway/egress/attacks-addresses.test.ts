import { afterEach, describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { parseRange } from "../../domain/ip-address.ts";
import { vetAddresses } from "../../network.ts";
import { answerTo, expectPassage, expectRefusal, forms, open, utf8 } from "./attacks.fixture.ts";
import { closeEgress, connectTo } from "./egress.fixture.ts";

afterEach(closeEgress);

/** Spellings of 127.0.0.1 that resolvers and libraries take. */
const loopbacks = [
  "127.0.0.1",
  "127.1",
  "127.0.1",
  "0177.0.0.1",
  "0x7f000001",
  "0X7F.1",
  "2130706433",
  "017700000001",
  "127.0.0.1.",
  utf8("１２７.0.0.1"),
  utf8("127。0。0。1"),
];

/** IPv6 forms that embed an IPv4 address, with their canonical text. */
const embedded = [
  ["[::ffff:127.0.0.1]", "::ffff:7f00:1"],
  ["[::FFFF:7F00:1]", "::ffff:7f00:1"],
  ["[0:0:0:0:0:ffff:127.0.0.1]", "::ffff:7f00:1"],
  ["[64:ff9b::127.0.0.1]", "64:ff9b::7f00:1"],
  ["[64:ff9b:1::7f00:1]", "64:ff9b:1::7f00:1"],
  ["[2002:7f00:1::]", "2002:7f00:1::"],
  ["[2001:0:7f00:1::]", "2001:0:7f00:1::"],
  ["[::127.0.0.1]", "::7f00:1"],
  ["[2001:db8::5efe:7f00:1]", "2001:db8::5efe:7f00:1"],
  ["[::1]", "::1"],
  ["[::]", "::"],
] as const;

describe.each(forms)("%s", (form, request) => {
  test(`ATTACKS 11: an address passes only where it is listed as such, in Full and with * too (${form})`, async () => {
    const { door, origin, port } = await open({ access: "full", allow: ["* port=$PORT raw"] });
    for (const address of ["127.0.0.1", "203.0.114.7", "8.8.8.8"]) {
      const refusal = { status: 403, reason: "host-not-allowed", host: address };
      await expectRefusal(door, request(`${address}:${port}`), refusal);
    }
    expect(origin.connections).toBe(0);
    door.change({ allow: [`127.0.0.1 port=${port} raw`] });
    await expectPassage(door, origin, request(`127.0.0.1:${port}`), "127.0.0.1");
    expect(door.lookups).toEqual([]);
  });

  test(`ATTACKS 12: other spellings of an address are that address (${form})`, async () => {
    const { door, origin, port } = await open({ access: "full" });
    for (const spelling of loopbacks) {
      const refusal = { status: 403, reason: "host-not-allowed", host: "127.0.0.1" };
      await expectRefusal(door, request(`${spelling}:${port}`), refusal);
    }
    door.change({ access: "full", deny: ["127.0.0.1"] });
    for (const spelling of loopbacks) {
      const refusal = { status: 403, reason: "host-denied", host: "127.0.0.1" };
      await expectRefusal(door, request(`${spelling}:${port}`), refusal);
    }
    expect(origin.connections).toBe(0);
    for (const none of ["256.0.0.1", "127.0.0.1.1", "0x100000000", "08.0.0.1", "1.2.3.4.5", "127..1"]) {
      await expectRefusal(door, request(`${none}:${port}`), { status: 400, reason: "bad-host" });
    }
  });

  test(`ATTACKS 12: a listed address is not reached where it lies inside (${form})`, async () => {
    const { door, origin, port } = await open({ allow: ["127.0.0.1 port=$PORT raw"], allowedRanges: [] });
    for (const spelling of loopbacks) {
      const refusal = { status: 403, reason: "address-not-allowed", host: "127.0.0.1" };
      await expectRefusal(door, request(`${spelling}:${port}`), refusal);
    }
    expect(origin.connections).toBe(0);
  });

  test(`ATTACKS 13: addresses that embed another are refused, listed or not (${form})`, async () => {
    const { door, origin, port } = await open({ access: "full" });
    for (const [written, host] of embedded) {
      const refusal = { status: 403, reason: "host-not-allowed", host };
      await expectRefusal(door, request(`${written}:${port}`), refusal);
    }
    door.change({ allow: embedded.map(([, host]) => `${host} port=${port} raw`) });
    for (const [written, host] of embedded) {
      const refusal = { status: 403, reason: "address-not-allowed", host };
      await expectRefusal(door, request(`${written}:${port}`), refusal);
    }
    expect(origin.connections).toBe(0);
  });

  test(`ATTACKS 22: ports that no rule lists are refused, and what is no port is 400 (${form})`, async () => {
    for (const setting of [{ allow: ["ok.test"] }, { access: "full" as const }]) {
      const { door } = await open(setting);
      for (const port of [1, 22, 25, 53, 3306, 6379, 8080, 65535]) {
        const refusal = { status: 403, reason: "port-not-allowed", host: "ok.test" };
        await expectRefusal(door, request(`ok.test:${port}`), refusal);
        expect(door.rows.at(-1)?.port).toBe(port);
      }
      for (const port of [
        "0",
        "65536",
        "99999",
        "",
        "080",
        "+80",
        "-1",
        "8e1",
        "0x50",
        "80:80",
        "http",
        "80%20",
      ]) {
        await expectRefusal(door, request(`ok.test:${port}`), { status: 400, reason: "bad-host" });
      }
    }
  });

  test(`ATTACKS 22: a port that a rule lists is open, and no other (${form})`, async () => {
    const { door, origin, port } = await open();
    await expectPassage(door, origin, request(`ok.test:${port}`), "ok.test");
    const refusal = { status: 403, reason: "port-not-allowed", host: "ok.test" };
    await expectRefusal(door, request("ok.test:443"), refusal);
  });

  test(`ATTACKS 23: the appliance's own port is never reached, whatever is allowed (${form})`, async () => {
    const addresses = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .map(({ address }) => address);
    const own = [
      "127.0.0.1",
      "127.7.7.7",
      "::1",
      "0.0.0.0",
      "::",
      "::ffff:127.0.0.1",
      "::ffff:7f00:1",
      ...addresses,
    ];
    const names = Object.fromEntries(own.map((address, i) => [`n${i}.wild.test`, [address]]));
    let ownPort = 0;
    const everything = ["0.0.0.0", ...own.map((address) => address.replace(/%.*$/, ""))];
    const ranges = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::ffff:0:0/96"];
    const allowedRanges = [...ranges, ...everything]
      .map(parseRange)
      .flatMap((it) => (it.ok ? [it.value] : []));
    const whyNot = vetAddresses({ allowedRanges, ownPort: () => ownPort, now: Date.now });
    const { door, origin, port } = await open({ names: { ...names, "ok.test": ["127.0.0.1"] }, whyNot });
    ownPort = port;
    for (const [i] of own.entries()) {
      const host = `n${i}.wild.test`;
      const refusal = { status: 403, reason: "address-not-allowed", host, lookups: [host] };
      expect(await expectRefusal(door, request(`${host}:${port}`), refusal)).toContain("the appliance's own");
    }
    expect(origin.connections).toBe(0);
    // The same door, with the appliance on another port.
    ownPort = 1;
    await expectPassage(door, origin, request(`ok.test:${port}`), "ok.test");
  });
});

test("ATTACKS 22: CONNECT without a port is 400", async () => {
  const { door } = await open({ access: "full" });
  for (const authority of ["ok.test", "127.0.0.1", "[::1]"]) {
    await expectRefusal(door, connectTo(authority), { status: 400, reason: "bad-host" });
  }
  expect(await answerTo(door.socket, connectTo("ok.test:443"))).toStartWith("HTTP/1.1 ");
});
