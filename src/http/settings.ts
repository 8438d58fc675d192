import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import { isId } from "../domain/ids.ts";
import type { Person } from "../domain/store/people.ts";
import { activeStateKinds } from "../domain/task.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json, meSchema, statusSchema, tokenSchema } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";

const linkMs = 15 * 60 * 1000;

const modelInput = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("demo") }),
  z.object({
    kind: z.literal("endpoint"),
    baseUrl: z
      .url({ protocol: /^https?$/, error: "That is not an http or https URL." })
      .transform((url) => url.replace(/\/+$/, "")),
    /** An API key goes into `x-api-key`, an OAuth or gateway token into `authorization`. */
    credential: z.enum(["api-key", "auth-token"]).default("api-key"),
    secret: z
      .string()
      .min(1, "The key is empty.")
      .max(10_000)
      .regex(/^[\x21-\x7e]+$/, "The key has characters that no HTTP header takes."),
  }),
]);

export function settingRoutes(context: HttpContext) {
  const { store, ids, model, publicUrl } = context;

  const status = async (person: string) => {
    const endpoint = model.current();
    const limitedUntil = context.usage.limits.modelAvailableAt();
    return {
      version: context.version,
      publicUrl: publicUrl(),
      engine: await context.engine(),
      model: {
        kind: endpoint.kind,
        baseUrl: endpoint.kind === "endpoint" ? endpoint.baseUrl : "",
        source: model.source(),
        ...(limitedUntil !== undefined && { limitedUntil }),
      },
      agents: context.agents.all.map(({ name, title, models }) => ({ name, title, models: [...models] })),
      parallel: context.parallel,
      active: store.tasks.count(activeStateKinds),
      queued: store.tasks.count(["queued"]),
      person,
    };
  };

  const me = ({ id, name }: Person) => ({ name, email: store.people.emailOf(id) });

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/status",
        summary: "The appliance at a glance",
        responses: { 200: json(statusSchema, "Status"), ...failures },
      }),
      async (c) => c.json(await status(c.get("person").name), 200),
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/me",
        summary: "Who is signed in",
        responses: { 200: json(meSchema, "The person"), ...failures },
      }),
      (c) => c.json(me(c.get("person")), 200),
    )
    .openapi(
      createRoute({
        method: "put",
        path: "/me",
        summary: "Say which address stands in one's commits",
        request: { body: body(meSchema.pick({ email: true })) },
        responses: { 200: json(meSchema, "The person"), ...failures },
      }),
      (c) => {
        const person = c.get("person");
        store.people.setEmail(person.id, c.req.valid("json").email);
        return c.json(me(person), 200);
      },
    )
    .openapi(
      createRoute({
        method: "put",
        path: "/model",
        summary: "Choose the model endpoint, or the demo model",
        request: { body: body(modelInput) },
        responses: { 200: json(statusSchema, "Status"), ...failures },
      }),
      async (c) => {
        const source = model.source();
        if (source !== "page" && source !== "default") {
          const where = {
            "command line": "`--demo` at the start",
            environment: "an environment variable",
            "ccw.toml": "ccw.toml",
          };
          throw new CcwError(
            "conflict",
            `The model is set by ${where[source]}, which goes first.`,
            "Change it there and start the server again.",
          );
        }
        const input = c.req.valid("json");
        model.set(
          input.kind === "demo"
            ? "demo"
            : {
                kind: "endpoint",
                baseUrl: input.baseUrl,
                credential:
                  input.credential === "api-key"
                    ? { header: "x-api-key", value: input.secret }
                    : { header: "authorization", value: `Bearer ${input.secret}` },
              },
        );
        return c.json(await status(c.get("person").name), 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tokens",
        summary: "Tokens in force, without their secrets",
        responses: { 200: json(z.array(tokenSchema), "Tokens"), ...failures },
      }),
      (c) =>
        c.json(
          store.tokens.list().map(({ expiresAt, person, ...token }) => ({
            ...token,
            person: person.name,
            ...(expiresAt !== undefined && { expiresAt }),
          })),
          200,
        ),
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tokens",
        summary: "Make a token for the CLI, a script or git; the secret is shown this once",
        request: {
          body: body(
            z.object({
              name: z.string().min(1).max(100),
              /** Whose token it is; the asking person's own where left out. */
              person: z.string().optional(),
            }),
          ),
        },
        responses: { 201: json(z.object({ secret: z.string() }), "The secret"), ...failures },
      }),
      (c) => {
        const { name, person } = c.req.valid("json");
        const owner = person === undefined ? c.get("person") : store.people.ensure(person);
        return c.json({ secret: store.tokens.create({ kind: "api", name, person: owner.id }) }, 201);
      },
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/tokens/{id}",
        summary: "Revoke a token",
        request: { params: z.object({ id: z.string() }) },
        responses: { 204: { description: "Done" }, ...failures },
      }),
      (c) => {
        const { id } = c.req.valid("param");
        if (!isId("TokenId", id) || !store.tokens.revoke(id))
          throw new CcwError("not_found", "There is no such token.");
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/links",
        summary: "Make a sign-in link that works once, for 15 minutes",
        request: { body: body(z.object({ person: z.string().optional() })) },
        responses: { 201: json(z.object({ url: z.string() }), "The link"), ...failures },
      }),
      (c) => {
        const { person } = c.req.valid("json");
        const owner = person === undefined ? c.get("person") : store.people.ensure(person);
        const secret = store.tokens.create({
          kind: "link",
          name: "sign-in link",
          person: owner.id,
          expiresAt: ids.now() + linkMs,
        });
        return c.json({ url: `${publicUrl()}/sign-in?token=${secret}` }, 201);
      },
    );
}
