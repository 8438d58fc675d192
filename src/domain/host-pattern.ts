import { parse as parseSuffix } from "tldts";
import { type Host, hostText, type Parsed, parseHost } from "./host.ts";
import { printable } from "./push-policy.ts";

/** Which hosts a rule is about. */
export type HostPattern =
  | { kind: "exact"; host: Host }
  /** Any name below `base`, at any depth, never `base` itself. */
  | { kind: "wildcard"; base: string }
  /** Every name; as something to allow, no address. */
  | { kind: "everything" };

/**
 * A name, `*.name`, an IP address, or `*`. A text that cannot mean what its author thinks is refused, with the
 * correction. To allow, a wildcard on a public suffix (ICANN's part of the list at publicsuffix.org) is refused: its
 * names have nothing in common. To deny, it is taken: `*.zip` is a thing to forbid.
 */
export function parseHostPattern(text: string, use: "allow" | "deny"): Parsed<HostPattern> {
  if (text === "*") return { ok: true, value: { kind: "everything" } };
  const misfit = misfitOf(text);
  if (misfit !== undefined) return { ok: false, why: misfit };
  const wild = text.startsWith("*.");
  const written = wild ? text.slice(2) : text;
  const parsed = parseHost(/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(written) ? `[${written}]` : written);
  const shown = printable(text);
  if (!parsed.ok) return { ok: false, why: `${shown} is not a host: ${parsed.why}` };
  const host = parsed.value;
  if (host.kind === "address") {
    if (wild) return { ok: false, why: `an address has nothing below it: write ${hostText(host)}` };
    return host.text.includes(":") || written === host.text
      ? { ok: true, value: { kind: "exact", host } }
      : { ok: false, why: `${shown} is the address ${host.text}: write ${host.text}` };
  }
  if (!/^[\x20-\x7e]*$/.test(written)) {
    return { ok: false, why: `write ${wild ? "*." : ""}${host.text}, the ASCII form of ${shown}` };
  }
  if (use === "allow" && isPublicSuffix(host.text)) {
    return {
      ok: false,
      why: wild
        ? `anybody can register a name below ${host.text}: write the names you mean, such as *.example.${host.text}, or * for everything`
        : `${host.text} is a public suffix, not a host: write the host itself, such as www.example.${host.text}`,
    };
  }
  return { ok: true, value: wild ? { kind: "wildcard", base: host.text } : { kind: "exact", host } };
}

/** Canonical text, which `parseHostPattern` reads back. */
export function formatHostPattern(pattern: HostPattern): string {
  switch (pattern.kind) {
    case "exact":
      return hostText(pattern.host);
    case "wildcard":
      return `*.${pattern.base}`;
    case "everything":
      return "*";
  }
}

/**
 * Whether `*.base` takes this name across a suffix below which strangers register (the private part of the list at
 * publicsuffix.org): `x.github.io` for `*.github.io`, `b.s3.amazonaws.com` for `*.amazonaws.com`; but not
 * `docs.team.github.io` for `*.team.github.io`, which has one owner.
 */
export function crossesOwners(base: string, name: string): boolean {
  const { publicSuffix, isPrivate } = parseSuffix(name, suffixOptions);
  return isPrivate === true && publicSuffix !== null && publicSuffix.length >= base.length;
}

export interface PatternIndex<Value> {
  /** Values whose pattern names this host, the most specific first; without those of `*`. */
  matches(host: Host): readonly Value[];
  /** Values of `*`. */
  everything: readonly Value[];
}

/** One look-up for each label of a name, however many patterns there are. */
export function indexPatterns<Value>(entries: Iterable<readonly [HostPattern, Value]>): PatternIndex<Value> {
  const exact = new Map<string, Value[]>();
  const below = new Map<string, Value[]>();
  const everything: Value[] = [];
  for (const [pattern, value] of entries) {
    switch (pattern.kind) {
      case "exact":
        push(exact, pattern.host.text, value);
        break;
      case "wildcard":
        push(below, pattern.base, value);
        break;
      case "everything":
        everything.push(value);
    }
  }
  return {
    everything,
    matches({ kind, text }) {
      let found: readonly Value[] = exact.get(text) ?? [];
      if (kind === "address" || below.size === 0) return found;
      for (let dot = text.indexOf("."); dot !== -1; dot = text.indexOf(".", dot + 1)) {
        const more = below.get(text.slice(dot + 1));
        if (more !== undefined) found = found.length === 0 ? more : [...found, ...more];
      }
      return found;
    },
  };
}

function push<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

const suffixOptions = { allowPrivateDomains: true, extractHostname: false, validateHostname: false };

function isPublicSuffix(name: string): boolean {
  const { domain, isIcann } = parseSuffix(name, { ...suffixOptions, allowPrivateDomains: false });
  return domain === null && isIcann === true;
}

/** What people write for a host that is more, or less, than one; with what to write. */
function misfitOf(text: string): string | undefined {
  const shown = printable(text);
  if (text === "") return "the host is missing";
  if (/\s/.test(text)) return "a host holds no spaces: write one rule a line";
  const trailing = /^(.+?)[,;]+$/.exec(text)?.[1];
  if (trailing !== undefined) return `write ${printable(trailing)} without what follows it, one rule a line`;
  if (/[,;]/.test(text)) return "write one host a line";
  const url = /^(?:[a-z][a-z0-9+.-]*:)?\/\/([^/?#]*)(.*)$/i.exec(text) ?? /^([^/?#]+)([/?#].*)$/.exec(text);
  if (url !== null) {
    const [, authority = "", path = ""] = url;
    const host = authority.slice(authority.lastIndexOf("@") + 1);
    const bits = /^\/[0-9]{1,3}$/.test(path) && !/[a-z]\.|\*/i.test(host);
    if (bits && !text.includes("//")) {
      return `${shown} is a range: an operator opens ranges of addresses in ccw.toml, a rule names one address`;
    }
    const asked = path.split(/[?#]/, 1)[0] ?? "";
    return `write ${printable(host)}${asked.length > 1 ? `, and path=${printable(asked)} for one path` : ""}`;
  }
  if (text.includes("@"))
    return `write ${printable(text.slice(text.lastIndexOf("@") + 1))}: a rule names no user`;
  const port = /^([^:]+|\[.*\]):([0-9]*)$/.exec(text);
  if (port !== null) return `write ${printable(port[1] ?? "")} port=${port[2] || "443"}`;
  if (text.startsWith(".")) {
    const name = printable(text.slice(1));
    return `write *.${name} for the names below ${name}, and ${name} on a line of its own for itself`;
  }
  if (text.lastIndexOf("*") > 0 || (text.startsWith("*") && !text.startsWith("*."))) {
    return "a wildcard is a whole first label, as in *.example.com: list other names one by one";
  }
  return undefined;
}
