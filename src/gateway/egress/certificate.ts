import "reflect-metadata";
import type { Extension } from "@peculiar/x509";
import ipaddr from "ipaddr.js";

/** What a certificate of ours says (RFC 5280, section 4). All keys are P-256, all signatures ECDSA with SHA-256. */
export interface CertificateRequest {
  publicKey: CryptoKey;
  /** Common names; two different ones, or the certificate is its own issuer. */
  subject: string;
  issuer: { name: string; publicKey: CryptoKey; privateKey: CryptoKey };
  /** Hex; at most 20 bytes, not zero. */
  serialNumber: string;
  notBefore: Date;
  notAfter: Date;
  /** `authority`: signs leaves and nothing below them. `server`: for one host, a canonical name or address. */
  purpose: { kind: "authority" } | { kind: "server"; host: string };
}

export const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;

/** Signs a certificate; takes some milliseconds. */
export async function certificatePem(request: CertificateRequest): Promise<string> {
  const library = await loadLibrary();
  const { issuer, subject, notBefore, notAfter, serialNumber, publicKey } = request;
  const certificate = await library.X509CertificateGenerator.create({
    ...{ serialNumber, notBefore, notAfter, publicKey },
    subject: `CN=${subject}`,
    issuer: `CN=${issuer.name}`,
    signingKey: issuer.privateKey,
    signingAlgorithm: { ...keyAlgorithm, hash: "SHA-256" },
    extensions: [
      ...extensionsOf(library, request),
      await library.SubjectKeyIdentifierExtension.create(publicKey),
      await library.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

type Library = Awaited<ReturnType<typeof loadLibrary>>;

/**
 * Its container of parts (tsyringe) asks for reflect-metadata as it loads. Of two static imports, neither the runtime
 * nor the bundler promises that the first is run first, where packages are CommonJS.
 */
function loadLibrary() {
  return import("@peculiar/x509");
}

function extensionsOf(library: Library, { purpose }: CertificateRequest): Extension[] {
  const { BasicConstraintsExtension, ExtendedKeyUsage, KeyUsageFlags, KeyUsagesExtension } = library;
  if (purpose.kind === "authority") {
    return [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ];
  }
  const { host } = purpose;
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new library.ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new library.SubjectAlternativeNameExtension([{ type: ipaddr.isValid(host) ? "ip" : "dns", value: host }]),
  ];
}
