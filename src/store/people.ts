import { createHash } from "node:crypto";
import { and, eq, gt, isNull, or } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import { newId } from "../domain/ids.ts";
import type { PersonStore, Token, TokenStore } from "../domain/store/people.ts";
import type { StoreContext } from "./context.ts";
import { people, tokens } from "./schema/people.ts";

const personName = /^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u;

export function createPersonStore({ db, ids }: StoreContext): PersonStore {
  const columns = { id: people.id, name: people.name };
  return {
    ensure(name) {
      if (!personName.test(name)) {
        throw new CcwError(
          "invalid",
          `${JSON.stringify(name.slice(0, 80))} cannot be a person's name.`,
          "Use up to 64 letters, digits, spaces and . _ @ -.",
        );
      }
      const found = db.select(columns).from(people).where(eq(people.name, name)).get();
      if (found !== undefined) return found;
      const person = { id: newId("PersonId", ids), name };
      db.insert(people)
        .values({ ...person, createdAt: ids.now() })
        .run();
      return person;
    },
    get: (id) => db.select(columns).from(people).where(eq(people.id, id)).get(),
    list: () => db.select(columns).from(people).orderBy(people.name).all(),
    emailOf: (id) =>
      db.select({ email: people.email }).from(people).where(eq(people.id, id)).get()?.email ?? "",
    setEmail(id, email) {
      db.update(people).set({ email }).where(eq(people.id, id)).run();
    },
  };
}

export function createTokenStore({ db, ids, wakeAfterCommit }: StoreContext): TokenStore {
  const valid = () =>
    and(isNull(tokens.revokedAt), or(isNull(tokens.expiresAt), gt(tokens.expiresAt, ids.now())));
  const rows = (where: ReturnType<typeof and>): Token[] =>
    db
      .select()
      .from(tokens)
      .innerJoin(people, eq(tokens.personId, people.id))
      .where(where)
      .orderBy(tokens.createdAt)
      .all()
      .map(({ tokens: row, people: person }) => ({
        id: row.id,
        kind: row.kind,
        name: row.name,
        person: { id: person.id, name: person.name },
        createdAt: row.createdAt,
        expiresAt: row.expiresAt ?? undefined,
      }));
  const find = (secret: string) => rows(and(eq(tokens.hash, hashOf(secret)), valid()))[0];

  const revoke = (id: Token["id"]) => {
    wakeAfterCommit("tokens");
    return (
      db
        .update(tokens)
        .set({ revokedAt: ids.now() })
        .where(and(eq(tokens.id, id), isNull(tokens.revokedAt)))
        .returning({ id: tokens.id })
        .all().length > 0
    );
  };

  return {
    create({ kind, name, person, expiresAt }) {
      const secret = `ccw_${Buffer.from(ids.randomBytes(30)).toString("base64url")}`;
      db.insert(tokens)
        .values({
          id: newId("TokenId", ids),
          kind,
          name,
          personId: person,
          hash: hashOf(secret),
          createdAt: ids.now(),
          expiresAt: expiresAt ?? null,
        })
        .run();
      return secret;
    },
    find,
    use(secret) {
      const token = find(secret);
      return token !== undefined && revoke(token.id) ? token : undefined;
    },
    isValid: (id) => rows(and(eq(tokens.id, id), valid())).length > 0,
    list: () => rows(valid()),
    revoke,
  };
}

/** A secret has 240 random bits, so a plain hash is enough: there is nothing to guess from. */
export function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
