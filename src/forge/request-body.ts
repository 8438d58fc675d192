import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { CcwError } from "../domain/errors.ts";

/** Request bodies that may not pass a size, counted in what git gets to read: a few bytes of gzip can hold a gigabyte. */

/** Throws `too_large` once more than `maxBytes` came. */
export async function* limited(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of body) {
    total += chunk.length;
    if (total > maxBytes) {
      throw new CcwError("too_large", `The request is over ${maxBytes / 1024 ** 2} MiB.`);
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
