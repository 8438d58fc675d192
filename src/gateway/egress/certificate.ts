import { createHash, type KeyObject, sign } from "node:crypto";
import ipaddr from "ipaddr.js";
import {
  bits,
  boolean,
  type Der,
  explicit,
  implicit,
  integer,
  objectId,
  octets,
  sequence,
  set,
  time,
  utf8,
} from "./der.ts";

/** What a certificate of ours says (RFC 5280, section 4). All keys are P-256, all signatures ECDSA with SHA-256. */
export interface CertificateRequest {
  publicKey: KeyObject;
  /** Common names; two different ones, or the certificate is its own issuer. */
  subject: string;
  issuer: { name: string; publicKey: KeyObject; privateKey: KeyObject };
  /** Big-endian; at most 20 bytes, not zero. */
  serial: Uint8Array;
  /** Milliseconds since the epoch; both seconds belong to the certificate's life. */
  notBefore: number;
  notAfter: number;
  /** `authority`: signs leaves and nothing below them. `server`: for one host, a canonical name or address. */
  purpose: { kind: "authority" } | { kind: "server"; host: string };
}

/** Signs a certificate; takes a fifth of a millisecond. */
export function certificatePem(request: CertificateRequest): string {
  const { issuer, subject, notBefore, notAfter } = request;
  const toBeSigned = sequence(
    explicit(0, integer(Uint8Array.of(2))),
    integer(request.serial),
    ecdsaWithSha256,
    nameOf(issuer.name),
    sequence(time(notBefore), time(notAfter)),
    nameOf(subject),
    spkiOf(request.publicKey),
    explicit(3, sequence(...extensionsOf(request))),
  );
  const signature = sign("sha256", toBeSigned, issuer.privateKey);
  const whole = sequence(toBeSigned, ecdsaWithSha256, bits(signature));
  const lines =
    Buffer.from(whole)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"));

function extensionsOf({ purpose, issuer, publicKey }: CertificateRequest): Der[] {
  const keyIds = [
    extension("2.5.29.14", octets(keyIdOf(publicKey))),
    extension("2.5.29.35", sequence(implicit(0, keyIdOf(issuer.publicKey)))),
  ];
  if (purpose.kind === "authority") {
    return [
      extension("2.5.29.19", sequence(boolean(true), integer(Uint8Array.of(0))), "critical"),
      // keyCertSign and cRLSign: bits 5 and 6 of 7.
      extension("2.5.29.15", bits(Uint8Array.of(0b0000_0110), 1), "critical"),
      ...keyIds,
    ];
  }
  return [
    extension("2.5.29.19", sequence(), "critical"),
    // digitalSignature: bit 0 of 1.
    extension("2.5.29.15", bits(Uint8Array.of(0b1000_0000), 7), "critical"),
    extension("2.5.29.37", sequence(objectId("1.3.6.1.5.5.7.3.1"))),
    extension("2.5.29.17", sequence(alternativeName(purpose.host))),
    ...keyIds,
  ];
}

function extension(id: string, value: Der, critical?: "critical"): Der {
  return sequence(objectId(id), ...(critical === undefined ? [] : [boolean(true)]), octets(value));
}

/** `dNSName` or `iPAddress` (section 4.2.1.6). */
function alternativeName(host: string): Der {
  return ipaddr.isValid(host)
    ? implicit(7, Uint8Array.from(ipaddr.parse(host).toByteArray()))
    : implicit(2, Buffer.from(host, "latin1"));
}

function nameOf(commonName: string): Der {
  return sequence(set(sequence(objectId("2.5.4.3"), utf8(commonName))));
}

/** SHA-1 of the public key's bits (section 4.2.1.2, first method): a name for the key, not a protection of it. */
function keyIdOf(publicKey: KeyObject): Der {
  // The last 65 bytes of a P-256 key's SubjectPublicKeyInfo are the point, uncompressed.
  return createHash("sha1").update(spkiOf(publicKey).subarray(-65)).digest();
}

function spkiOf(publicKey: KeyObject): Der {
  return publicKey.export({ type: "spki", format: "der" });
}
