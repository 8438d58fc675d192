import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { ForgeCredential, ForgeKind } from "../../domain/forge.ts";

export const forges = sqliteTable("forges", {
  name: text().primaryKey(),
  kind: text().$type<ForgeKind>().notNull(),
  url: text().notNull(),
  apiUrl: text("api_url").notNull(),
  credential: text().$type<ForgeCredential["kind"]>().notNull(),
  sealedCredential: text("sealed_credential").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});
