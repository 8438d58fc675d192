import { eq } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import type { RepositoryStore } from "../domain/store.ts";
import type { StoreContext } from "./context.ts";
import { repositories } from "./schema.ts";

export function createRepositoryStore({ db }: StoreContext): RepositoryStore {
  const get = (name: string) => db.select().from(repositories).where(eq(repositories.name, name)).get();
  return {
    add(repository) {
      if (get(repository.name) !== undefined) {
        throw new CcwError(
          "conflict",
          `There is a repository named ${repository.name} already.`,
          "Choose another name.",
        );
      }
      db.insert(repositories).values(repository).run();
    },
    get,
    list: () => db.select().from(repositories).orderBy(repositories.name).all(),
  };
}
