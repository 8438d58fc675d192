import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { CcwError } from "../domain/errors.ts";
import { parseGitTarget } from "../domain/git-server.ts";
import { plainLine } from "../domain/plain-text.ts";
import { maxPromptBytes, modelNameSchema } from "../domain/task.ts";
import {
  beginHandover,
  finishHandover,
  handoverEndpoint,
  handoverTicket,
  keysOf,
  openHandover,
} from "../runs/handover.ts";
import { existing } from "../runs/submit.ts";
import { noteTeleport, openTeleport, teleportTicket } from "../runs/teleport.ts";
import { bearerOf, requirePerson } from "./auth.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json } from "./schemas.ts";
import {
  failingScript,
  handoverScript,
  maxConversationBytes,
  shellQuoted,
  teleportScript,
} from "./script.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

const commandSchema = z
  .object({
    /** One line for a shell. */
    command: z.string(),
    /** Where its script is. */
    url: z.string(),
    expiresAt: z.number(),
  })
  .openapi("Command");

const handoverWish = z.object({
  environment: z.string().max(100).default("default"),
  model: modelNameSchema.default(""),
});

/** For who is signed in: commands for a machine of theirs. */
export function teleportRoutes(context: HttpContext) {
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/teleport",
        summary: "A command that goes on with this task in a checkout on another machine",
        request: { params: z.object({ id: z.string() }) },
        responses: { 201: json(commandSchema, "The command, good for 10 minutes"), ...failures },
      }),
      async (c) => {
        const id = taskIdOf(c.req.valid("param").id);
        const { secret, expiresAt } = await openTeleport(context, id, c.get("person"));
        const url = `${baseOf(c, context)}/teleport/${secret}`;
        return c.json({ command: commandOf(url), url, expiresAt }, 201);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/handovers",
        summary: "A command that hands over a conversation of another machine, which becomes a task",
        request: { body: body(handoverWish) },
        responses: { 201: json(commandSchema, "The command, good for 10 minutes"), ...failures },
      }),
      (c) => {
        const { secret, expiresAt } = openHandover(context, c.get("person"), c.req.valid("json"));
        const url = `${baseOf(c, context)}/handover/${secret}`;
        return c.json({ command: commandOf(url), url, expiresAt }, 201);
      },
    );
}

const commandOf = (url: string) => `curl -fsSL ${shellQuoted(url)} | sh`;

/** For the script of such a command, which has its ticket and nothing else. */
export function ticketRoutes(context: HttpContext) {
  const { store } = context;
  const app = new Hono<HttpEnv>();

  app.all("/teleport/git/*", async (c) => {
    const ticket = teleportTicket(store, bearerOf(c.req.header("authorization")) ?? "");
    if (ticket === undefined) return c.text(expired, 403);
    const target = parseGitTarget(behind(c, "/teleport/git"));
    const place = placeOf(target?.repository ?? "");
    const endpoint = place === undefined ? undefined : context.teleports.endpointOf(ticket.id, place);
    if (target === undefined || endpoint === undefined || target.service !== "git-upload-pack")
      return c.text("There is no such repository.\n", 404);
    noteTeleport(context, ticket);
    return context.gitAt({ endpoint, request: c.req.raw, target, right: { kind: "none" } });
  });

  app.get("/teleport/:token", (c) => {
    const token = c.req.param("token");
    const ticket = teleportTicket(store, token);
    if (ticket === undefined) return sendScript(c, expiredScript);
    const { taskId, facts } = ticket;
    const base = baseOf(c, context);
    const urls = [base, context.publicUrl()];
    const repositories = facts.repositories.flatMap(({ name }) => {
      const repository = store.repositories.get(name);
      if (repository === undefined) return [];
      const cloneUrl = repository.kind === "remote" ? repository.cloneUrl : `${base}/git/${name}.git`;
      return [{ name, cloneUrl, keys: keysOf(repository, urls) }];
    });
    const { title } = existing(store, taskId);
    const spare = crypto.randomUUID();
    return sendScript(c, teleportScript({ base, token, taskId, title, facts, spare, repositories }));
  });

  app.all("/handover/git/*", async (c) => {
    const ticket = handoverTicket(store, bearerOf(c.req.header("authorization")) ?? "");
    if (ticket === undefined) return c.text(expired, 403);
    const target = parseGitTarget(behind(c, "/handover/git"));
    const place = placeOf(target?.repository ?? "");
    const endpoint =
      place === 0 || place === "session" ? await handoverEndpoint(context, ticket, place) : undefined;
    if (target === undefined || endpoint === undefined || target.service !== "git-receive-pack")
      return c.text("There is no such repository.\n", 404);
    const limit = place === "session" ? { maxPackBytes: maxConversationBytes } : {};
    return context.gitAt({ endpoint, request: c.req.raw, target, right: { kind: "snapshots" }, ...limit });
  });

  app.get("/handover", requirePerson(context), (c) => {
    try {
      const wish = handoverWish.safeParse(c.req.query());
      rejectInvalid(wish);
      const { secret } = openHandover(context, c.get("person"), wish.data);
      return sendScript(c, handoverScript({ base: baseOf(c, context), token: secret }));
    } catch (thrown) {
      if (!(thrown instanceof CcwError)) throw thrown;
      return sendScript(c, failingScript([thrown.message, thrown.hint]));
    }
  });

  app.get("/handover/:token", (c) => {
    const token = c.req.param("token");
    if (handoverTicket(store, token) === undefined) return sendScript(c, expiredScript);
    return sendScript(c, handoverScript({ base: baseOf(c, context), token }));
  });

  const asText = new Hono<HttpEnv>();
  // A shell reads the answer: two lines of words.
  asText.onError((thrown, c) => {
    if (!(thrown instanceof CcwError)) throw thrown;
    return c.text(`${plainLine(thrown.message)}\n${plainLine(thrown.hint)}\n`, 400);
  });
  asText.use(bodyLimit({ maxSize: maxPromptBytes, onError: (c) => c.text("That is too much text.\n", 413) }));
  asText.post("/begin", async (c) => {
    const ticket = handoverTicket(store, bearerOf(c.req.header("authorization")) ?? "");
    if (ticket === undefined) return c.text(expired, 403);
    const lines = (await c.req.text()).split("\n");
    const told = (word: string) =>
      lines.flatMap((line) =>
        line.startsWith(`${word} `) ? [line.slice(word.length + 1).slice(0, 2000)] : [],
      );
    const { repository, baseBranch } = await beginHandover(context, ticket, {
      keys: told("key"),
      repository: told("repository")[0] ?? "",
      branch: told("branch")[0] ?? "",
      urls: [baseOf(c, context), context.publicUrl()],
    });
    return c.text(`repository ${repository}\nbase ${baseBranch}\n`, 200, noStore);
  });
  asText.post("/finish", async (c) => {
    const ticket = handoverTicket(store, bearerOf(c.req.header("authorization")) ?? "");
    if (ticket === undefined) return c.text(expired, 403);
    const sent = finishQuery.safeParse(c.req.query());
    if (!sent.success) return c.text("That is no hand-over.\n", 400);
    const task = await finishHandover(context, ticket, { ...sent.data, prompt: await c.req.text() });
    return c.text(`task ${task.id}\nurl ${baseOf(c, context)}/tasks/${task.id}\n`, 200, noStore);
  });
  app.route("/handover", asText);
  return app;
}

const expired = "This command is good no longer. Ask for a new one.\n";
const expiredScript = failingScript([expired]);
const noStore = { "Cache-Control": "no-store" };
const objectId = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/);
const finishQuery = z.object({ work: objectId, head: objectId, session: objectId.or(z.literal("")) });

/** With status 200, whatever it says: `curl -f` keeps the body of any other from the shell, and nobody would read the reason. */
function sendScript(c: Context<HttpEnv>, text: string) {
  return c.body(text, 200, {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    ...noStore,
  });
}

/** What stands behind this path, raw. */
const behind = (c: Context<HttpEnv>, path: string) =>
  c.req.url.replace(/^https?:\/\/[^/]*/, "").slice(path.length);

function placeOf(name: string): number | "session" | undefined {
  if (name === "session") return "session";
  return /^[0-9]$/.test(name) ? Number(name) : undefined;
}

/**
 * Where this person reaches the appliance: by its public address where a proxy in front speaks TLS for it, which may have
 * asked under a name of its own; or else by the name that was asked for.
 */
function baseOf(c: Context<HttpEnv>, { publicUrl }: Pick<HttpContext, "publicUrl">): string {
  const asked = new URL(c.req.url);
  const known = new URL(publicUrl());
  return known.protocol === "https:" || asked.host === known.host ? publicUrl() : asked.origin;
}
