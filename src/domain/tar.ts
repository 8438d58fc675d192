const block = 512;

/**
 * The header of a regular file in a tar archive (POSIX.1-2017 pax, "ustar Interchange Format"), readable by its owner
 * alone. `name`: ASCII, at most 100 characters; `at` in milliseconds since the epoch.
 */
export function tarHeader(name: string, size: number, at: number): Uint8Array {
  const header = new Uint8Array(block);
  const put = (offset: number, text: string) => header.set(new TextEncoder().encode(text), offset);
  const octal = (value: number, digits: number) => `${Math.floor(value).toString(8).padStart(digits, "0")}\0`;
  put(0, name);
  put(100, octal(0o600, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(at / 1000, 11));
  put(156, "0");
  put(257, "ustar\x0000");
  // Counted with blanks in its own place.
  put(148, " ".repeat(8));
  put(
    148,
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
  );
  return header;
}

/** What follows a file of this size: a tar archive is made of whole blocks. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((block - (size % block)) % block);
}

/** Ends an archive. */
export const tarEnd = new Uint8Array(2 * block);
