import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { CcwError } from "../domain/errors.ts";
import type { GitCall } from "../domain/git-server.ts";

/** Request bodies that may not pass a size, counted in what git gets to read: a few bytes of gzip can hold a gigabyte. */

/** What git itself takes at most as a fetch request (GIT_HTTP_MAX_REQUEST_BUFFER), here after inflating. */
export const maxFetchRequestBytes = 10 * 1024 * 1024;

/**
 * A request's body for a server elsewhere, bytes unchanged: a fetch's may not be larger than git takes, unpacked; a
 * push is git's own bytes, which are never compressed again. Throws `invalid` and `too_large` as it is read.
 */
export function boundedRequest({ service, headers, body }: GitCall): AsyncIterable<Uint8Array> | undefined {
  if (body === undefined) return undefined;
  const { contentType, contentEncoding = "identity" } = headers;
  if (contentType !== `application/x-${service}-request`) {
    throw new CcwError("invalid", `This address takes application/x-${service}-request only.`);
  }
  if (contentEncoding === "identity") {
    return service === "git-upload-pack" ? limited(body, maxFetchRequestBytes) : body;
  }
  if (service === "git-upload-pack" && /^(x-)?gzip$/.test(contentEncoding)) {
    return measuredGzip(body, maxFetchRequestBytes);
  }
  throw new CcwError("invalid", "This content encoding is not taken here.");
}

/** The bytes as they come; throws as `inflated` does. */
async function* measuredGzip(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  let total = 0;
  gunzip.on("data", (chunk: Uint8Array) => {
    total += chunk.length;
    if (total > maxBytes) gunzip.destroy();
  });
  const bad = new Promise<boolean>((resolve) => gunzip.once("error", () => resolve(false)));
  const closed = new Promise<boolean>((resolve) => gunzip.once("close", () => resolve(false)));
  const ended = new Promise<boolean>((resolve) => gunzip.once("end", () => resolve(true)));
  const judge = (fine: boolean) => {
    if (total > maxBytes) throw new CcwError("too_large", `The request is over ${maxBytes / 1024 ** 2} MiB.`);
    if (!fine) throw new CcwError("invalid", "The request's body is not the gzip that its header promises.");
  };
  try {
    for await (const chunk of body) {
      const taken = new Promise<boolean>((resolve) => gunzip.write(chunk, (error) => resolve(error == null)));
      judge(await Promise.race([taken, bad, closed]));
      yield chunk;
    }
    gunzip.end();
    judge(await Promise.race([ended, bad]));
  } finally {
    gunzip.destroy();
  }
}

/**
 * The same bytes, once `bytes` of them or all have come: what fails among those fails here and not later. With 0 they
 * are passed on as they are.
 */
export async function firstOf(
  body: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<AsyncIterable<Uint8Array>> {
  if (bytes === 0) return body;
  const chunks = body[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let held = 0;
  let ended = false;
  while (held < bytes && !ended) {
    const { done, value } = await chunks.next();
    if (done === true) ended = true;
    else {
      first.push(value);
      held += value.length;
    }
  }
  return (async function* () {
    try {
      yield* first;
      if (!ended) yield* { [Symbol.asyncIterator]: () => chunks };
    } finally {
      await chunks.return?.();
    }
  })();
}

/** Throws `too_large` once more than `maxBytes` came. */
export async function* limited(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  what = "request",
): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of body) {
    total += chunk.length;
    if (total > maxBytes) {
      throw new CcwError("too_large", `The ${what} is over ${maxBytes / 1024 ** 2} MiB.`);
    }
    yield chunk;
  }
}

/** Unpacks gzip as it comes; throws `too_large` past `maxBytes` of unpacked bytes, `invalid` where it is no gzip. */
export async function* inflated(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const source = Readable.from(body, { objectMode: false });
  // Its failure arrives by the iteration below as well.
  const fed = pipeline(source, gunzip).catch(() => undefined);
  try {
    yield* limited(gunzip, maxBytes);
  } catch (error) {
    if (error instanceof CcwError) throw error;
    throw new CcwError("invalid", "The request's body is not the gzip that its header promises.");
  } finally {
    gunzip.destroy();
    source.destroy();
    await fed;
  }
}

/** gitprotocol-http(5): the version, and keys as git has them; anything else is left out. */
export function protocolOf(value: string | undefined): string | undefined {
  return value !== undefined && /^version=[012](:[a-z0-9=.-]{1,64}){0,4}$/.test(value) ? value : undefined;
}
