import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { accessDecisions, accessStateKinds } from "../domain/access-request.ts";
import { defaultGroups } from "../domain/default-allowlist.ts";
import { denyCodes, egressVerdicts } from "../domain/egress.ts";
import { checkEgress } from "../domain/egress-check.ts";
import { CcwError } from "../domain/errors.ts";
import { parseHost } from "../domain/host.ts";
import { decideAccess } from "../runs/access-requests.ts";
import { policyOf } from "../runs/egress.ts";
import { environmentNamed } from "../runs/submit.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import {
  accessRequestSchema,
  accessRequestsJson,
  egressRowSchema,
  egressStatsSchema,
} from "./egress-schemas.ts";
import { body, failures, json } from "./schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

const id = z.coerce.number().int().min(0);
/** How a follower learns of ends: what it has seen open, it asks for again. */
const entryIds = z
  .string()
  .regex(/^\d{1,15}(?:,\d{1,15}){0,499}$/, "ids are 1 to 500 numbers with commas between them.")
  .transform((text) => text.split(",").map(Number))
  .optional();
const time = z.coerce.number().min(0);
const filters = {
  task: z.string().optional(),
  /** Exact, as the ledger shows it. */
  host: z.string().max(300).optional(),
  verdict: z.enum(egressVerdicts).optional(),
  /** Began at or after this time. */
  since: time.optional(),
};
const limit = z.coerce.number().int().min(1).max(1000).default(100);

export function egressRoutes({ store, ids }: HttpContext) {
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/egress",
        summary: "The ledger of egress: newest first, or oldest first above an id; or entries by their ids",
        request: {
          query: z.object({ ...filters, before: id.optional(), after: id.optional(), ids: entryIds, limit }),
        },
        responses: { 200: json(z.array(egressRowSchema), "Entries"), ...failures },
      }),
      (c) => {
        const { before, after, ids: wanted, limit: most, ...query } = c.req.valid("query");
        if (wanted !== undefined) {
          if (before !== undefined || after !== undefined || Object.keys(query).length > 0) {
            throw new CcwError(
              "invalid",
              "`ids` names the entries one by one, so nothing else can narrow them.",
              "Leave the other parameters out.",
            );
          }
          return c.json(store.egress.get(wanted), 200);
        }
        if (before !== undefined && after !== undefined) {
          throw new CcwError(
            "invalid",
            "Both `before` and `after` are given, which go in opposite directions.",
            "Page back with `before`, or follow with `after`.",
          );
        }
        const filter = { ...filterOf(query), limit: most };
        const rows =
          after === undefined
            ? store.egress.list({ ...filter, ...(before !== undefined && { before }) })
            : store.egress.after(after, filter);
        return c.json(rows, 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/egress/stats",
        summary: "Requests, refusals and bytes, by host",
        request: { query: z.object({ task: z.string().optional(), since: time.optional() }) },
        responses: { 200: json(egressStatsSchema, "Statistics"), ...failures },
      }),
      async (c) => c.json(await store.egress.stats(filterOf(c.req.valid("query"))), 200),
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/egress/groups",
        summary: "The groups of the default list, with their hosts",
        responses: { 200: json(z.array(groupSchema), "Groups"), ...failures },
      }),
      (c) =>
        c.json(
          defaultGroups.map(({ name, hosts }) => ({
            name,
            hosts: hosts.map(({ host, inspect }) => ({ host, inspected: inspect })),
          })),
          200,
        ),
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/egress/check",
        summary: "What would happen to a request, and why. Nothing is sent",
        request: {
          body: body(
            z.object({
              url: z.string().min(1, "The URL is empty.").max(8000),
              method: z
                .string()
                .regex(/^[A-Za-z]{1,30}$/, "That is not a method such as GET.")
                .transform((method) => method.toUpperCase())
                .default("GET"),
              environment: z.string(),
            }),
          ),
        },
        responses: { 200: json(checkSchema, "The verdict, and how it came about"), ...failures },
      }),
      (c) => {
        const { url, method, environment } = c.req.valid("json");
        const policy = policyOf(environmentNamed(store, environment), []);
        const { verdict, steps } = checkEgress(policy, url, method);
        const shown = verdict.allowed
          ? { allowed: true as const, rule: verdict.rule, treatment: verdict.treatment }
          : {
              allowed: false as const,
              code: verdict.code,
              reason: verdict.text,
              grantable: verdict.grantable,
            };
        return c.json({ ...shown, steps }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/access-requests",
        summary: "Hosts that sandboxes were refused, put before a person; newest first",
        request: {
          query: z.object({ task: z.string().optional(), state: z.enum(accessStateKinds).optional(), limit }),
        },
        responses: { 200: json(z.array(accessRequestSchema), "Access requests"), ...failures },
      }),
      (c) => {
        const { task, state, limit: most } = c.req.valid("query");
        const rows = store.access.list({
          limit: most,
          ...(task !== undefined && { taskId: taskIdOf(task) }),
          ...(state !== undefined && { kinds: [state] }),
        });
        return c.json(accessRequestsJson(store, rows, ids.now()), 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/access-requests/{id}",
        summary: "Grant or deny an access request; in effect at once",
        request: {
          params: z.object({ id: z.string() }),
          body: body(z.object({ decision: z.enum(accessDecisions) })),
        },
        responses: { 200: json(accessRequestSchema, "The request, decided"), ...failures },
      }),
      (c) => {
        const { decision } = c.req.valid("json");
        const decided = decideAccess(
          { store, now: ids.now },
          c.get("person"),
          accessRequestIdOf(c.req.valid("param").id),
          decision,
        );
        const [shown] = accessRequestsJson(store, [decided], ids.now());
        if (shown === undefined) throw new CcwError("not_found", "The task of this request is gone.");
        return c.json(shown, 200);
      },
    );
}

const groupSchema = z
  .object({
    name: z.string(),
    hosts: z.array(z.object({ host: z.string(), inspected: z.boolean() })),
  })
  .openapi("EgressGroup");

/** What would happen, in its order, as sentences. */
const steps = z.array(z.string());
const checkSchema = z
  .discriminatedUnion("allowed", [
    z.object({
      allowed: z.literal(true),
      /** The rule that lets it. */
      rule: z.string(),
      treatment: z.enum(["pass", "inspect", "raw"]),
      steps,
    }),
    z.object({
      allowed: z.literal(false),
      code: z.enum(denyCodes),
      reason: z.string(),
      /** Whether a person may lift it. */
      grantable: z.boolean(),
      steps,
    }),
  ])
  .openapi("EgressCheck");

interface Query {
  task?: string | undefined;
  host?: string | undefined;
  verdict?: (typeof egressVerdicts)[number] | undefined;
  since?: number | undefined;
}

function filterOf({ task, host, verdict, since }: Query) {
  return {
    ...(task !== undefined && { taskId: taskIdOf(task) }),
    ...(host !== undefined && { host: canonical(host) }),
    ...(verdict !== undefined && { verdict }),
    ...(since !== undefined && { since }),
  };
}

/** As the ledger has it; what is no host is found under no name. */
function canonical(host: string): string {
  const parsed = parseHost(host);
  return parsed.ok ? parsed.value.text : host;
}

function accessRequestIdOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CcwError(
    "not_found",
    `There is no access request ${JSON.stringify(text.slice(0, 60))}.`,
    "`ccw-server egress requests` shows what is asked for.",
  );
}
