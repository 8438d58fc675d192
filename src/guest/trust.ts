import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
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
 * and takes a few milliseconds. Done again, it changes nothing; and so a bundle that was made anew meanwhile, or a
 * full disk, is no matter.
 */
export function installTrust({ certificate, root, publicAuthorities }: TrustOptions): TrustFiles {
  const certificates = blocksOf(certificate);
  installAnchors(root, certificates);

  const present = systemBundles.map((path) => join(root, path)).filter((path) => existsSync(path));
  const bundle = present[0] ?? join(root, "etc/ssl/certs/ca-certificates.crt");
  if (present.length === 0)
    writeIfOther(bundle, blocksOf(publicAuthorities().join("\n")).map(pemOf).join(""));
  for (const path of new Set([bundle, ...present].map((each) => realpathSync(each)))) {
    addToBundle(path, certificates);
  }

  const folder = join(root, "var/lib/ccw/trust");
  const own = join(folder, "appliance.pem");
  const javaStore = join(folder, "java.jks");
  writeIfOther(own, certificates.map(pemOf).join(""));
  writeIfOther(javaStore, javaTrustStore(blocksOf(readFileSync(bundle, "latin1")).map(derOf)));
  return { bundle, own, javaStore };
}

/** One certificate a file, as update-ca-certificates(8) wants it. */
function installAnchors(root: string, certificates: readonly string[]): void {
  for (const each of anchorFolders) {
    const folder = join(root, each);
    // Debian's exists in no image without the package that reads it, which may be installed later.
    if (each !== debianAnchors && !existsSync(folder)) continue;
    const files = certificates.map((text, index) => ({ name: `ccw-server-${index + 1}.crt`, text }));
    for (const { name, text } of files) writeIfOther(join(folder, name), pemOf(text));
    for (const name of readdirSync(folder)) {
      if (/^ccw-server-\d+\.crt$/.test(name) && !files.some((file) => file.name === name)) {
        rmSync(join(folder, name));
      }
    }
  }
}

function addToBundle(path: string, certificates: readonly string[]): void {
  const text = readFileSync(path, "latin1");
  const present = new Set(blocksOf(text));
  const missing = certificates.filter((each) => !present.has(each));
  if (missing.length === 0) return;
  const gap = text === "" || text.endsWith("\n") ? "" : "\n";
  writeFileSync(path, text + gap + missing.map(pemOf).join(""));
}

/** The base64 of each certificate, whatever lines it was broken into. */
function blocksOf(pem: string): string[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g)].map(
    ([, body = ""]) => body.replace(/\s/g, ""),
  );
}

function pemOf(base64: string): string {
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

const derOf = (base64: string): Uint8Array => Buffer.from(base64, "base64");

function writeIfOther(path: string, content: string | Uint8Array): void {
  const bytes = Buffer.from(content);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes, { mode: 0o644 });
}
