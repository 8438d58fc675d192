import { describe, expect, test } from "bun:test";
import fc from "../../test/properties.ts";
import { createAddressRules, parseRange, whyNotDialled } from "./ip-address.ts";

function rules(ranges: readonly string[] = [], own: readonly string[] = []) {
  const parsed = ranges.map((text) => {
    const range = parseRange(text);
    if (!range.ok) throw new Error(range.why);
    return range.value;
  });
  return createAddressRules(parsed, own);
}

const publicOnes = [
  "1.1.1.1",
  "140.82.121.3",
  "172.15.255.255",
  "172.32.0.1",
  "100.63.0.1",
  "2606:4700::1111",
];

const refused: readonly (readonly [address: string, kind: string])[] = [
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["127.0.0.1", "loopback"],
  ["127.255.0.9", "loopback"],
  ["10.0.0.1", "private"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.168.1.1", "private"],
  ["100.64.0.1", "carrier-grade NAT"],
  ["169.254.0.1", "link-local"],
  ["169.254.169.254", "metadata"],
  ["168.63.129.16", "metadata"],
  ["100.100.100.200", "metadata"],
  ["192.0.0.192", "metadata"],
  ["192.0.0.1", "reserved"],
  ["192.0.2.1", "reserved"],
  ["192.88.99.1", "reserved"],
  ["198.18.0.1", "reserved"],
  ["198.51.100.1", "reserved"],
  ["203.0.113.1", "reserved"],
  ["224.0.0.1", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "broadcast"],
  ["::", "unspecified"],
  ["::1", "loopback"],
  ["::127.0.0.1", "an IPv4-compatible address"],
  ["::8.8.8.8", "an IPv4-compatible address"],
  ["::ffff:127.0.0.1", "an IPv4-mapped address"],
  ["::ffff:8.8.8.8", "an IPv4-mapped address"],
  ["::ffff:0:8.8.8.8", "an IPv4-translated address"],
  ["64:ff9b::7f00:1", "a NAT64 address"],
  ["64:ff9b:1::a00:1", "a NAT64 address"],
  ["2002:7f00:1::", "a 6to4 address"],
  ["2001:0:4136:e378:8000:63bf:3fff:fdd2", "a Teredo address"],
  ["2606:4700::5efe:10.0.0.1", "an ISATAP address"],
  ["2606:4700::200:5efe:808:808", "an ISATAP address"],
  ["fe80::1", "link-local"],
  ["fec0::1", "site-local"],
  ["fc00::1", "private"],
  ["fd00:ec2::254", "metadata"],
  ["fd20:ce::254", "metadata"],
  ["ff02::1", "multicast"],
  ["100::1", "discard"],
  ["100:0:0:1::1", "reserved"],
  ["5f00::1", "segmentRouting"],
  ["2001:db8::1", "reserved"],
  ["3fff::1", "reserved"],
  ["2001:2::1", "benchmarking"],
  ["4000::1", "reserved"],
  ["not an address", "not an address"],
  ["127.1", "not an address"],
  ["0177.0.0.1", "not an address"],
  ["fe80::1%eth0", "not an address"],
  ["2606:4700::1%1", "not an address"],
];

describe("a sandbox", () => {
  for (const address of publicOnes) {
    test(`may reach ${address}`, () => expect(whyNotDialled(address, rules())).toBeUndefined());
  }
  for (const [address, kind] of refused) {
    test(`may not reach ${address}: ${kind}`, () => expect(whyNotDialled(address, rules())).toBe(kind));
  }
});

describe("the operator's ranges", () => {
  test("open what they hold and nothing beside it", () => {
    const opened = rules(["10.1.0.0/16", "fd12:3456::/32", "192.168.7.7"]);
    for (const address of ["10.1.0.1", "10.1.255.255", "fd12:3456::1", "192.168.7.7"]) {
      expect(whyNotDialled(address, opened)).toBeUndefined();
    }
    for (const address of ["10.2.0.1", "fd12:3457::1", "192.168.7.8"]) {
      expect(whyNotDialled(address, opened)).toBe("private");
    }
  });
  test("open an address in the form they list, not in another that embeds it", () => {
    const opened = rules(["10.0.0.0/8"]);
    for (const address of ["::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::10.0.0.1"]) {
      expect(whyNotDialled(address, opened)).toBeString();
    }
    expect(whyNotDialled("64:ff9b::a00:1", rules(["64:ff9b::/96"]))).toBeUndefined();
  });
  test("open a metadata service only where it is listed alone", () => {
    expect(whyNotDialled("169.254.169.254", rules(["169.254.0.0/16"]))).toBe("metadata");
    expect(whyNotDialled("169.254.1.1", rules(["169.254.0.0/16"]))).toBeUndefined();
    expect(whyNotDialled("169.254.169.254", rules(["169.254.169.254/32"]))).toBeUndefined();
    expect(whyNotDialled("fd00:ec2::254", rules(["fd00::/8"]))).toBe("metadata");
    expect(whyNotDialled("64:ff9b::169.254.169.254", rules(["64:ff9b::/96"]))).toBe("metadata");
  });
  test("never open the machine's own addresses, in any form", () => {
    const mine = rules(
      ["10.0.0.0/8", "::ffff:0:0/96", "64:ff9b::/96", "fe80::/10"],
      ["10.0.0.5", "203.0.113.9", "fe80::1%eth0", "2606:4700:0:0::5"],
    );
    for (const address of [
      "10.0.0.5",
      "::ffff:10.0.0.5",
      "64:ff9b::a00:5",
      "fe80::1",
      "2606:4700::5",
      "203.0.113.9",
    ]) {
      expect(whyNotDialled(address, mine)).toBe("this machine itself");
    }
    expect(whyNotDialled("10.0.0.6", mine)).toBeUndefined();
  });
  const bad: readonly (readonly [text: string, why: RegExp])[] = [
    ["10.1.0.5/16", /write 10\.1\.0\.0\/16/],
    ["fd00::1/8", /write fd00::\/8/],
    ["0.0.0.0/0", /so wide/],
    ["::/0", /so wide/],
    ["10.0.0.0/33", /0 to 32/],
    ["10.0.0.0/", /0 to 32/],
    ["10.0.0.0/08", /0 to 32/],
    ["10.0.0.0/8/8", /such as/],
    ["10.1/16", /such as/],
    ["intranet.example", /such as/],
    ["", /such as/],
    ["fe80::1%eth0/64", /such as/],
  ];
  for (const [text, why] of bad) {
    test(`cannot be ${JSON.stringify(text)}`, () => {
      const parsed = parseRange(text);
      expect(parsed.ok ? "" : parsed.why).toMatch(why);
    });
  }
});

test("no address that embeds an IPv4 address is reached, whatever it embeds", () => {
  const embed = fc.constantFrom("::", "::ffff:", "::ffff:0:", "64:ff9b::", "64:ff9b:1::", "2606:4700::5efe:");
  fc.assert(
    fc.property(embed, fc.ipV4(), (prefix, address) => {
      expect(whyNotDialled(prefix + address, rules())).toBeString();
    }),
    { numRuns: 1000 },
  );
});

test("any text has a verdict", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.ipV4Extended()), (text) => {
      const why = whyNotDialled(text, rules());
      return why === undefined || why.length > 0;
    }),
    { numRuns: 2000 },
  );
});
