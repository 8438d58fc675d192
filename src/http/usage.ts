import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { limitsSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { usageBys } from "../domain/store/usage.ts";
import { figuresOf, rowOf, usageCsv } from "../domain/usage-report.ts";
import { limitsOf } from "../runs/model-port.ts";
import { existing } from "../runs/submit.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json } from "./schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

const maxRows = 100_000;

const day = z.iso.date("That is no day. One is written like 2026-11-21.").optional();
const query = z.object({
  by: z.enum(usageBys).default("day"),
  /** Days, both included. */
  from: day,
  to: day,
});

const figures = {
  requests: z.number().int(),
  inputTokens: z.number().int(),
  outputTokens: z.number().int(),
  cacheReadTokens: z.number().int(),
  cacheWrite5mTokens: z.number().int(),
  cacheWrite1hTokens: z.number().int(),
  webSearches: z.number().int(),
  /** US dollars, without the requests that had no price. */
  costUsd: z.number(),
  unpricedRequests: z.number().int(),
};
const figuresSchema = z.object(figures).openapi("UsageFigures");
const rowSchema = z.object({ key: z.string(), name: z.string(), ...figures }).openapi("UsageRow");

const limit = {
  turns: limitsSchema.shape.turns,
  tokens: limitsSchema.shape.tokens,
  usd: limitsSchema.shape.usd,
};
const budgetSchema = z.object({
  turns: z.number(),
  tokens: z.number(),
  usd: z.number(),
  /** Which of them were set for this task alone. */
  own: z.array(z.enum(["turns", "tokens", "usd"])),
});
const budgetInput = z.object({
  turns: limit.turns.unwrap().nullish(),
  tokens: limit.tokens.unwrap().nullish(),
  usd: limit.usd.unwrap().nullish(),
});
type Limit = keyof z.infer<typeof budgetInput>;

export function usageRoutes({ store, usage }: HttpContext) {
  const { calendar } = usage;
  const budgetJson = (id: Parameters<typeof existing>[1]) => ({
    ...limitsOf(store, existing(store, id)),
    own: (["turns", "tokens", "usd"] as const).filter((name) => store.usage.budgetOf(id)[name] !== undefined),
  });

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/usage",
        summary: "Tokens and cost, summed up by task, person, environment, model or day",
        request: {
          query: query.extend({ limit: z.coerce.number().int().min(1).max(maxRows).default(1000) }),
        },
        responses: {
          200: json(
            z.object({
              by: z.enum(usageBys),
              /** Whose midnight ends a day. */
              timeZone: z.string(),
              total: figuresSchema,
              /** By day in order, else by what costs most. */
              rows: z.array(rowSchema),
            }),
            "Usage",
          ),
          ...failures,
        },
      }),
      (c) => {
        const { by, limit: most, ...filter } = inOrder(c.req.valid("query"));
        return c.json(
          {
            by,
            timeZone: calendar.zone,
            total: figuresOf(store.usage.total(filter)),
            rows: store.usage.sums(by, filter, most).map(rowOf),
          },
          200,
        );
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/usage.csv",
        summary: "The same as a CSV file",
        request: { query },
        responses: {
          200: { description: "CSV", content: { "text/csv": { schema: z.string() } } },
          ...failures,
        },
      }),
      (c) => {
        const { by, ...filter } = inOrder(c.req.valid("query"));
        return c.body(usageCsv(by, store.usage.sums(by, filter, maxRows).map(rowOf)), 200, {
          "Content-Type": "text/csv; charset=utf-8",
          "Content-Disposition": `attachment; filename="usage-by-${by}.csv"`,
        });
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}/usage",
        summary: "What one task used, by turn and by model, and its budget",
        request: { params: z.object({ id: z.string() }) },
        responses: {
          200: json(
            z.object({
              total: figuresSchema,
              /** Without a promptId: what was used outside of any turn. */
              turns: z.array(z.object({ promptId: z.string().optional(), ...figures })),
              models: z.array(rowSchema),
              budget: budgetSchema,
            }),
            "Usage",
          ),
          ...failures,
        },
      }),
      (c) => {
        const { id } = existing(store, taskIdOf(c.req.valid("param").id));
        return c.json(
          {
            total: figuresOf(store.usage.total({ taskId: id })),
            turns: store.usage.turns(id).map(({ promptId, ...totals }) => ({
              ...(promptId !== undefined && { promptId }),
              ...figuresOf(totals),
            })),
            models: store.usage.sums("model", { taskId: id }, 100).map(rowOf),
            budget: budgetJson(id),
          },
          200,
        );
      },
    )
    .openapi(
      createRoute({
        method: "put",
        path: "/tasks/{id}/budget",
        summary: "Give one task limits of its own; null takes its environment's again, 0 is no limit",
        request: { params: z.object({ id: z.string() }), body: body(budgetInput) },
        responses: { 200: json(budgetSchema, "The budget"), ...failures },
      }),
      (c) => {
        const { id } = existing(store, taskIdOf(c.req.valid("param").id));
        store.atomically(() => {
          const limits = store.usage.budgetOf(id);
          for (const name of ["turns", "tokens", "usd"] satisfies Limit[]) {
            const value = c.req.valid("json")[name];
            if (value === null) delete limits[name];
            else if (value !== undefined) limits[name] = value;
          }
          store.usage.setBudget(id, limits);
          const { turns, tokens, usd } = limitsOf(store, existing(store, id));
          const words = [
            usd > 0 ? `$${usd}` : "any amount of money",
            tokens > 0 ? `${tokens} tokens` : "any number of tokens",
            turns > 0 ? `${turns} turns` : "any number of turns",
          ];
          store.events.append(id, {
            kind: "appliance_notice",
            level: "info",
            text: `${c.get("person").name} set the budget of this task: ${words.join(", ")}.`,
          });
        });
        return c.json(budgetJson(id), 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/model/retry",
        summary: "Ask the model again before the time that its usage limit names",
        responses: { 204: { description: "Done" }, ...failures },
      }),
      (c) => {
        usage.limits.forget();
        return c.body(null, 204);
      },
    );
}

function inOrder<Filter extends { from?: string | undefined; to?: string | undefined }>(
  filter: Filter,
): Filter {
  if (filter.from !== undefined && filter.to !== undefined && filter.from > filter.to) {
    throw new CcwError("invalid", `${filter.from} is after ${filter.to}.`, "Give the earlier day as `from`.");
  }
  return filter;
}
