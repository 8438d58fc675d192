import type { Secret } from "../../../domain/egress.ts";
import { createRedaction } from "./redaction.ts";
import { createSecretSearch } from "./secret-search.ts";

/** Secrets in the names that a sandbox asks for: a look-up alone carries a name out, whatever becomes of the request. */
export interface NameSearch {
  /** The name of the secret that a host's text holds. */
  secretIn(host: string): string | undefined;
  /** For rows, lines and notices. */
  blotted(text: string): string;
}

/** Canonical hosts are in lower case, so each secret is looked for as it is and as it stands there. */
export function createNameSearch(secrets: readonly Secret[]): NameSearch {
  const both = secrets.flatMap((secret) => [secret, { ...secret, value: secret.value.toLowerCase() }]);
  const search = createSecretSearch(both);
  const redaction = createRedaction(both.map(({ value }) => value));
  const known = new Map<string, string | undefined>();
  const lookFor = (host: string): string | undefined => {
    const stream = search.start();
    for (const result of [stream.push(Buffer.from(host)), stream.end()])
      if ("found" in result) return result.found;
    return undefined;
  };
  const secretIn = (host: string): string | undefined => {
    if (search.empty) return undefined;
    if (known.has(host)) return known.get(host);
    const secret = lookFor(host);
    if (known.size >= maxKnown) known.clear();
    known.set(host, secret);
    return secret;
  };
  return { secretIn, blotted: (text) => (secretIn(text) === undefined ? text : redaction.text(text)) };
}

/** Most requests ask for few hosts, again and again. */
const maxKnown = 1000;
