import type { Parsed } from "./host.ts";
import { formatHostPattern, type HostPattern, parseHostPattern } from "./host-pattern.ts";
import { printable } from "./push-policy.ts";

/** What an environment allows, written as one line: `HOST [port=N[,N]] [methods=…] [path=/prefix] [options]`. */
export interface EgressRule {
  host: HostPattern;
  /** Ascending, no two alike. */
  ports: readonly number[];
  /** Upper-case, in the order written; undefined for any. */
  methods: readonly string[] | undefined;
  /** Begins with `/`, does not end with it; undefined for any. */
  path: string | undefined;
  /**
   * `inspect`: the appliance ends TLS and reads; `no-inspect`: it never does, even where the default list would have
   * it; `raw`: any protocol at all.
   */
  tls: "default" | "inspect" | "no-inspect" | "raw";
  /** Writing too, where otherwise only reading passes. */
  write: boolean;
}

export const webPorts: readonly number[] = [80, 443];

/**
 * Parses one line, without comment and not empty. Refused with the correction in `why`: what cannot be read, what
 * contradicts itself, and what could never match.
 */
export function parseEgressRule(text: string): Parsed<EgressRule> {
  const [hostText = "", ...options] = text.trim().split(/[ \t]+/);
  const host = parseHostPattern(hostText, "allow");
  if (!host.ok) return host;
  const rule: EgressRule = {
    host: host.value,
    ports: webPorts,
    methods: undefined,
    path: undefined,
    tls: "default",
    write: false,
  };
  const seen = new Set<string>();
  for (const option of options) {
    const equals = option.indexOf("=");
    const name = equals === -1 ? option : option.slice(0, equals);
    const key = name === "no-inspect" || name === "raw" ? "inspect" : name;
    if (seen.has(key)) {
      return refuse(
        key === "inspect" ? "write one of inspect, no-inspect and raw" : `write ${printable(key)} once`,
      );
    }
    seen.add(key);
    const why = readOption(rule, name, equals === -1 ? undefined : option.slice(equals + 1));
    if (why !== undefined) return refuse(why);
  }
  if ((rule.tls === "no-inspect" || rule.tls === "raw") && (rule.methods ?? rule.path) !== undefined) {
    return refuse(
      `methods= and path= have to be read, and ${rule.tls} forbids to read: leave one of them out`,
    );
  }
  return { ok: true, value: rule };
}

/** Canonical text, which `parseEgressRule` reads back as the same rule. */
export function formatEgressRule({ host, ports, methods, path, tls, write }: EgressRule): string {
  return [
    formatHostPattern(host),
    ...(ports.join() === webPorts.join() ? [] : [`port=${ports.join()}`]),
    ...(methods === undefined ? [] : [`methods=${methods.join()}`]),
    ...(path === undefined ? [] : [`path=${path}`]),
    ...(tls === "default" ? [] : [tls]),
    ...(write ? ["write"] : []),
  ].join(" ");
}

const optionForms = ["port=", "methods=", "path=", "inspect", "no-inspect", "write", "raw"];

/** IANA's HTTP method registry, without CONNECT and TRACE, which never pass, and what nobody sends. */
const knownMethods =
  "GET HEAD OPTIONS POST PUT PATCH DELETE QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH MKCALENDAR MKACTIVITY CHECKOUT MERGE".split(
    " ",
  );

/** Sets it on the rule, or says why not. */
function readOption(rule: EgressRule, name: string, value: string | undefined): string | undefined {
  switch (name) {
    case "port":
      return readPorts(rule, value);
    case "methods":
      return readMethods(rule, value);
    case "path":
      return readPath(rule, value);
    case "inspect":
    case "no-inspect":
    case "raw":
      rule.tls = name;
      return value === undefined ? undefined : `write ${name} alone`;
    case "write":
      rule.write = true;
      return value === undefined ? undefined : "write the word write alone";
    default: {
      const shown = printable(name);
      if (shown.startsWith("#")) return "a comment stands on a line of its own";
      const meant = nearest(value === undefined ? name : `${name}=`, optionForms);
      return `${shown} is no option${meant === undefined ? "." : `: did you mean ${meant}?`} There are ${optionForms.join(", ")}`;
    }
  }
}

function readPorts(rule: EgressRule, value = ""): string | undefined {
  const texts = value.split(",");
  const wrong = texts.find((text) => !/^[1-9][0-9]{0,4}$/.test(text) || Number(text) > 65535);
  if (wrong !== undefined) return "write ports as port=443 or port=443,8443, each from 1 to 65535";
  rule.ports = [...new Set(texts.map(Number))].sort((a, b) => a - b);
  return undefined;
}

function readMethods(rule: EgressRule, value = ""): string | undefined {
  const methods = value.split(",");
  for (const method of methods) {
    if (knownMethods.includes(method)) continue;
    if (method === "") return "write methods as methods=GET,POST";
    if (/^(?:CONNECT|TRACE|TRACK)$/i.test(method))
      return `${method.toUpperCase()} never passes: leave it out`;
    const meant = nearest(method.toUpperCase(), knownMethods);
    return `${printable(method)} is no method${meant === undefined ? `: there are ${knownMethods.join(", ")}` : `: write ${meant}`}`;
  }
  rule.methods = [...new Set(methods)];
  return undefined;
}

function readPath(rule: EgressRule, value = ""): string | undefined {
  if (!value.startsWith("/")) return `a path begins with a slash: write path=/${printable(value)}`;
  if (/^\/+$/.test(value)) return "path=/ is every path: leave it out";
  if (/[?#]/.test(value)) return `a query is not part of a path: write path=${value.split(/[?#]/, 1)[0]}`;
  if (value.includes("*")) return "a path holds no *: it stands for all that lies below it already";
  if (value.includes("%")) return "a path is written decoded, and holds no percent sign";
  if (!/^[\w\-./~:@!$&'()+,;=]*$/.test(value)) {
    return "a path holds letters, digits and -._~:@!$&'()+,;=/ only: write a shorter prefix";
  }
  if (/\/\.{1,2}(?:\/|$)|\/\/|;/.test(value)) {
    return "a path with empty or dot segments or a semicolon never matches: write it without";
  }
  rule.path = value.replace(/\/$/, "");
  return undefined;
}

function refuse(why: string): { ok: false; why: string } {
  return { ok: false, why };
}

/** The known word that is at most two letters away (Levenshtein). */
function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 20) return undefined;
  const ranked = known
    .map((candidate) => ({ candidate, distance: distanceOf(word, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= 2 ? best.candidate : undefined;
}

function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(
        Math.min((row[j] ?? 0) + (letter === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
