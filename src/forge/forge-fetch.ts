import { CcwError, messageOf } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { ForgeNetwork } from "./forge-network.ts";

/** As much of `fetch` as the forges' clients use. */
export type ForgeFetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface ForgeFetchOptions {
  network: ForgeNetwork;
  /** Of the API. No other origin is asked for anything: every request has the credential with it. */
  origin: string;
  /** For a whole answer; default 20 s. */
  withinMs?: number;
  /** Default 16 MiB. */
  maxAnswerBytes?: number;
}

const maxRedirects = 3;

/**
 * Requests to one forge's API. Answers are read whole, up to a bound, so that half of one is an error here and never
 * data. A redirect within the origin is followed for reading; any other is handed back as it is, unfollowed. Rejects
 * with `unavailable` where no whole answer comes, `forbidden` for another origin, `too_large` past the bound.
 */
export function createForgeFetch(options: ForgeFetchOptions): ForgeFetch {
  const { network, withinMs = 20_000, maxAnswerBytes = 16 * 1024 ** 2 } = options;
  const origin = new URL(options.origin).origin;
  const { host } = new URL(origin);

  return async (input, init = {}) => {
    const request = input instanceof Request ? input : undefined;
    const method = (init.method ?? request?.method ?? "GET").toUpperCase();
    let url = new URL(request?.url ?? input.toString());
    if (url.origin !== origin) {
      throw new CcwError(
        "forbidden",
        `${host} names an address of another server, ${plainLine(url.host).slice(0, 200)}, and nothing is sent there.`,
        "Look at the forge's API address: the credential goes to that one alone.",
      );
    }
    const body = init.body ?? (request?.body ? await request.arrayBuffer() : null);
    const late = AbortSignal.timeout(withinMs);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    try {
      for (let redirects = 0; ; redirects += 1) {
        const response = await fetch(url, {
          method,
          body,
          headers: init.headers ?? request?.headers ?? {},
          signal,
          redirect: "manual",
          ...(network.proxy !== undefined && { proxy: network.proxy }),
          ...(network.authorities !== undefined && { tls: { ca: [...network.authorities] } }),
        });
        const next = method === "GET" ? redirectOf(response, url) : undefined;
        if (next === undefined || next.origin !== origin || redirects === maxRedirects)
          return answerFrom(url.href, await readWhole(response, method, host, maxAnswerBytes));
        await response.body?.cancel();
        url = next;
      }
    } catch (cause) {
      if (cause instanceof CcwError) throw cause;
      if (init.signal?.aborted) throw init.signal.reason;
      const text = late.aborted
        ? `${host} has not answered within ${withinMs / 1000} s.`
        : `${host} cannot be reached: ${plainLine(messageOf(cause)).slice(0, 300)}.`;
      throw new CcwError("unavailable", text, reachHint(messageOf(cause)), { cause });
    }
  };
}

/** An answer made here says where it is from, as one of `fetch` does: octokit's pages are counted by that. */
export function answerFrom(url: string, response: Response): Response {
  return Object.defineProperty(response, "url", { value: url });
}

function redirectOf(response: Response, from: URL): URL | undefined {
  const location = response.headers.get("location");
  if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return undefined;
  return URL.parse(location, from) ?? undefined;
}

async function readWhole(
  response: Response,
  method: string,
  host: string,
  maxBytes: number,
): Promise<Response> {
  const { status, statusText, headers } = response;
  // What was announced is for the bytes on the wire: of a packed answer it says nothing about what comes out.
  const packed = headers.has("content-encoding");
  const announced = packed || method === "HEAD" ? undefined : (headers.get("content-length") ?? undefined);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > maxBytes) {
        const text = `${host} answers with more than ${maxBytes / 1024 ** 2} MiB, which is not read.`;
        throw new CcwError("too_large", text);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof CcwError || (cause instanceof Error && cause.name === "TimeoutError")) throw cause;
    throw half(host, cause);
  }
  if (announced !== undefined && length !== Number(announced) && status !== 304) throw half(host);
  const whole = Buffer.concat(chunks);
  if (/\bjson\b/.test(headers.get("content-type") ?? "") && length > 0 && !isJson(whole)) throw half(host);
  const kept = new Headers(headers);
  for (const name of ["content-encoding", "content-length", "transfer-encoding"]) kept.delete(name);
  const bodiless = [204, 205, 304].includes(status);
  return new Response(bodiless ? null : whole, { status, statusText, headers: kept });
}

const half = (host: string, cause?: unknown) =>
  new CcwError("unavailable", `${host} ended its answer half-way.`, "Try again.", { cause });

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

function reachHint(reason: string): string {
  return /certificate|self.signed|issuer/i.test(reason)
    ? "If its certificate is of your company's own authority, name that in ccw.toml: `ca_file` under [egress]."
    : "Look at its address, at the network, and at `upstream_proxy` under [egress] of ccw.toml.";
}
