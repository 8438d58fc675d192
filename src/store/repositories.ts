import { eq, sql } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import type { Repository } from "../domain/repository.ts";
import type { RepositoryStore } from "../domain/store/repositories.ts";
import type { StoreContext } from "./context.ts";
import { repositories } from "./schema/repositories.ts";

type Row = typeof repositories.$inferSelect;

export function createRepositoryStore({ db }: StoreContext): RepositoryStore {
  const get = (name: string) => db.select().from(repositories).where(eq(repositories.name, name)).get();
  return {
    add(repository) {
      // Forges that fold case would otherwise have one repository twice.
      const same = sql`lower(${repositories.name}) = lower(${repository.name})`;
      if (db.select().from(repositories).where(same).get() !== undefined) {
        throw new CcwError(
          "conflict",
          `There is a repository named ${repository.name} already.`,
          "`ccw-server repo list` shows those there are.",
        );
      }
      db.insert(repositories).values(repository).run();
    },
    get(name) {
      const row = get(name);
      return row && repositoryOf(row);
    },
    list: () => db.select().from(repositories).orderBy(repositories.name).all().map(repositoryOf),
    update(name, change) {
      db.update(repositories).set(change).where(eq(repositories.name, name)).run();
    },
    remove: (name) => db.delete(repositories).where(eq(repositories.name, name)).returning().all().length > 0,
  };
}

function repositoryOf({ kind, name, defaultBranch, push, createdAt, ...remote }: Row): Repository {
  const common = { name, defaultBranch, push, createdAt };
  if (kind === "hosted") return { kind, ...common };
  const { forge, path, cloneUrl, webUrl } = remote;
  if (forge === null || path === null || cloneUrl === null || webUrl === null)
    throw new Error(`The row of the remote repository ${name} is not whole.`);
  return { kind, ...common, forge, path, cloneUrl, webUrl };
}
