import { createHash } from "node:crypto";

/**
 * A trust store that every JVM reads without any setting but its path: the JKS format, which asks for no password
 * to read certificates from (sun.security.provider.JavaKeyStore describes it; a PKCS #12 file would need one before
 * JDK 18). `certificates` are in DER.
 */
export function javaTrustStore(certificates: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat([
    int32(0xfeedfeed),
    int32(2),
    int32(certificates.length),
    ...certificates.flatMap((certificate, index) => [
      int32(trustedCertificate),
      utf(`authority-${index + 1}`),
      // When it was added. Always the same, so that the same certificates make the same file.
      Buffer.alloc(8),
      utf("X.509"),
      int32(certificate.length),
      certificate,
    ]),
  ]);
  const digest = createHash("sha1")
    .update(Buffer.from(password, "utf16le").swap16())
    .update("Mighty Aphrodite")
    .update(body)
    .digest();
  return Buffer.concat([body, digest]);
}

/** The one that Java's own store has, and that `keytool` users type. */
const password = "changeit";
const trustedCertificate = 2;

function int32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function utf(ascii: string): Uint8Array {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(ascii.length);
  return Buffer.concat([bytes, Buffer.from(ascii, "latin1")]);
}
