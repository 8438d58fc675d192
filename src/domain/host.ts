/**
 * A host as everything downstream sees it: matched, looked up, dialled, compared with SNI and `Host`, and logged in
 * this one form.
 */
export type Host =
  /** A DNS name: lower-case ASCII (IDNA), no trailing dot. */
  | { kind: "name"; text: string }
  /** An IP address in its canonical form; IPv6 without brackets. */
  | { kind: "address"; text: string };

export type Parsed<Value> = { ok: true; value: Value } | { ok: false; why: string };

/** The canonical host of what stands in a URL or a `Host` header (IPv6 in brackets), or why it can be none. */
export function parseHost(text: string): Parsed<Host> {
  return { ok: false, why: `not a host: ${text}` };
}

/** `host:port` or, with a default, `host`. Ports are 1 to 65535. */
export function parseAuthority(text: string, defaultPort?: number): Parsed<{ host: Host; port: number }> {
  return { ok: false, why: `not an authority: ${text} ${defaultPort}` };
}

/** As it stands in a URL: IPv6 in brackets. */
export function hostText(host: Host): string {
  return host.text.includes(":") ? `[${host.text}]` : host.text;
}
