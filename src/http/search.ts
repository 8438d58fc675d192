import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { searchKinds } from "../domain/search.ts";
import { taskStateKinds } from "../domain/task.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { failures, json } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";

const searchPageSchema = z
  .object({
    results: z.array(
      z.object({
        task: z.object({
          id: z.string(),
          title: z.string(),
          person: z.string(),
          state: z.enum(taskStateKinds),
          createdAt: z.number(),
          archived: z.boolean(),
        }),
        /** The newest first. `seq`: the event, as a cursor of the transcript. */
        places: z.array(
          z.object({
            kind: z.enum(searchKinds),
            seq: z.number().int(),
            at: z.number(),
            snippet: z.array(z.object({ text: z.string(), hit: z.boolean() })),
          }),
        ),
      }),
    ),
    /** `before` of the next page; left out where there is none. */
    next: z.number().int().optional(),
    /** The time was up before the page was full. */
    cutShort: z.boolean(),
    /** Events that have not been read yet: what was said last may be missing. */
    behind: z.number().int(),
  })
  .openapi("SearchPage");

export function searchRoutes({ store, log }: HttpContext) {
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/search",
        summary: "Search titles, prompts and transcripts",
        request: {
          query: z.object({
            /** Any text: all of its words, those in quotes one behind the other; the last may be a beginning. */
            q: z.string().default(""),
            limit: z.coerce.number().int().min(1).max(50).default(20),
            before: z.coerce.number().int().min(0).optional(),
            since: z.coerce.number().optional(),
            until: z.coerce.number().optional(),
            state: z.enum(taskStateKinds).optional(),
            person: z.string().optional(),
            show: z.enum(["current", "archived", "all"]).default("all"),
          }),
        },
        responses: { 200: json(searchPageSchema, "Tasks with the places found in them"), ...failures },
      }),
      (c) => {
        const { q, state, show, ...rest } = c.req.valid("query");
        const states = state === undefined ? undefined : [state];
        const { next, ...page } = store.search.find({ text: q, states, shelf: show, ...rest });
        return c.json({ ...page, behind: store.search.behind(), ...(next !== undefined && { next }) }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/search/rebuild",
        summary: "Forget the search's index, and read everything again",
        responses: { 204: { description: "It is being read again" }, ...failures },
      }),
      (c) => {
        store.search.rebuild();
        log.info("the search's index is built anew", { person: c.get("person").name });
        return c.body(null, 204);
      },
    );
}
