import ipaddr from "ipaddr.js";
import { type Parsed, parseHost } from "./host.ts";

/** Which addresses a sandbox may reach: the public internet, and ranges that the operator lists. */

/** CIDR, the address being the first of its range. */
export interface AddressRange {
  first: ipaddr.IPv4 | ipaddr.IPv6;
  /** Leading bits that count. */
  bits: number;
}

/** Made by `createAddressRules`. */
export interface AddressRules {
  readonly allowed: readonly AddressRange[];
  /** Canonical texts. */
  readonly own: ReadonlySet<string>;
}

/**
 * `allowedRanges`: what the operator opens beside the public internet. `ownAddresses`: the machine's own, as the
 * system lists them. One that cannot be read is left out: nothing resolves
 * to it.
 */
export function createAddressRules(
  allowedRanges: readonly AddressRange[],
  ownAddresses: readonly string[],
): AddressRules {
  const own = ownAddresses.map((text) => parse(text.replace(/%.*$/, ""))).filter((it) => it !== undefined);
  return { allowed: allowedRanges, own: new Set(own.map(destination)) };
}

/**
 * `10.1.0.0/16`, `fd12:3456::/32`, or one address. Refused: a range that begins elsewhere than its text says, and one
 * so wide that it holds loopback and metadata beside what its author thinks of.
 */
export function parseRange(text: string): Parsed<AddressRange> {
  const [address = "", length, ...more] = text.split("/");
  const first = parse(address);
  const whole = first?.kind() === "ipv4" ? 32 : 128;
  if (first === undefined || more.length > 0) {
    return { ok: false, why: "write a range of addresses such as 10.1.0.0/16, fd12:3456::/32 or 10.1.2.3" };
  }
  if (length !== undefined && !/^(?:0|[1-9][0-9]{0,2})$/.test(length)) {
    return { ok: false, why: `the number behind the slash is 0 to ${whole}` };
  }
  const bits = length === undefined ? whole : Number(length);
  if (bits > whole) return { ok: false, why: `the number behind the slash is 0 to ${whole}` };
  const least = whole === 32 ? 8 : 7;
  if (bits < least) {
    return {
      ok: false,
      why: `the range is so wide that it opens this machine and its network; list the ranges you mean, none wider than /${least}`,
    };
  }
  const network =
    whole === 32
      ? ipaddr.IPv4.networkAddressFromCIDR(`${first.toString()}/${bits}`)
      : ipaddr.IPv6.networkAddressFromCIDR(`${first.toString()}/${bits}`);
  return network.toString() === first.toString()
    ? { ok: true, value: { first, bits } }
    : { ok: false, why: `the range begins at ${network.toString()}: write ${network.toString()}/${bits}` };
}

/**
 * Undefined where the address may be dialled, else what it is: `loopback`, `private`, `link-local`, `metadata`, …
 * The sources are the IANA special-purpose address registries (RFC 6890) and the IPv6 address space registry.
 * An address that embeds an IPv4 address is refused whatever that one is: it reaches what a look at the outer form
 * does not show. The operator's range lifts that, in the form that it lists: `10.0.0.0/8` does not open
 * `::ffff:10.0.0.1`. The machine's own addresses and a metadata service, which gives out the machine's own credentials,
 * must each be listed alone, not within a wider range.
 */
export function whyNotDialled(address: string, rules: AddressRules): string | undefined {
  const parsed = parse(address);
  if (parsed === undefined) return "not an address";
  const kind = rules.own.has(destination(parsed)) ? ownMachine : kindOf(parsed);
  if (kind === undefined) return undefined;
  const listed = rules.allowed.some(
    ({ first, bits }) =>
      first.kind() === parsed.kind() &&
      ((kind !== "metadata" && kind !== ownMachine) || bits === (first.kind() === "ipv4" ? 32 : 128)) &&
      parsed.match(first, bits),
  );
  return listed ? undefined : kind;
}

/** Canonical text of what a kernel would dial for this address; what is none stays as it is. */
export function dialledAddress(text: string): string {
  const address = parse(text);
  return address === undefined ? text : destination(address);
}

const ownMachine = "this machine itself";

/** Where cloud machines get their credentials: AWS, Google and Azure share the first; Azure's second is a public one. */
const metadata = new Set([
  "169.254.169.254",
  "169.254.170.2", // Amazon ECS
  "169.254.170.23", // Amazon EKS
  "168.63.129.16", // Azure
  "100.100.100.200", // Alibaba
  "192.0.0.192", // Oracle
  "fd00:ec2::254", // Amazon EC2
  "fd00:ec2::23", // Amazon EKS
  "fd20:ce::254", // Google
]);

/** Global unicast is handed out from here alone (RFC 4291, 2.4; IANA's IPv6 address space registry). */
const globalUnicast = ipaddr.IPv6.parse("2000::");

/** Forms that hold an IPv4 address, by ipaddr.js's words for them. */
const embedding: Readonly<Record<string, string>> = {
  ipv4Mapped: "an IPv4-mapped address",
  rfc6145: "an IPv4-translated address",
  rfc6052: "a NAT64 address",
  "6to4": "a 6to4 address",
  teredo: "a Teredo address",
};

const kinds: Readonly<Record<string, string>> = {
  uniqueLocal: "private",
  linkLocal: "link-local",
  deprecatedSiteLocal: "site-local",
  carrierGradeNat: "carrier-grade NAT",
};

function kindOf(address: ipaddr.IPv4 | ipaddr.IPv6): string | undefined {
  if (metadata.has(destination(address))) return "metadata";
  const range = address.range();
  const known = embedding[range] ?? kinds[range];
  if (known !== undefined) return known;
  if (range !== "unicast") return range;
  if (address instanceof ipaddr.IPv4) return undefined;
  const parts = address.parts;
  if (parts.slice(0, 6).every((part) => part === 0)) return "an IPv4-compatible address";
  if (!address.match(globalUnicast, 3)) return "reserved";
  // RFC 5214, 6.1: the interface id 0000:5efe or 0200:5efe and an IPv4 address.
  if (((parts[4] ?? 0) & 0xfdff) === 0 && parts[5] === 0x5efe) return "an ISATAP address";
  return undefined;
}

/** Canonical text of where packets end up: a kernel or a translator takes these forms for the IPv4 address they end in. */
function destination(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  if (address instanceof ipaddr.IPv4 || !translated.has(address.range())) return address.toString();
  return new ipaddr.IPv4(address.toByteArray().slice(12)).toString();
}

const translated: ReadonlySet<string> = new Set(["ipv4Mapped", "rfc6145", "rfc6052"]);

/** Four decimal parts or IPv6 without a zone: what a resolver answers. Other spellings were settled in `parseHost`. */
function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  // ipaddr.js takes `::1.2.3.4` for `::ffff:1.2.3.4`; in hexadecimal there is nothing to mistake.
  const host = parseHost(`[${text}]`);
  return host.ok ? ipaddr.IPv6.parse(host.value.text) : undefined;
}
