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
  return {
    secretIn(host) {
      if (search.empty) return undefined;
      const stream = search.start();
      for (const result of [stream.push(Buffer.from(host)), stream.end()])
        if ("found" in result) return result.found;
      return undefined;
    },
    blotted: (text) => redaction.text(text),
  };
}
