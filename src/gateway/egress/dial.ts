import { messageOf } from "../../domain/errors.ts";
import { bracketed, type Host, hostText } from "../../domain/host.ts";
import { joined } from "../wire/joined.ts";
import { type Asker, connectSocket, type Failed } from "../wire/socket-wire.ts";
import type { Wire } from "../wire/wire.ts";
import { readResponseHead } from "./http/response-head.ts";
import { type Refusal, refusalOf } from "./refusal.ts";
import type { Resolver } from "./resolve.ts";

/** A corporate proxy on the way out. */
export interface UpstreamProxy {
  /** Name or address of the proxy itself: the operator's choice, so it is not judged. */
  hostname: string;
  port: number;
  /** Value for Proxy-Authorization. */
  authorization: string | undefined;
  /** It is given names, and looks them up itself: for networks where inside nothing can be looked up. */
  resolves: boolean;
}

export type Dialled =
  | { ok: true; wire: Wire /** As in the ledger. */; address: string; first: Uint8Array }
  | { ok: false; refusal: Refusal };

export interface Dialler {
  /** A connection to the host, at an address that was judged; bytes that came right behind are in `first`. */
  dial(host: Host, port: number, asker: Asker): Promise<Dialled>;
}

const connectMs = 10_000;

export function createDialler({
  resolver,
  proxy,
  failed,
}: {
  resolver: Resolver;
  proxy: UpstreamProxy | undefined;
  failed: Failed;
}): Dialler {
  return {
    async dial(host, port, asker) {
      if (proxy?.resolves === true && host.kind === "name")
        return await through(proxy, hostText(host), port, { asker, failed });
      const resolved = await resolver.resolve(host, port);
      if (!resolved.ok) return resolved;
      let last: Dialled | undefined;
      for (const address of resolved.addresses) {
        if (asker.gone) break;
        last =
          proxy === undefined
            ? await directly(address, port, {
                asker,
                failed,
                timeoutMs: connectMs / resolved.addresses.length,
              })
            : await through(proxy, bracketed(address), port, { asker, failed });
        if (last.ok) return last;
      }
      return last ?? { ok: false, refusal: refusalOf("unreachable", "the request was given up") };
    },
  };
}

async function directly(
  address: string,
  port: number,
  options: { asker: Asker; failed: Failed; timeoutMs: number },
): Promise<Dialled> {
  try {
    const wire = await connectSocket({ hostname: address, port }, options);
    return { ok: true, wire, address, first: nothing };
  } catch (thrown) {
    return { ok: false, refusal: unreachable(address, port, thrown) };
  }
}

/** The proxy is asked for a tunnel (RFC 9110, 9.3.6), for plain HTTP too: it then has nothing to rewrite. */
async function through(
  proxy: UpstreamProxy,
  target: string,
  port: number,
  { asker, failed }: { asker: Asker; failed: Failed },
): Promise<Dialled> {
  const authority = `${target}:${port}`;
  const name = `the upstream proxy ${proxy.hostname}:${proxy.port}`;
  let wire: Wire;
  try {
    wire = await connectSocket(
      { hostname: proxy.hostname, port: proxy.port },
      { asker, timeoutMs: connectMs, failed },
    );
  } catch (thrown) {
    const text = `${name} cannot be reached (${messageOf(thrown)})`;
    return { ok: false, refusal: refusalOf("unreachable", text) };
  }
  const answer = await answerTo(wire, connectRequest(authority, proxy.authorization), asker);
  if (answer.ok) return { ok: true, wire, address: target.replace(/^\[|\]$/g, ""), first: answer.rest };
  wire.destroy();
  return { ok: false, refusal: refusalOf("unreachable", `${name} ${answer.why}`) };
}

function connectRequest(authority: string, authorization: string | undefined): Uint8Array {
  const credential = authorization === undefined ? "" : `Proxy-Authorization: ${authorization}\r\n`;
  return Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credential}\r\n`, "latin1");
}

function answerTo(
  wire: Wire,
  request: Uint8Array,
  asker: Asker,
): Promise<{ ok: true; rest: Uint8Array } | { ok: false; why: string }> {
  return new Promise((resolve) => {
    let seen: Uint8Array = nothing;
    const done = (outcome: { ok: true; rest: Uint8Array } | { ok: false; why: string }) => {
      clearTimeout(timer);
      wire.pause();
      resolve(outcome);
    };
    const timer = setTimeout(() => done({ ok: false, why: "does not answer" }), connectMs);
    asker.onGone(() => done({ ok: false, why: "was given up" }));
    wire.listener = {
      data(bytes) {
        seen = joined(seen, bytes);
        const read = readResponseHead(seen);
        if (read.kind === "more") return;
        if (read.kind === "bad") return done({ ok: false, why: "answers with something that is not HTTP" });
        const { status } = read.head;
        if (status >= 200 && status < 300) return done({ ok: true, rest: seen.subarray(read.length) });
        if (status === 407) return done({ ok: false, why: "wants other credentials (407)" });
        done({ ok: false, why: `refuses the connection (${status})` });
      },
      drain() {},
      end: () => done({ ok: false, why: "closed the connection" }),
      close: () => done({ ok: false, why: "closed the connection" }),
    };
    wire.write(request);
  });
}

function unreachable(address: string, port: number, thrown: unknown): Refusal {
  const text = messageOf(thrown);
  const late = text === "no answer in time";
  return refusalOf(
    late ? "timeout" : "unreachable",
    late ? `${address}:${port} does not answer` : `${address}:${port} cannot be reached`,
  );
}

const nothing = new Uint8Array();
