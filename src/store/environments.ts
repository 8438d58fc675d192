import { eq } from "drizzle-orm";
import { type Environment, storedEnvironmentSchema } from "../domain/environment.ts";
import type { EnvironmentStore } from "../domain/store/environments.ts";
import type { StoreContext } from "./context.ts";
import { environments } from "./schema/environments.ts";
import type { Seal } from "./seal.ts";

export function createEnvironmentStore({ db, seal, ids, wakeAfterCommit }: StoreContext): EnvironmentStore {
  return {
    save(environment) {
      const now = ids.now();
      const sealed = sealEnvironment(seal, environment);
      db.insert(environments)
        .values({ name: environment.name, sealed, createdAt: now, updatedAt: now })
        .onConflictDoUpdate({ target: environments.name, set: { sealed, updatedAt: now } })
        .run();
      wakeAfterCommit("policy");
    },
    get(name) {
      const row = db.select().from(environments).where(eq(environments.name, name)).get();
      return row && openEnvironment(seal, row.sealed);
    },
    list: () =>
      db
        .select()
        .from(environments)
        .orderBy(environments.name)
        .all()
        .map((row) => openEnvironment(seal, row.sealed)),
  };
}

/** Sealed whole: variables are where people put keys, and a set-up script often holds one too. */
export function sealEnvironment(seal: Seal, environment: Environment): string {
  return seal.seal(JSON.stringify(environment));
}

export function openEnvironment(seal: Seal, sealed: string): Environment {
  return storedEnvironmentSchema.parse(JSON.parse(seal.open(sealed)));
}
