import { z } from "@hono/zod-openapi";
import { accessLevels, limitsSchema } from "../domain/environment.ts";
import { egressSchema } from "../domain/environment-egress.ts";
import { modelSources } from "../runs/model-settings.ts";

/** JSON as it goes over the wire. Times are milliseconds since the epoch. */

export const repositorySchema = z
  .object({
    name: z.string(),
    kind: z.enum(["hosted", "remote"]),
    defaultBranch: z.string(),
    /** What tasks may do to their own branches beyond making them and moving them forward. */
    push: z.object({ force: z.boolean(), delete: z.boolean() }),
    createdAt: z.number(),
    /** For `git clone`: with a token as the password where the appliance hosts it. */
    url: z.string(),
    /** Of a remote one: the forge that it was added from, its path there, and its page, empty where it has none. */
    forge: z.string().optional(),
    path: z.string().optional(),
    webUrl: z.string().optional(),
  })
  .openapi("Repository");

export const environmentJsonSchema = z
  .object({
    name: z.string(),
    image: z.string(),
    access: z.enum(accessLevels),
    /** Names alone: values are not shown again. */
    variables: z.array(z.string()),
    setupScript: z.string(),
    limits: limitsSchema,
    egress: egressSchema,
    /** Names alone, too. */
    secrets: z.array(z.string()),
  })
  .openapi("Environment");

export const meSchema = z
  .object({
    name: z.string(),
    /** Stands in the commits of one's tasks; empty for an address that no mail goes to. */
    email: z
      .union([z.literal(""), z.email("That is not an e-mail address.").max(254)])
      .describe("For the author of commits"),
  })
  .openapi("Me");

export const statusSchema = z
  .object({
    version: z.string(),
    publicUrl: z.string(),
    engine: z.object({ ok: z.boolean(), text: z.string() }),
    model: z.object({
      kind: z.enum(["demo", "endpoint"]),
      /** The endpoint's base URL; empty for the demo model. */
      baseUrl: z.string(),
      source: z.enum(modelSources),
      /** Until when its account takes no requests, by its usage limit. */
      limitedUntil: z.number().optional(),
    }),
    /** Those that tasks can have. */
    agents: z.array(
      z.object({
        name: z.string(),
        title: z.string(),
        /** Its own names for the newest models. */
        models: z.array(z.string()),
      }),
    ),
    parallel: z.number().int(),
    active: z.number().int(),
    queued: z.number().int(),
    person: z.string(),
  })
  .openapi("Status");

export const tokenSchema = z
  .object({
    id: z.string(),
    kind: z.enum(["api", "session", "link"]),
    name: z.string(),
    person: z.string(),
    createdAt: z.number(),
    expiresAt: z.number().optional(),
  })
  .openapi("Token");

const errorSchema = z
  .object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) })
  .openapi("Error");

export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { content: { "application/json": { schema } }, description };
}

export function body<Schema extends z.ZodType>(schema: Schema) {
  return { content: { "application/json": { schema } }, required: true };
}

/** Every route may answer with an error of this shape. */
export const failures = { default: json(errorSchema, "What went wrong, why, and what to do") };
