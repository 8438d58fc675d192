// The library's container of parts (tsyringe) asks for it as it loads.
import "reflect-metadata";

import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
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
  const { issuer, subject, notBefore, notAfter, serialNumber, publicKey } = request;
  const certificate = await X509CertificateGenerator.create({
    ...{ serialNumber, notBefore, notAfter, publicKey },
    subject: `CN=${subject}`,
    issuer: `CN=${issuer.name}`,
    signingKey: issuer.privateKey,
    signingAlgorithm: { ...keyAlgorithm, hash: "SHA-256" },
    extensions: [
      ...extensionsOf(request),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

function extensionsOf({ purpose }: CertificateRequest): Extension[] {
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
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension([{ type: ipaddr.isValid(host) ? "ip" : "dns", value: host }]),
  ];
}
