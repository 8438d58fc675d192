import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import { CcwError, messageOf } from "../../domain/errors.ts";

/** Certificates of authorities, in PEM. */
export interface Authorities {
  /**
   * What a server may be signed by, a forge or any other: the runtime's list, the machine's, what NODE_EXTRA_CA_CERTS
   * names, what somebody has added to the machine, and the operator's own file.
   */
  trusted: readonly string[];
  /**
   * Those of them that are nobody's but the operator's: from `caFile`, and added to the machine by hand. For sandboxes to
   * believe too, since what passes unread shows them certificates of these.
   */
  local: readonly string[];
}

/** The one place where they are gathered. Throws `invalid` for a file that cannot be read or holds no certificate. */
export function readAuthorities(caFile: string | undefined): Authorities {
  const publicOnes = getCACertificates("bundled");
  const anchors = anchorFolders.flatMap(certificatesBelow);
  const added = [...(caFile === undefined ? [] : readCertificates(caFile)), ...anchors];
  // The file may be the system's whole list, with authorities that others have ceased to trust.
  const shipped = new Set([...publicOnes, ...systemLists.flatMap(certificatesOf)].map(bodyOf));
  for (const pem of anchors) shipped.delete(bodyOf(pem));
  const local = new Map(added.map((pem) => [bodyOf(pem), `${pem.trim()}\n`]));
  for (const body of shipped) local.delete(body);
  return {
    trusted: once([...publicOnes, ...getCACertificates("system"), ...getCACertificates("extra"), ...added]),
    local: [...local.values()],
  };
}

/** Debian, Alpine and Arch; Fedora and RHEL; SUSE; BSD. Not by the runtime: it adds what SSL_CERT_FILE names. */
const systemLists = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Where the same systems keep what somebody has added to the list; it is part of the list too. */
const anchorFolders = [
  "/usr/local/share/ca-certificates",
  "/etc/pki/ca-trust/source/anchors",
  "/etc/pki/trust/anchors",
  "/etc/ca-certificates/trust-source/anchors",
];

function readCertificates(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "latin1");
  } catch (cause) {
    const message = `The file of authorities ${file} cannot be read: ${messageOf(cause)}.`;
    throw new CcwError("invalid", message, "Name another one, or let this user read it.", { cause });
  }
  const found = certificatesIn(text);
  if (found.length > 0) return found;
  throw new CcwError(
    "invalid",
    `The file of authorities ${file} holds no certificate in PEM.`,
    "Convert it: openssl x509 -inform der -in FILE -out FILE.pem",
  );
}

function certificatesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => !entry.isDirectory())
    .flatMap((entry) => certificatesOf(join(entry.parentPath, entry.name)));
}

/** None of a file that is missing, or not for this user to read. */
function certificatesOf(file: string): string[] {
  try {
    return certificatesIn(readFileSync(file, "latin1"));
  } catch {
    return [];
  }
}

const certificatesIn = (text: string): string[] =>
  text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];

const once = (certificates: readonly string[]): string[] => [
  ...new Map(certificates.map((pem) => [bodyOf(pem), pem])).values(),
];

/** The same for one certificate, whatever lines it was broken into. */
const bodyOf = (pem: string): string => pem.replace(/\s/g, "");
