import { eq } from "drizzle-orm";
import type { SettingStore } from "../domain/store/settings.ts";
import type { StoreContext } from "./context.ts";
import { settings } from "./schema/settings.ts";

export function createSettingStore({ db, seal, wakeAfterCommit }: StoreContext): SettingStore {
  return {
    get(name) {
      const row = db.select().from(settings).where(eq(settings.name, name)).get();
      return row && seal.open(row.sealed);
    },
    set(name, value) {
      const sealed = seal.seal(value);
      db.insert(settings)
        .values({ name, sealed })
        .onConflictDoUpdate({ target: settings.name, set: { sealed } })
        .run();
      wakeAfterCommit("policy");
    },
    clear(name) {
      db.delete(settings).where(eq(settings.name, name)).run();
      wakeAfterCommit("policy");
    },
  };
}
