import { eq } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import { type Forge, forgeCredentialSchema } from "../domain/forge.ts";
import type { ForgeStore } from "../domain/store/forges.ts";
import type { StoreContext } from "./context.ts";
import { forges } from "./schema/forges.ts";
import { repositories } from "./schema/repositories.ts";

export function createForgeStore({ db, seal, ids, wakeAfterCommit }: StoreContext): ForgeStore {
  const row = (name: string) => db.select().from(forges).where(eq(forges.name, name)).get();
  const usersOf = (name: string) =>
    db.select({ name: repositories.name }).from(repositories).where(eq(repositories.forge, name)).all();
  return {
    save(forge, credential) {
      // Asked here as well: between a question to the forge and its answer, repositories may be added.
      const before = row(forge.name);
      if (before !== undefined && before.url !== forge.url && usersOf(forge.name).length > 0) {
        throw new CcwError(
          "conflict",
          `The forge ${forge.name} is at ${before.url}, and repositories were added from it.`,
          "Choose another name, or remove its repositories first.",
        );
      }
      const now = ids.now();
      const change = {
        kind: forge.kind,
        url: forge.url,
        apiUrl: forge.apiUrl,
        credential: credential.kind,
        sealedCredential: seal.seal(JSON.stringify(credential)),
        updatedAt: now,
      };
      const saved = db
        .insert(forges)
        .values({ name: forge.name, createdAt: now, ...change })
        .onConflictDoUpdate({ target: forges.name, set: change })
        .returning()
        .get();
      // What must not leave by egress is made of these, too.
      wakeAfterCommit("policy");
      return forgeOf(saved);
    },
    get(name) {
      const found = row(name);
      return found && forgeOf(found);
    },
    list: () => db.select().from(forges).orderBy(forges.name).all().map(forgeOf),
    credentialOf(name) {
      const found = row(name);
      if (found === undefined) {
        throw new CcwError(
          "not_found",
          `There is no forge named ${JSON.stringify(name.slice(0, 100))}.`,
          "`ccw-server forge list` shows those there are.",
        );
      }
      return forgeCredentialSchema.parse(JSON.parse(seal.open(found.sealedCredential)));
    },
    remove(name) {
      const users = usersOf(name);
      if (users.length > 0) {
        throw new CcwError(
          "conflict",
          `The forge ${name} has repositories here: ${users
            .slice(0, 5)
            .map((each) => each.name)
            .join(", ")}${users.length > 5 ? " and more" : ""}.`,
          "Remove them first: ccw-server repo remove NAME",
        );
      }
      const removed = db.delete(forges).where(eq(forges.name, name)).returning().all().length > 0;
      wakeAfterCommit("policy");
      return removed;
    },
  };
}

function forgeOf({ sealedCredential: _, ...forge }: typeof forges.$inferSelect): Forge {
  return forge;
}
