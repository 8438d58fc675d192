import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import { type Forge, type ForgeApi, forgeCredentialSchema, forgeKinds } from "../domain/forge.ts";
import { parseForgeUrl, usualApiUrl } from "../domain/forge-address.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import type { ForgeAppFlow } from "./forge-app.ts";
import { body, failures, json } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";
import { webhookSecretName } from "./webhooks.ts";

const forgeName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,39}$/,
    "A forge's name has lower-case letters, digits and hyphens, and at most 40 of them.",
  );

const forgeSchema = z
  .object({
    name: z.string(),
    kind: z.enum(forgeKinds),
    url: z.string(),
    apiUrl: z.string(),
    credential: z.enum(["none", "token", "app"]),
    /** How many repositories were added from it. */
    repositories: z.number().int(),
    createdAt: z.number(),
    updatedAt: z.number(),
  })
  .openapi("Forge");

const checkSchema = z.object({
  /** Who the credential is; empty without one. */
  account: z.string(),
  notes: z.array(z.string()),
});

const listedSchema = z.object({
  items: z.array(
    z.object({
      path: z.string(),
      webUrl: z.string(),
      defaultBranch: z.string(),
      private: z.boolean(),
      archived: z.boolean(),
      writable: z.boolean(),
      /** Whether it was added here already. */
      added: z.boolean(),
    }),
  ),
  next: z.string().optional(),
});

const addSchema = z.object({
  name: forgeName,
  kind: z.enum(forgeKinds),
  url: z.string().max(500),
  apiUrl: z.string().max(500).optional(),
  credential: forgeCredentialSchema.default({ kind: "none" }),
  /** Whether the credential is tried before it is kept. */
  check: z.boolean().default(true),
});

const webhookSchema = z.object({ url: z.string(), secret: z.string() });
const params = z.object({ name: z.string() });

export function forgeRoutes(context: HttpContext, flow: ForgeAppFlow) {
  const { store, forges } = context;
  const toJson = (forge: Forge) => ({
    ...forge,
    repositories: store.repositories
      .list()
      .filter((each) => each.kind === "remote" && each.forge === forge.name).length,
  });

  /** What the forge may be named for: its address may not change under the repositories that were added from it. */
  function wanted(input: Pick<z.infer<typeof addSchema>, "name" | "kind" | "url" | "apiUrl">) {
    const url = parseForgeUrl(input.url);
    const given = input.apiUrl === undefined || input.apiUrl === "" ? undefined : parseForgeUrl(input.apiUrl);
    const before = store.forges.get(input.name);
    if (before !== undefined && before.url !== url && toJson(before).repositories > 0) {
      throw new CcwError(
        "conflict",
        `The forge ${input.name} is at ${before.url}, and repositories were added from it.`,
        "Choose another name, or remove its repositories first.",
      );
    }
    const { name, kind } = input;
    return { name, kind, url, apiUrl: kind === "git" ? "" : (given ?? usualApiUrl(kind, url)) };
  }

  const check = async (api: ForgeApi | undefined) =>
    api === undefined
      ? { account: "", notes: ["a plain git server: it is asked when a repository is added"] }
      : atForge(() => api.check());

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/forges",
        summary: "The forges that are connected, without their credentials",
        responses: { 200: json(z.array(forgeSchema), "Forges"), ...failures },
      }),
      (c) => c.json(store.forges.list().map(toJson), 200),
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/forges",
        summary: "Connect a forge, or give one another credential",
        request: { body: body(addSchema) },
        responses: { 201: json(forgeSchema.extend(checkSchema.shape), "The forge"), ...failures },
      }),
      async (c) => {
        const { check: tried, credential, ...input } = c.req.valid("json");
        const forge = wanted(input);
        if (credential.kind === "app" && forge.kind !== "github")
          throw new CcwError("invalid", "Only GitHub has Apps.", "Give a token.");
        const at = { ...forge, credential: credential.kind, createdAt: 0, updatedAt: 0 };
        const found = tried ? await check(forges.apiFor(at, credential)) : { account: "", notes: [] };
        const slug = /^(.+)\[bot\]$/.exec(found.account)?.[1];
        const kept = credential.kind === "app" && slug !== undefined ? { ...credential, slug } : credential;
        return c.json({ ...toJson(store.forges.save(forge, kept)), ...found }, 201);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/forges/{name}/app",
        summary: "Begin to make a GitHub App by its manifest flow; the page is for a browser",
        request: {
          params: z.object({ name: forgeName }),
          body: body(
            addSchema.pick({ url: true, apiUrl: true }).extend({
              organization: z
                .string()
                .regex(/^[A-Za-z0-9-]{0,100}$/)
                .default(""),
            }),
          ),
        },
        responses: { 200: json(z.object({ page: z.string() }), "The page to open"), ...failures },
      }),
      (c) => {
        const { organization, ...rest } = c.req.valid("json");
        const { name, url, apiUrl } = wanted({ ...rest, ...c.req.valid("param"), kind: "github" });
        return c.json({ page: flow.begin({ name, url, apiUrl, organization }) }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/forges/{name}/test",
        summary: "Ask the forge who its credential is",
        request: { params },
        responses: { 200: json(checkSchema, "What it says"), ...failures },
      }),
      async (c) => c.json(await check(forges.apiOf(c.req.valid("param").name)), 200),
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/forges/{name}/repositories",
        summary: "Repositories of a forge that its credential can reach",
        request: {
          params,
          query: z.object({ search: z.string().max(200).optional(), page: z.string().max(200).optional() }),
        },
        responses: { 200: json(listedSchema, "One page"), ...failures },
      }),
      async (c) => {
        const { name } = c.req.valid("param");
        const { search, page } = c.req.valid("query");
        const api = forges.apiOf(name);
        if (api === undefined) {
          const text = `The forge ${name} is a plain git server, which cannot list its repositories.`;
          throw new CcwError("conflict", text, "Add one by its address: ccw-server repo add URL");
        }
        const filter = { ...(search !== undefined && { search }), ...(page !== undefined && { page }) };
        const found = await atForge(() => api.repositories(filter));
        const added = new Set(
          store.repositories
            .list()
            .flatMap((each) => (each.kind === "remote" && each.forge === name ? [each.path] : [])),
        );
        const items = found.items.map(({ cloneUrl: _, ...each }) => ({
          ...each,
          added: added.has(each.path),
        }));
        return c.json({ items, ...(found.next !== undefined && { next: found.next }) }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/forges/{name}",
        summary: "Forget a forge and its credential",
        request: { params },
        responses: { 204: { description: "Forgotten" }, ...failures },
      }),
      (c) => {
        const { name } = c.req.valid("param");
        if (!store.forges.remove(name)) throw noForge(name);
        store.settings.clear(webhookSecretName(name));
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/forges/{name}/webhook",
        summary: "Make a new secret for the forge's webhook; the one before is void",
        request: { params },
        responses: {
          201: json(webhookSchema, "For the forge's settings; the secret is shown this once"),
          ...failures,
        },
      }),
      (c) => {
        const { name } = c.req.valid("param");
        const forge = store.forges.get(name);
        if (forge === undefined) throw noForge(name);
        if (forge.kind === "git") {
          throw new CcwError("invalid", `${name} is a plain git server, which knows no webhooks.`);
        }
        const secret = Buffer.from(context.ids.randomBytes(32)).toString("base64url");
        store.settings.set(webhookSecretName(name), secret);
        return c.json({ url: `${context.publicUrl()}/webhooks/${name}`, secret }, 201);
      },
    );
}

function noForge(name: string): CcwError {
  return new CcwError(
    "not_found",
    `There is no forge named ${JSON.stringify(name.slice(0, 100))}.`,
    "`ccw-server forge list` shows those there are.",
  );
}

/** A forge that does not know us is no reason to ask the person to sign in here. */
export async function atForge<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof CcwError) || thrown.code !== "unauthenticated") throw thrown;
    throw new CcwError("forbidden", thrown.message, thrown.hint);
  }
}
