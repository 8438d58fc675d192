import { z } from "zod";
import type { ModelEndpoint } from "../domain/model.ts";
import type { Store } from "../domain/store.ts";

/** The usage limit of the account behind the model endpoint. All tasks share it, so all wait for its end. */
export interface UsageLimits {
  /** Until when nothing is to be asked of the model; undefined while it may be. Claims no task before. */
  modelAvailableAt(): number | undefined;
  /** The endpoint said so. */
  reached(until: number): void;
  /** A person knows better: it is asked again at once. */
  forget(): void;
}

const settingName = "usage_limit";
const storedSchema = z.object({ until: z.number(), account: z.string() });

/** Kept in the store, since it may hold for days; another endpoint or key is another account. */
export function createUsageLimits(options: {
  store: Store;
  endpoint: () => ModelEndpoint;
  now: () => number;
}): UsageLimits {
  const { store, endpoint, now } = options;
  const read = () => {
    const text = store.settings.get(settingName);
    return text === undefined ? undefined : storedSchema.parse(JSON.parse(text));
  };
  // It is asked for before every request and every claim.
  let known = read();
  const account = () => {
    const { baseUrl, credential } = endpoint();
    return new Bun.CryptoHasher("sha256").update(`${baseUrl}\n${credential.value}`).digest("hex");
  };
  return {
    modelAvailableAt() {
      if (known === undefined || known.account !== account()) return undefined;
      if (known.until > now()) return known.until;
      // Over is over, though the clock may be set back.
      known = undefined;
      return undefined;
    },
    reached(until) {
      known = { until, account: account() };
      store.settings.set(settingName, JSON.stringify(known));
      store.wakes.wake("tasks");
    },
    forget() {
      known = undefined;
      store.settings.clear(settingName);
      store.wakes.wake("tasks");
    },
  };
}
