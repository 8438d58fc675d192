import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { CcwError, messageOf } from "../../domain/errors.ts";
import { certificatePem, keyAlgorithm } from "./certificate.ts";

/** The appliance's certificate authority: trusted in its own sandboxes, and nowhere else. */
export interface Authority {
  /** To be trusted by the sandboxes. */
  readonly certificatePem: string;
  /**
   * The certificate to show in the name of `host`, which is canonical: a name in lower-case ASCII, or an IP address
   * without brackets. Rejects once the authority itself has expired.
   */
  leafFor(host: string): Promise<Leaf>;
}

export interface Leaf {
  /** Both in PEM. */
  key: string;
  cert: string;
}

export interface AuthorityOptions {
  /** Made, for this user alone, if it is missing. */
  folder: string;
  now: () => number;
}

const hourMs = 60 * 60_000;
const dayMs = 24 * hourMs;
const authorityMs = 3650 * dayMs;
const leafMs = 7 * dayMs;
/** A leaf that ends sooner than this is minted again: connections outlive the moment at which they begin. */
const leafReserveMs = dayMs;
const keptLeaves = 1000;
const namePattern = /^CN=(ccw-server [0-9a-f]{8})$/;

/**
 * Opens the authority that lies in `authority.pem` of the folder, or makes one at the very first start. One that
 * cannot be used is never replaced: sandboxes that live would no longer trust what the appliance shows them. Throws
 * `invalid` for such a file, and `unavailable` for one that cannot be read or written.
 */
export async function openAuthority({ folder, now }: AuthorityOptions): Promise<Authority> {
  const path = join(folder, "authority.pem");
  const root = existsSync(path) ? await readRoot(path, now()) : await makeRoot(folder, path, now());
  // One key for all leaves: making a pair for each would only slow the first connection to a host.
  const leafKey = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const key = await pemOf(leafKey.privateKey);
  const leaves = new Map<string, { leaf: Promise<Leaf>; notBefore: number; notAfter: number }>();

  const mint = async (host: string, notBefore: number, notAfter: number): Promise<Leaf> => ({
    key,
    cert: await certificatePem({
      publicKey: leafKey.publicKey,
      subject: "ccw-server egress proxy",
      issuer: root,
      serialNumber: serialNumber(),
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      purpose: { kind: "server", host },
    }),
  });

  return {
    certificatePem: root.pem,
    async leafFor(host) {
      const at = now();
      const known = leaves.get(host);
      leaves.delete(host);
      if (known !== undefined && known.notBefore <= at && at < known.notAfter - leafReserveMs) {
        // Set anew, so that the map's order is that of use.
        leaves.set(host, known);
        return await known.leaf;
      }
      refuseOutOfDate(root.certificate, path, at);
      const notBefore = at - hourMs;
      const notAfter = Math.min(at + leafMs, root.certificate.validToDate.getTime());
      const leaf = mint(host, notBefore, notAfter);
      leaf.catch(() => leaves.delete(host));
      leaves.set(host, { leaf, notBefore, notAfter });
      const [oldest] = leaves.keys();
      if (leaves.size > keptLeaves && oldest !== undefined) leaves.delete(oldest);
      return await leaf;
    },
  };
}

interface Root {
  name: string;
  pem: string;
  certificate: X509Certificate;
  publicKey: CryptoKey;
  privateKey: CryptoKey;
}

async function makeRoot(folder: string, path: string, at: number): Promise<Root> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const name = `ccw-server ${randomBytes(4).toString("hex")}`;
  const pem = await certificatePem({
    publicKey,
    subject: name,
    issuer: { name, publicKey, privateKey },
    serialNumber: serialNumber(),
    // A day of grace for clocks: the sandboxes' is this machine's, but it may yet be set right.
    notBefore: new Date(at - dayMs),
    notAfter: new Date(at + authorityMs),
    purpose: { kind: "authority" },
  });
  const keyPem = await pemOf(privateKey);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    writeWhole(folder, path, `${pem}${keyPem}`);
  } catch (cause) {
    throw new CcwError(
      "unavailable",
      `The appliance's certificate authority cannot be written to ${path}: ${messageOf(cause)}.`,
      "Let this user write to the data folder.",
      { cause },
    );
  }
  return { name, pem, certificate: new X509Certificate(pem), publicKey, privateKey };
}

/** Either nothing or all of it lies at `path`, whenever the machine stops. */
function writeWhole(folder: string, path: string, text: string): void {
  const part = `${path}.new`;
  const file = openSync(part, "w", 0o600);
  try {
    chmodSync(part, 0o600);
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(part, path);
  const entry = openSync(folder, "r");
  fsyncSync(entry);
  closeSync(entry);
}

async function readRoot(path: string, at: number): Promise<Root> {
  const text = readText(path);
  const pem = blockOf(text, "CERTIFICATE");
  const keyPem = blockOf(text, "PRIVATE KEY");
  if (pem === undefined || keyPem === undefined) {
    throw unusable(path, "it does not hold a whole certificate and a whole key");
  }
  let certificate: X509Certificate;
  let privateKey: KeyObject;
  try {
    certificate = new X509Certificate(pem);
    privateKey = createPrivateKey(keyPem);
  } catch (cause) {
    throw unusable(path, `it cannot be decoded (${messageOf(cause)})`);
  }
  const name = namePattern.exec(certificate.subject)?.[1];
  if (name === undefined || !certificate.ca) throw unusable(path, "ccw-server has not made it");
  if (!certificate.checkPrivateKey(privateKey)) throw unusable(path, "its key and certificate do not match");
  refuseOutOfDate(certificate, path, at);
  const { subtle } = crypto;
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return {
    name,
    pem,
    certificate,
    publicKey: await subtle.importKey("spki", spki, keyAlgorithm, true, ["verify"]),
    privateKey: await subtle.importKey("pkcs8", pkcs8, keyAlgorithm, false, ["sign"]),
  };
}

function readText(path: string): string {
  try {
    chmodSync(path, 0o600);
    return readFileSync(path, "latin1");
  } catch (cause) {
    throw new CcwError(
      "unavailable",
      `The appliance's certificate authority ${path} cannot be read: ${messageOf(cause)}.`,
      "Let the user that runs the server own this file.",
      { cause },
    );
  }
}

function blockOf(text: string, label: string): string | undefined {
  return new RegExp(`-----BEGIN ${label}-----\n[A-Za-z0-9+/=\n]+-----END ${label}-----\n`).exec(text)?.[0];
}

function refuseOutOfDate({ validFromDate, validToDate }: X509Certificate, path: string, at: number): void {
  if (at > validToDate.getTime()) throw unusable(path, `it expired on ${dayOf(validToDate)}`);
  if (at >= validFromDate.getTime()) return;
  throw new CcwError(
    "invalid",
    `The appliance's certificate authority ${path} is valid from ${dayOf(validFromDate)}, and it is ${dayOf(new Date(at))}.`,
    "Set this machine's clock.",
  );
}

function unusable(path: string, why: string): CcwError {
  return new CcwError(
    "invalid",
    `The appliance's certificate authority ${path} cannot be used: ${why}.`,
    "Put it back from a back-up of the data folder; or end all tasks and move the file away: the next start makes a new authority.",
  );
}

async function pemOf(privateKey: CryptoKey): Promise<string> {
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", privateKey));
  return createPrivateKey({ key: pkcs8, type: "pkcs8", format: "der" })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
}

/** Not negative, not zero (RFC 5280, section 4.1.2.2). */
const serialNumber = (): string => `01${randomBytes(15).toString("hex")}`;
const dayOf = (date: Date): string => date.toISOString().slice(0, 10);
