import { type Host, hostText, parseAuthority } from "../../domain/host.ts";
import { headerOf, type RequestHead } from "./http/request-head.ts";
import { type Refusal, refusalOf } from "./refusal.ts";
import type { Origin } from "./upstreams.ts";

export type Target<Value> = { ok: true; value: Value } | { ok: false; refusal: Refusal };

const bad = (refusal: Refusal): { ok: false; refusal: Refusal } => ({ ok: false, refusal });

/** Absolute-form (RFC 9112, 3.2.2), and a `Host` that says the same. HTTPS goes through CONNECT alone. */
export function absoluteTarget(head: RequestHead): Target<{ origin: Origin; path: string }> {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^#]*)$/.exec(head.target);
  if (match === null)
    return bad(
      refusalOf("bad-request", "the request names no host; a proxy takes `http://host/path` and CONNECT"),
    );
  const [, scheme = "", authority = "", rest = ""] = match;
  if (scheme.toLowerCase() !== "http") {
    const text = `a proxy takes http:// and CONNECT, not ${scheme.slice(0, 10)}://`;
    return bad(refusalOf("bad-request", text));
  }
  const parsed = parseAuthority(authority, 80);
  if (!parsed.ok) return bad(aboutHost(refusalOf("bad-host", parsed.why), authority));
  const { host, port } = parsed.value;
  if (!sameHost(headerOf(head, "host"), host, port, 80))
    return bad(refusalOf("bad-request", "the Host header names another host than the request"));
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  return { ok: true, value: { origin: { scheme: "http", host, port }, path } };
}

/** Origin-form, on a connection that belongs to one origin: `Host` must name it (RFC 9110, 15.5.20). */
export function originTarget(head: RequestHead, origin: Origin): Target<{ origin: Origin; path: string }> {
  if (!head.target.startsWith("/") && !(head.method === "OPTIONS" && head.target === "*"))
    return bad(refusalOf("bad-request", "inside this connection a request's target is a path"));
  const usual = origin.scheme === "http" ? 80 : 443;
  const named = headerOf(head, "host");
  if (!sameHost(named, origin.host, origin.port, usual)) {
    const text = `this connection is one to ${hostText(origin.host)}, not to its Host header's`;
    return bad(aboutHost(refusalOf("misdirected", text), named));
  }
  return { ok: true, value: { origin, path: head.target } };
}

/** Authority-form (RFC 9112, 3.2.3): a port is part of it, and there is no body. */
export function connectTarget(head: RequestHead): Target<{ host: Host; port: number }> {
  const parsed = parseAuthority(head.target);
  if (!parsed.ok) return bad(aboutHost(refusalOf("bad-host", parsed.why), head.target));
  const { host, port } = parsed.value;
  const named = headerOf(head, "host");
  if (named !== undefined && !sameHost(named, host, port, port))
    return bad(refusalOf("bad-request", "the Host header names another host than CONNECT"));
  if (headerOf(head, "content-length") !== undefined || headerOf(head, "transfer-encoding") !== undefined)
    return bad(refusalOf("bad-framing", "CONNECT has no body"));
  return { ok: true, value: { host, port } };
}

/** A user name and password stay out of what is written down. */
function aboutHost(refusal: Refusal, authority = ""): Refusal {
  return { ...refusal, about: authority.replace(/^.*@/, "***@") };
}

/** A missing `Host` (HTTP/1.0) says nothing else; one that is there must mean the same host and port. */
function sameHost(header: string | undefined, host: Host, port: number, usualPort: number): boolean {
  if (header === undefined) return true;
  // A name beyond ASCII comes in UTF-8; what is none becomes U+FFFD, which no host holds.
  const text = /[\x80-\xff]/.test(header) ? Buffer.from(header, "latin1").toString("utf8") : header;
  const parsed = parseAuthority(text, usualPort);
  return parsed.ok && parsed.value.host.text === host.text && parsed.value.port === port;
}
