import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { browserPolicy, browserPolicyFolders } from "./browser-policies.ts";
import { javaTrustStore } from "./java-trust-store.ts";

/** Where programs in the sandbox find the authorities to believe. */
export interface TrustFiles {
  /** The system's authorities and the appliance's, in PEM. */
  bundle: string;
  /** The appliance's alone, in PEM, for programs that add a file to a list of their own. */
  own: string;
  /** The same as `bundle`, for Java. */
  javaStore: string;
}

export interface TrustOptions {
  /** PEM, one or several. */
  certificate: string;
  /** The sandbox's `/`. */
  root: string;
  /** Authorities of the public internet in PEM, for an image that brings none. */
  publicAuthorities: () => readonly string[];
}

/** Debian, Alpine and Arch; Fedora and RHEL; SUSE; Alpine and BSD. The first that exists is the one for variables. */
const systemBundles = [
  "etc/ssl/certs/ca-certificates.crt",
  "etc/pki/tls/certs/ca-bundle.crt",
  "etc/ssl/ca-bundle.pem",
  "etc/ssl/cert.pem",
];
/** Where the system's own command looks when it writes the bundle anew, as the installation of a package may have it. */
const debianAnchors = "usr/local/share/ca-certificates";
const anchorFolders = [
  debianAnchors,
  "etc/pki/ca-trust/source/anchors",
  "etc/pki/trust/anchors",
  "etc/ca-certificates/trust-source/anchors",
];

/**
 * Makes the whole sandbox believe the appliance's authorities, by writing files alone: it needs no tool of the image
 * and takes a few milliseconds. Done again, it changes nothing, unless the bundle was made anew without them.
 */
export function installTrust({ certificate, root, publicAuthorities }: TrustOptions): TrustFiles {
  const certificates = blocksOf(certificate);
  const present = systemBundles.map((path) => join(root, path)).filter((path) => existsSync(path));
  const bundle = present[0] ?? join(root, "etc/ssl/certs/ca-certificates.crt");
  if (present.length === 0) writeIfOther(bundle, pemOf(blocksOf(publicAuthorities().join("\n"))));
  for (const path of new Set([bundle, ...present].map((each) => realpathSync(each)))) {
    const text = readFileSync(path, "latin1");
    const known = new Set(blocksOf(text));
    const missing = certificates.filter((each) => !known.has(each));
    if (missing.length === 0) continue;
    addAnchors(root, missing);
    writeFileSync(path, `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${pemOf(missing)}`);
  }

  const folder = join(root, "var/lib/ccw/trust");
  const own = join(folder, "appliance.pem");
  const javaStore = join(folder, "java.jks");
  writeIfOther(own, pemOf(certificates));
  writeIfOther(javaStore, javaTrustStore(blocksOf(readFileSync(bundle, "latin1")).map(derOf)));
  // An image may have no browser yet, and get one in its set-up.
  for (const each of browserPolicyFolders)
    writeIfOther(join(root, each, "ccw-server.json"), browserPolicy(certificates));
  return { bundle, own, javaStore };
}

/** One certificate a file, as update-ca-certificates(8) wants it, under a name that stays the same. */
function addAnchors(root: string, certificates: readonly string[]): void {
  for (const each of anchorFolders) {
    const folder = join(root, each);
    // Debian's exists in no image without the package that reads it, which may be installed later.
    if (each !== debianAnchors && !existsSync(folder)) continue;
    for (const certificate of certificates) {
      const name = createHash("sha256").update(derOf(certificate)).digest("hex").slice(0, 16);
      writeIfOther(join(folder, `ccw-server-${name}.crt`), pemOf([certificate]));
    }
  }
}

/** The base64 of each certificate, whatever lines it was broken into. */
function blocksOf(pem: string): string[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g)].map(
    ([, body = ""]) => body.replace(/\s/g, ""),
  );
}

function pemOf(certificates: readonly string[]): string {
  const lines = certificates.flatMap((base64) => [
    "-----BEGIN CERTIFICATE-----",
    ...(base64.match(/.{1,64}/g) ?? []),
    "-----END CERTIFICATE-----",
  ]);
  return lines.map((line) => `${line}\n`).join("");
}

const derOf = (base64: string): Uint8Array => Buffer.from(base64, "base64");

function writeIfOther(path: string, content: string | Uint8Array): void {
  const bytes = Buffer.from(content);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes, { mode: 0o644 });
}
