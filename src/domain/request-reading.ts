/** What a request does, told from its head: whether it only reads, and whose credentials it holds. */

export interface RequestHead {
  method: string;
  /** Path and query as sent, beginning with `/`. */
  target: string;
  /** Name and value of each header; names as `plainName` gives them. */
  headers: readonly (readonly [string, string])[];
}

/** The name that a server may take a header for: behind CGI or WSGI `_`, and with some `.` or `!`, is the same as `-`. */
export function plainName(name: string): string {
  const lower = name.toLowerCase();
  return /[^a-z0-9-]/.test(lower) ? lower.replace(/[^a-z0-9]/g, "-") : lower;
}

/**
 * Why this request may do more than read; undefined where it reads. GET, HEAD and OPTIONS read (RFC 9110, 9.2.1)
 * unless they hold a body, ask for another method in a header, or open a WebSocket. A git fetch reads, though it
 * sends a POST (gitprotocol-http); what begins a push does not.
 */
export function whyNotReading(request: RequestHead): string | undefined {
  const { method, target } = request;
  const override = methodOverride(request);
  if (override !== undefined) return override;
  if (isGitFetch(request)) return undefined;
  if (!isReadingMethod(method)) return `${method} writes`;
  if (/\/info\/refs\?(?:[^#]*&)?service=git-receive-pack/.test(target)) return "a git push begins like this";
  for (const [name, value] of request.headers) {
    if (name === "transfer-encoding" || (name === "content-length" && !/^0+$/.test(value))) {
      return `this ${method} holds a body`;
    }
    // Java's client offers HTTP/2 in the clear with every request (RFC 7540, 3.2), and goes on without it.
    if (name === "upgrade" && value.trim().toLowerCase() !== "h2c") {
      return "it changes to another protocol, which goes both ways";
    }
  }
  return undefined;
}

export function isReadingMethod(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

/** Frameworks take the method from here if they are let. */
export function methodOverride({ target, headers }: RequestHead): string | undefined {
  const header = headers.find(([name]) => /^x-(?:http-)?method(?:-override)?$/.test(name));
  if (header !== undefined) return `the header ${header[0]} asks for another method`;
  return queryNames(target).some(([name]) => name === "_method")
    ? "the query's _method asks for another method"
    : undefined;
}

/**
 * Where this request holds a credential, in words for its sender; undefined where it holds none. The appliance's own
 * are added after this: what is found here came out of the sandbox. Cookies count, but for those that balance load.
 * `pullTokens`: a bearer token that only reads is one that the registry gives to anybody.
 */
export function credentialIn(request: RequestHead, pullTokens: boolean): string | undefined {
  for (const [name, value] of request.headers) {
    if (name === "cookie") {
      const cookie = value
        .split(";")
        .map((pair) => pair.split("=", 1)[0]?.trim() ?? "")
        .find((cookieName) => !balancingCookie.test(cookieName));
      if (cookie !== undefined) return "a cookie";
    } else if (credentialHeader.test(name) && name !== "proxy-authorization") {
      const pulls = pullTokens && (request.method === "GET" || request.method === "HEAD");
      if (!(pulls && name === "authorization" && /^bearer /i.test(value))) return `the header ${name}`;
    }
  }
  for (const [name, value] of queryNames(request.target)) {
    // A Google API key looks like one; `key` by itself names anything.
    if (credentialParameter.test(name) || (name === "key" && value.startsWith("AIza"))) {
      return `the query's ${name}`;
    }
  }
  return undefined;
}

/**
 * Whether the request's path is `prefix` or below it, however the server reads it. What one server takes for a part
 * of a name and another for a separator or a step upwards (`%2f`, `%2e%2e`, `\`, `..;x`, double encoding, overlong
 * UTF-8) never brings a request under a prefix, and takes out one that is.
 */
export function isPathBelow(prefix: string, target: string): boolean {
  const path = target.split(/[?#]/, 1)[0] ?? "";
  if (path === prefix || (path.startsWith(`${prefix}/`) && plainPath.test(path)))
    return !dotSegment.test(path);
  // Malformed escapes, `%u002e`, and bytes that no UTF-8 holds: servers differ on these.
  if (/%(?![0-9a-f]{2})|%(?:c[01]|e0%[89]|f0%8|f[5-9a-f]|[01][0-9a-f]|7f)/i.test(path)) return false;
  for (let read = path, depth = 0; depth < 4; depth++) {
    if (dotSegment.test(read)) return false;
    const decoded = decodeOnce(read);
    if (decoded === read) break;
    if (depth === 3) return false;
    read = decoded;
  }
  const segments = path.split("/").map(decodeOnce);
  return prefix.split("/").every((segment, at) => segments[at] === segment);
}

const plainPath = /^[\w\-./~:@!$&'()*+,=]*$/;
/** A segment `.` or `..`, with path parameters or without, between separators of any kind. */
const dotSegment = /(?:^|[/\\])\.{1,2}(?:[/\\;?#]|$)/;

/** A key that is none opens nothing: it tells a repeated request, or a WebSocket. */
const credentialHeader =
  /(?:^|-)(?:authorization|authentication|apikey|accesskey|token|secret|passw(?:or)?d|auth|credentials?|jwt|(?<!idempotency-|websocket-)key)$/;
const credentialParameter =
  /^(?:(?:access|auth|oauth|private|job|deploy|refresh|id|api|security)[_-]?token|token|api[_-]?key|(?:client[_-]?)?secret|password)$/;
/** Cloudflare's, AWS's and Google's load balancers set these on anybody, and clients with a jar send them back. */
const balancingCookie = /^(?:__cf_bm|_cfuvid|__cflb|cf_clearance|AWSALB\w*|GCLB|)$/;

/** A plain path, so that no server reads another end of it; `%20` stands in names of projects. */
const gitFetchPath = /^(?:\/(?!\.{1,2}\/)(?:[\w.~@+-]|%20)+)+\/git-upload-pack$/;

function isGitFetch({ method, target, headers }: RequestHead): boolean {
  if (method !== "POST" || !gitFetchPath.test(target)) return false;
  const types = headers.filter(([name]) => name === "content-type");
  return (
    types.length === 1 &&
    types[0]?.[1] === "application/x-git-upload-pack-request" &&
    !headers.some(([name]) => name === "upgrade")
  );
}

/** Lower-case names of the query's parameters, decoded as forms are, with their raw values. */
function queryNames(target: string): readonly (readonly [string, string])[] {
  const question = target.indexOf("?");
  if (question === -1) return [];
  return target
    .slice(question + 1)
    .split(/[&;]/)
    .map((pair) => {
      const [name = "", value = ""] = pair.split("=", 2);
      return [decodeOnce(name).toLowerCase(), value];
    });
}

/** Byte by byte, so that it is defined for any text; equal to a plain ASCII text only where any decoder says so. */
function decodeOnce(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
