import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { PersonId, TokenId } from "../../domain/ids.ts";
import type { TokenKind } from "../../domain/store/people.ts";

export const people = sqliteTable("people", {
  id: text().$type<PersonId>().primaryKey(),
  name: text().notNull().unique(),
  /** For the author of commits; empty where nobody said. */
  email: text().notNull().default(""),
  createdAt: integer("created_at").notNull(),
});

export const tokens = sqliteTable("tokens", {
  id: text().$type<TokenId>().primaryKey(),
  kind: text().$type<TokenKind>().notNull(),
  name: text().notNull(),
  personId: text("person_id")
    .$type<PersonId>()
    .notNull()
    .references(() => people.id),
  /** SHA-256 of the secret, hex. */
  hash: text().notNull().unique(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at"),
  revokedAt: integer("revoked_at"),
});
