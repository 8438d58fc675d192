import type { Secret } from "../../../domain/egress.ts";
import { piecesOf } from "./encoded-forms.ts";
import { createHoldBack } from "./hold-back.ts";
import { createScanner } from "./scanner.ts";

/**
 * Built once per set of secrets (hundreds at most), shared by many streams. Secrets shorter than 8 characters cannot
 * be searched for without false alarms: `skipped` names them.
 *
 * Found is a secret
 * - as such, with line breaks anywhere in it or none where it has some;
 * - in base64, standard or URL-safe, alone or anywhere inside a longer text that was encoded, wrapped or not;
 * - in hexadecimal digits of either case or both, wrapped or not;
 * - and each of these percent-encoded or as a JSON string, in whole or in part, once or twice over: JSON in a form,
 *   JSON in JSON, base64 in a URL. `+` stands for a space as well as for itself;
 * - each base64 line of a key in armour by itself, from 20 characters on. Of values over 4096 characters the
 *   beginning.
 *
 * It is found across any chunk borders, and what stands around it makes no difference.
 *
 * When it is found, no byte of it in that form has been passed on, with two exceptions. Of base64 the one character
 * at either border that it shares with its neighbours may have been: up to 4 bits of the secret. And where line breaks
 * or double escapes stretch it over more than six times the length of the longest form, it is still found, but its
 * beginning may have been passed on before.
 *
 * This keeps an honest program from leaking by accident, and an agent that was talked into it from leaking in any of
 * the ways that tools offer. It cannot keep a secret from a program that sets out to hide it: compressed, encrypted,
 * encoded in another way or twice in base64, in UTF-16, reversed, cut in parts with something between them, or spread
 * over several requests it goes unseen. Against that only secrets help that are not in the sandbox at all.
 */
export interface SecretSearch {
  /** There is nothing to search for. */
  readonly empty: boolean;
  readonly skipped: readonly string[];
  /** One stream: head or body of one request. */
  start(): SecretStream;
}

export interface SecretStream {
  /**
   * What may go on now (views or copies of what came, in order; the end may be held back while it could be the
   * beginning of a secret), or the name of the secret that was found: then nothing more may be sent.
   */
  push(bytes: Uint8Array): SearchResult;
  /** The stream is over: what was held back. */
  end(): SearchResult;
}

export type SearchResult = { found: string } | { pass: Uint8Array[] };

export function createSecretSearch(secrets: readonly Secret[]): SecretSearch {
  const usable = secrets.filter(({ value }) => piecesOf(value).length > 0);
  const skipped = secrets.filter((secret) => !usable.includes(secret)).map(({ name }) => name);
  if (usable.length === 0) return { empty: true, skipped, start: () => passAll };

  const scanner = createScanner(usable.map(({ value }) => value));
  return {
    empty: false,
    skipped,
    start() {
      const scan = scanner.start();
      const hold = createHoldBack();
      let found: string | undefined;

      const feed = (bytes: Uint8Array, last: boolean): SearchResult => {
        if (found === undefined) {
          scan.feed(bytes, last, ({ value }) => {
            found = usable[value]?.name ?? "";
            return true;
          });
        }
        return found === undefined ? { pass: hold.pass(bytes, scan.clearTo) } : { found };
      };
      return { push: (bytes) => feed(bytes, false), end: () => feed(new Uint8Array(0), true) };
    },
  };
}

const passAll: SecretStream = { push: (bytes) => ({ pass: [bytes] }), end: () => ({ pass: [] }) };
