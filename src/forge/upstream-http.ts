import { once } from "node:events";
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { type AgentOptions, Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext } from "node:tls";
import { CcwError, messageOf } from "../domain/errors.ts";
import { minVersion, tunnelAgent, type UpstreamProxySetting } from "./tunnel-agent.ts";

export interface UpstreamHttpOptions {
  proxy?: UpstreamProxySetting | undefined;
  /** PEM; all that a server may be signed by. The runtime's own list where it is left out. */
  authorities?: readonly string[] | undefined;
  /** To a connection, TLS included; default 10 s. */
  connectMs?: number;
  /** Without a byte in either direction; default 5 minutes: a forge may take long over a large pack. */
  idleMs?: number;
}

export interface UpstreamRequest {
  url: URL;
  method: "GET" | "POST" | "PUT";
  headers: Record<string, string>;
  body?: AsyncIterable<Uint8Array> | undefined;
  signal: AbortSignal;
  /** Dialled in place of the URL's host, which was looked up and judged before. The certificate is the host's. */
  address?: string | undefined;
}

export interface UpstreamResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** As they came: name, value, name, value. */
  rawHeaders: string[];
  /** Rejects with `unavailable` where it breaks off. Whoever stops reading it ends the connection. */
  body: AsyncIterable<Uint8Array>;
  /** For a body that nobody reads. */
  discard(): void;
}

export interface UpstreamHttp {
  /**
   * One request, as streams in which the slow side slows the fast one; redirects are answers like others. Rejects
   * with `unavailable` in words for a person, and with whatever its body throws.
   */
  send(request: UpstreamRequest): Promise<UpstreamResponse>;
  close(): void;
}

/** Less than any server in use keeps a connection (5 s is the shortest), so that no request meets one being closed. */
const keepMs = 4_000;

/**
 * By `node:http`, not `fetch`: Bun's fetch holds back the 257th request at once, and undoes what a server compressed.
 * For a body of 500 MB both cost the same (1.9 and 2.0 s of processor, 80 to 94 MB of memory, measured with 1.4.5).
 */
export function createUpstreamHttp(options: UpstreamHttpOptions = {}): UpstreamHttp {
  const { proxy, authorities, connectMs = 10_000, idleMs = 5 * 60_000 } = options;
  const pool = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 16, timeout: keepMs };
  const secure: AgentOptions = {
    ...pool,
    minVersion,
    // Read once: to do so for each connection would take milliseconds.
    ...(authorities === undefined
      ? {}
      : { secureContext: createSecureContext({ ca: [...authorities], minVersion }) }),
  };
  const plainAgent = new HttpAgent(pool);
  const secureAgent = proxy === undefined ? new HttpsAgent(secure) : tunnelAgent(proxy, secure);

  function open({ url, method, headers, address }: UpstreamRequest): ClientRequest {
    const dialled = address === undefined ? {} : dialledAt(url, address);
    const target = { method, headers: { ...headers, host: url.host }, ...dialled };
    if (url.protocol === "https:") return httpsRequest(url, { ...target, agent: secureAgent });
    if (proxy === undefined) return httpRequest(url, { ...target, agent: plainAgent });
    const credential =
      proxy.authorization === undefined ? {} : { "proxy-authorization": proxy.authorization };
    return httpRequest({
      ...target,
      agent: plainAgent,
      hostname: proxy.hostname,
      port: proxy.port,
      // RFC 9112, 3.2.2: a proxy is given the whole address, which never has credentials in it. By its name, since the
      // proxy writes Host anew from it.
      path: `${url.protocol}//${url.host}${url.pathname}${url.search}`,
      headers: { ...target.headers, ...credential },
    });
  }

  return {
    async send(request) {
      const { url, signal } = request;
      signal.throwIfAborted();
      const outgoing = open(request);
      let failure: unknown;
      const giveUp = (reason: unknown) => {
        failure ??= reason;
        outgoing.destroy();
      };
      const onAbort = () => giveUp(new CcwError("unavailable", "The client went away."));
      signal.addEventListener("abort", onAbort, { once: true });
      const slow = setTimeout(
        () =>
          giveUp(new CcwError("unavailable", `${url.host} cannot be reached within ${connectMs / 1000} s.`)),
        connectMs,
      );
      const idle = setTimeout(
        () => giveUp(new CcwError("unavailable", `${url.host} says nothing more.`)),
        idleMs,
      );
      const done = () => {
        clearTimeout(slow);
        clearTimeout(idle);
        signal.removeEventListener("abort", onAbort);
      };
      outgoing.on("close", done);
      // A tunnel's agent hands its connection over when TLS stands in it already.
      const tunnelled = proxy !== undefined && url.protocol === "https:";
      onConnected(outgoing, tunnelled ? undefined : url, () => clearTimeout(slow));

      const answered = new Promise<IncomingMessage>((resolve, reject) => {
        outgoing.once("response", resolve);
        // It may fail once more after its answer has come, when a server reads no further.
        outgoing.on("error", reject);
        outgoing.once("close", () => reject(brokenOff(url.host)));
      });
      void pump(request, outgoing, idle).catch(giveUp);
      try {
        const message = await answered;
        clearTimeout(slow);
        return {
          status: message.statusCode ?? 0,
          headers: message.headers,
          rawHeaders: message.rawHeaders,
          body: bodyOf(message, { outgoing, idle, host: url.host, failure: () => failure }),
          discard() {
            done();
            outgoing.destroy();
          },
        };
      } catch (thrown) {
        done();
        outgoing.destroy();
        throw failure ?? unreachable(url.host, proxy, thrown);
      }
    },
    close() {
      plainAgent.destroy();
      secureAgent.destroy();
    },
  };
}

/** RFC 6066, section 3: an address is never sent as a server name. */
function dialledAt(url: URL, address: string): { hostname: string; servername?: string } {
  const name = url.hostname.replace(/^\[|\]$/g, "");
  return { hostname: address, ...(isIP(name) === 0 ? { servername: name } : {}) };
}

async function pump(
  { body, headers }: UpstreamRequest,
  outgoing: ClientRequest,
  idle: NodeJS.Timeout,
): Promise<void> {
  if (body === undefined) return void outgoing.end();
  // Whoever reads no further has either answered or gone.
  const closed = new Promise<void>((resolve) => outgoing.once("close", resolve));
  // Bun's client writes whatever it is given, and the server would take the rest for another request.
  let left = Number(headers["content-length"] ?? Number.POSITIVE_INFINITY);
  for await (const chunk of body) {
    left -= chunk.length;
    if (left < 0) throw new CcwError("invalid", "The request is longer than its header says.");
    idle.refresh();
    if (outgoing.destroyed) return;
    if (!outgoing.write(chunk)) {
      await Promise.race([once(outgoing, "drain").catch(() => undefined), closed]);
    }
  }
  outgoing.end();
}

async function* bodyOf(
  message: IncomingMessage,
  parts: { outgoing: ClientRequest; idle: NodeJS.Timeout; host: string; failure: () => unknown },
): AsyncGenerator<Uint8Array> {
  const { outgoing, idle, host, failure } = parts;
  try {
    for await (const chunk of message) {
      idle.refresh();
      yield chunk;
    }
  } catch {
    throw failure() ?? brokenOff(host);
  } finally {
    // After a whole exchange the connection serves the next one.
    if (!message.complete || !outgoing.writableFinished) outgoing.destroy();
    clearTimeout(idle);
  }
  if (!message.complete) throw failure() ?? brokenOff(host);
}

function onConnected(outgoing: ClientRequest, url: URL | undefined, then: () => void): void {
  outgoing.once("socket", (socket: Duplex) => {
    if (outgoing.reusedSocket || url === undefined) then();
    else socket.once(url.protocol === "https:" ? "secureConnect" : "connect", then);
  });
}

const brokenOff = (host: string) =>
  new CcwError("unavailable", `${host} broke off in the middle of its answer.`, "Try again.");

function unreachable(host: string, proxy: UpstreamProxySetting | undefined, thrown: unknown): CcwError {
  if (thrown instanceof CcwError) return thrown;
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  const way = proxy === undefined ? "" : ` through the proxy ${proxy.hostname}:${proxy.port}`;
  if (/CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/.test(code)) {
    return new CcwError(
      "unavailable",
      `The certificate of ${host} is not one that this appliance takes (${code}).`,
      "If it is signed by your company's own authority, name that in ccw.toml: `ca_file` under [egress].",
    );
  }
  return new CcwError(
    "unavailable",
    `${host} cannot be reached${way}: ${code === "" ? messageOf(thrown) : code}.`,
    "Try again; if it stays so, the operator looks at the forge's address and at `upstream_proxy` in ccw.toml.",
  );
}
