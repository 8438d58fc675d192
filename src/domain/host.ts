/**
 * A host as everything downstream sees it: matched, looked up, dialled, compared with SNI and `Host`, and logged in
 * this one form.
 */
export type Host =
  /** A DNS name: lower-case ASCII (IDNA), no trailing dot. */
  | { kind: "name"; text: string }
  /** An IP address in its canonical form (IPv6 by RFC 5952, in hexadecimal throughout); IPv6 without brackets. */
  | { kind: "address"; text: string };

export type Parsed<Value> = { ok: true; value: Value } | { ok: false; why: string };

/** 253 characters are what a name has in DNS without its final dot (RFC 1035, 2.3.4). */
const maxName = 253;
/** Before mapping to ASCII, which may shorten; beyond it nothing can become a name. */
const maxText = 1024;

/**
 * The common case, decided without the URL parser: labels of letters, digits, hyphens and underscores, the last one
 * beginning with a letter, so that it is never read as a number (WHATWG URL, "ends in a number").
 */
const plainName = /^(?:[a-z0-9_-]{1,63}\.)*[a-z_][a-z0-9_-]{0,62}$/;
const canonicalName = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * The canonical host of what stands in a URL or a `Host` header (IPv6 in brackets), or why it can be none. `why` is
 * a clause that holds nothing of the text. Spellings that a resolver would read as an IPv4 address (`127.1`,
 * `0x7f000001`) become that address; names beyond ASCII are mapped as by UTS 46 in the WHATWG URL standard.
 */
export function parseHost(text: string): Parsed<Host> {
  if (text.length <= maxName && plainName.test(text) && !text.includes("xn--")) return name(text);
  const fault = faultOf(text);
  if (fault !== undefined) return refuse(fault);
  if (text.startsWith("[") || text.endsWith("]")) return parseBracketed(text);
  if (text.includes(":")) return refuse("an IPv6 address stands in brackets, and a port has no place here");

  const ascii = toAscii(text);
  if (ascii === undefined) {
    return refuse(
      /^(?!.*xn--)[\x20-\x7e]*$/i.test(text)
        ? "it is neither a valid name nor an IPv4 address"
        : "it is no valid internationalised name (IDNA)",
    );
  }
  const bare = ascii.endsWith(".") ? ascii.slice(0, -1) : ascii;
  // The URL parser lets no name end in a number: what does is an IPv4 address in its canonical form.
  if (/^[0-9]+(?:\.[0-9]+){3}$/.test(bare)) return { ok: true, value: { kind: "address", text: bare } };
  if (bare.length > maxName) return refuse(`a name has at most ${maxName} characters`);
  if (canonicalName.test(bare)) {
    // What IDNA maps to must mean itself when it is read again, or two readers would see two hosts.
    return bare.includes("xn--") && toAscii(bare) !== bare
      ? refuse("it is no valid internationalised name (IDNA)")
      : name(bare);
  }
  if (bare === "" || /^\.|\.\.|\.$/.test(bare)) return refuse("a label of it is empty");
  if (/[^.]{64}/.test(bare)) return refuse("a label has at most 63 characters");
  return refuse("a name holds letters, digits, hyphens, underscores and dots only");
}

/** `host:port` or, with a default, `host`. Ports are 1 to 65535, in decimal without leading zeros. */
export function parseAuthority(text: string, defaultPort?: number): Parsed<{ host: Host; port: number }> {
  const end = text.startsWith("[") ? text.indexOf("]") + 1 : text.indexOf(":");
  const hostEnd = end <= 0 ? text.length : end;
  const host = parseHost(text.slice(0, hostEnd));
  // An `@` behind the first colon is userinfo with a password.
  if (text.includes("@")) return refuse("a user name or password has no place before a host");
  if (!host.ok) return host;
  const rest = text.slice(hostEnd);
  if (rest === "") {
    return defaultPort === undefined
      ? refuse("the port is missing")
      : { ok: true, value: { host: host.value, port: defaultPort } };
  }
  if (text.startsWith("[") ? !rest.startsWith(":") : rest.indexOf(":", 1) !== -1) {
    return refuse("an IPv6 address stands in brackets");
  }
  const port = /^:[1-9][0-9]{0,4}$/.test(rest) ? Number(rest.slice(1)) : 0;
  return port >= 1 && port <= 65535
    ? { ok: true, value: { host: host.value, port } }
    : refuse("a port is a number from 1 to 65535");
}

/** As it stands in a URL: IPv6 in brackets. */
export function hostText(host: Host): string {
  return bracketed(host.text);
}

/** The same of a name or address that is text. */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function name(text: string): Parsed<Host> {
  return { ok: true, value: { kind: "name", text } };
}

function refuse(why: string): { ok: false; why: string } {
  return { ok: false, why };
}

/** What the URL parser would strip, decode or take for an end of the host: refused before it is asked. */
function faultOf(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (text.length > maxText) return `a name has at most ${maxName} characters`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\x00-\x1f\x7f-\x9f]/.test(text)) return "it holds a control character";
  if (/\s/.test(text)) return "it holds a space";
  if (text.includes("%")) {
    return text.includes("[")
      ? "an IPv6 address with a zone id means nothing beyond its own machine"
      : "it holds a percent sign, and a host is never percent-encoded";
  }
  if (text.includes("\\")) return "it holds a backslash";
  if (text.includes("@")) return "a user name or password has no place before a host";
  if (/[/?#]/.test(text)) return "it holds more than a host";
  return undefined;
}

function parseBracketed(text: string): Parsed<Host> {
  // The URL parser would take what stands outside the brackets for something else.
  const ascii = /^\[[0-9a-f:.]+\]$/i.test(text) ? toAscii(text) : undefined;
  return ascii === undefined
    ? refuse("what stands in brackets is no IPv6 address")
    : { ok: true, value: { kind: "address", text: ascii.slice(1, -1) } };
}

function toAscii(text: string): string | undefined {
  return URL.parse(`http://${text}/`)?.hostname;
}
