import { createHash } from "node:crypto";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** A file as it is sent, in each way that makes it smaller. */
export interface CompressedFile {
  /** Follows from its content. */
  etag: string;
  identity: Uint8Array;
  gzip?: Uint8Array;
  /** Browsers ask for it over HTTPS, and of this machine's own name. */
  br?: Uint8Array;
}

export function compressed(identity: Uint8Array): CompressedFile {
  const gzip = gzipSync(identity, { level: 9 });
  const br = brotliCompressSync(identity, {
    params: { [constants.BROTLI_PARAM_SIZE_HINT]: identity.length },
  });
  const worthIt = (bytes: Uint8Array) => bytes.length < identity.length * 0.9;
  return {
    etag: createHash("sha256").update(identity).digest("base64url").slice(0, 22),
    identity,
    ...(worthIt(gzip) && { gzip }),
    ...(worthIt(br) && { br }),
  };
}
