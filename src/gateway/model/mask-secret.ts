/**
 * Overwrites a secret with asterisks in a stream of bytes, wherever the chunks are cut. An endpoint that repeats the
 * credential in an error message would otherwise hand it to the sandbox. Lengths stay as they are.
 *
 * Bytes are held back only while they may be the beginning of the secret.
 */
export interface SecretMask {
  write(chunk: Buffer): Buffer;
  /** What was held back. */
  end(): Buffer;
  text(text: string): string;
}

/** Shorter ones would be found in innocent text. */
const shortestSecret = 8;

export function createSecretMask(secret: string): SecretMask {
  const needle = Buffer.from(secret);
  const stars = Buffer.alloc(needle.length, "*");
  let held: Buffer = Buffer.alloc(0);
  if (needle.length < shortestSecret) {
    return { write: (chunk) => chunk, end: () => held, text: (text) => text };
  }

  return {
    write(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      let at = bytes.indexOf(needle);
      const clean = at < 0 ? bytes : Buffer.from(bytes);
      while (at >= 0) {
        stars.copy(clean, at);
        at = clean.indexOf(needle, at + needle.length);
      }
      const keep = beginningAtEnd(clean, needle);
      // A copy: the chunk's memory may be used again by whoever gave it.
      held = Buffer.from(clean.subarray(clean.length - keep));
      return clean.subarray(0, clean.length - keep);
    },
    end: () => held,
    text: (text) => text.replaceAll(secret, "*".repeat(needle.length)),
  };
}

/** How many bytes at the end of `bytes` are the beginning of `needle`. */
function beginningAtEnd(bytes: Buffer, needle: Buffer): number {
  for (let count = Math.min(needle.length - 1, bytes.length); count > 0; count--) {
    if (bytes.subarray(bytes.length - count).equals(needle.subarray(0, count))) return count;
  }
  return 0;
}
