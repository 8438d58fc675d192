import { CcwError } from "../domain/errors.ts";

const rightKeptMs = 5 * 60_000;
const maxKept = 5000;
/** A crowd of strangers is not looked up one by one: those who are left over wait for the next look. */
const maxLookups = 30;

/** Who may write to a repository, asked of its forge: nobody else's word is work for an agent. */
export interface WriteRights {
  /** For one look at what was said. `isKnown`: no stranger, so that no crowd of strangers stands in his way. */
  look(path: string): (who: string, isKnown?: boolean) => Promise<boolean>;
}

/** `ask` rejects with `not_found` or `forbidden` for a bot, an account that is gone, or a credential that may not ask. */
export function createWriteRights(options: {
  ask(path: string, who: string): Promise<boolean>;
  now(): number;
}): WriteRights {
  const { ask, now } = options;
  const kept = new Map<string, { may: boolean; until: number }>();
  return {
    look(path) {
      let lookups = 0;
      return async (who, isKnown = false) => {
        const key = `${path} ${who}`;
        const found = kept.get(key);
        if (found !== undefined && now() < found.until) return found.may;
        if (who === "" || (!isKnown && lookups >= maxLookups)) return false;
        if (!isKnown) lookups += 1;
        const may = await ask(path, who).catch((thrown: unknown) => {
          if (thrown instanceof CcwError && ["not_found", "forbidden", "conflict"].includes(thrown.code))
            return false;
          throw thrown;
        });
        // Strangers stay strangers for longer, or a look would never come to those behind them.
        kept.set(key, { may, until: now() + rightKeptMs * (may ? 1 : 12) });
        const [oldest] = kept.keys();
        if (oldest !== undefined && kept.size > maxKept) kept.delete(oldest);
        return may;
      };
    },
  };
}
