import { createHash } from "node:crypto";
import { CcwError } from "../domain/errors.ts";
import type { GitAnswer } from "../domain/git-server.ts";
import { lfsJson } from "../domain/lfs-answers.ts";
import type { LfsAction } from "./lfs-tickets.ts";
import type { UpstreamHttp, UpstreamResponse } from "./upstream-http.ts";

/**
 * Where a request to this address may go: an address to dial, or undefined to dial it by its name. Throws `forbidden`
 * where what it names is not for the appliance to reach, `unavailable` where it cannot be looked up.
 */
export type Reach = (url: URL) => Promise<string | undefined>;

/** Carries out what a server told to do with an object: its bytes to and from wherever they are kept. */
export interface LfsTransfer {
  download(action: LfsAction, range: string | undefined, signal: AbortSignal): Promise<GitAnswer>;
  upload(action: LfsAction, content: Content, signal: AbortSignal): Promise<GitAnswer>;
  verify(action: LfsAction, signal: AbortSignal): Promise<GitAnswer>;
}

export interface Content {
  body: AsyncIterable<Uint8Array>;
  contentLength: number | undefined;
}

const maxRedirects = 3;

export function createLfsTransfer({ http, reach }: { http: UpstreamHttp; reach: Reach }): LfsTransfer {
  async function send(
    { url, headers }: Pick<LfsAction, "url" | "headers">,
    method: "GET" | "POST" | "PUT",
    own: Record<string, string>,
    signal: AbortSignal,
    body?: AsyncIterable<Uint8Array>,
  ): Promise<UpstreamResponse> {
    const address = await reach(url);
    return http.send({ url, address, method, headers: { ...sendable(headers), ...own }, signal, body });
  }

  /** Object stores behind a forge are often a redirect away. What was meant for one host is not taken to another. */
  async function get(action: LfsAction, own: Record<string, string>, signal: AbortSignal) {
    let { url, headers } = action;
    for (let redirects = 0; ; redirects += 1) {
      const response = await send({ url, headers }, "GET", own, signal);
      if (![301, 302, 303, 307, 308].includes(response.status)) return response;
      response.discard();
      const next = redirects === maxRedirects ? null : URL.parse(response.headers.location ?? "", url);
      if (next === null || !isPlainAddress(next)) throw refusedBy(url, "sends on to where nobody follows");
      if (next.origin !== url.origin) headers = {};
      url = next;
    }
  }

  return {
    async download(action, range, signal) {
      const { size } = action.object;
      const own = { "accept-encoding": "identity", ...(range === undefined ? {} : { range }) };
      const response = await get(action, own, signal);
      const { status, headers } = response;
      const part = contentRange.exec(headers["content-range"] ?? "");
      const [first, last, whole] = (part ?? []).slice(1).map(Number);
      if (status === 206 && range !== undefined && first !== undefined && last !== undefined) {
        if (whole === size && first <= last && last < size) {
          const bytes = last - first + 1;
          return answerOf(206, response, bytes, { "content-range": `bytes ${first}-${last}/${size}` });
        }
      }
      const announced = headers["content-length"];
      const encoded = (headers["content-encoding"] ?? "identity") !== "identity";
      if (status === 200 && !encoded && (announced === undefined || Number(announced) === size)) {
        return answerOf(200, response, size, {});
      }
      response.discard();
      if (status !== 200 && status !== 206) throw failed(action, status);
      throw refusedBy(action.url, `has another size than the ${size} bytes that it promised`);
    },

    async upload(action, { body, contentLength }, signal) {
      const { size, oid } = action.object;
      if (contentLength !== undefined && contentLength !== size) throw anotherSize(size);
      const chunked = /chunked/i.test(headerOf(action.headers, "transfer-encoding") ?? "");
      const own = {
        ...(headerOf(action.headers, "content-type") ? {} : { "content-type": "application/octet-stream" }),
        ...(chunked ? {} : { "content-length": String(size) }),
      };
      const content = checked(body, size, oid);
      const response = await send(action, "PUT", own, signal, content.body);
      response.discard();
      if (response.status < 200 || response.status > 299) throw failed(action, response.status);
      if (!content.passed()) throw refusedBy(action.url, "did not wait for all of it");
      return lfsJson(200, {});
    },

    async verify(action, signal) {
      const type = "application/vnd.git-lfs+json";
      const bytes = Buffer.from(JSON.stringify(action.object));
      const own = { accept: type, "content-type": type, "content-length": String(bytes.length) };
      const response = await send(action, "POST", own, signal, once(bytes));
      response.discard();
      if (response.status < 200 || response.status > 299) throw failed(action, response.status);
      return lfsJson(200, {});
    },
  };
}

/** http and https, and no name and password in the address: they are no part of what a server answers. */
export function isPlainAddress(url: URL): boolean {
  return /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}

const contentRange = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/;

/** Those that belong to a connection, or that the appliance writes itself (RFC 9110, 7.6.1). */
const notSent =
  /^(connection|keep-alive|te|trailer|transfer-encoding|upgrade|proxy-.*|host|expect|content-length|range)$/i;

function sendable(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      notSent.test(name) ? [] : [[name.toLowerCase(), value]],
    ),
  );
}

export function headerOf(headers: Record<string, string>, name: string): string | undefined {
  return Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1];
}

function answerOf(
  status: number,
  response: UpstreamResponse,
  bytes: number,
  more: Record<string, string>,
): GitAnswer {
  return {
    status,
    headers: { "content-type": "application/octet-stream", "content-length": String(bytes), ...more },
    body: exactly(response.body, bytes),
  };
}

/** Breaks off at a byte too many, and at an end too soon. */
async function* exactly(body: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of body) {
    left -= chunk.length;
    if (left < 0) break;
    yield chunk;
  }
  if (left !== 0)
    throw new CcwError("unavailable", `The object is not the ${bytes} bytes that it should be.`);
}

/**
 * The bytes as they come, but for the last of them: those go on only when all of it is what its name says, so that
 * nobody leaves other content under a name that somebody else will ask for.
 */
function checked(
  source: AsyncIterable<Uint8Array>,
  size: number,
  oid: string,
): { body: AsyncIterable<Uint8Array>; passed(): boolean } {
  let passed = false;
  async function* body(): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    let length = 0;
    let held: Uint8Array | undefined;
    for await (const chunk of source) {
      if (chunk.length === 0) continue;
      length += chunk.length;
      if (length > size) throw anotherSize(size);
      hash.update(chunk);
      if (held !== undefined) yield held;
      held = chunk;
    }
    if (length !== size) throw anotherSize(size);
    if (hash.digest("hex") !== oid) {
      throw new CcwError("invalid", `What was sent is not the object ${oid}: its SHA-256 is another.`);
    }
    passed = true;
    if (held !== undefined) yield held;
  }
  return { body: body(), passed: () => passed };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const anotherSize = (size: number) =>
  new CcwError("invalid", `What was sent is not the ${size} bytes that were announced.`);

const refusedBy = (url: URL, what: string) =>
  new CcwError("unavailable", `${url.host}, which has the object, ${what}.`);

/** What the server wrote is not shown: object stores answer with what they were asked, signatures included. */
function failed({ kind, object, url }: LfsAction, status: number): CcwError {
  const verb = { download: "hand out", upload: "take", verify: "confirm" }[kind];
  const code = status === 404 ? "not_found" : status === 429 ? "rate_limited" : "unavailable";
  return new CcwError(
    code,
    `${url.host} did not ${verb} the object ${object.oid} (${status}).`,
    "Try again.",
  );
}
