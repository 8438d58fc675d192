import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { archiveFormats, forkedTurn } from "../domain/snapshots.ts";
import { forkSchema, forkTask } from "../runs/fork-task.ts";
import { diffOfTurn, rangeOf, repositoryIndexOf, snapshotOf, turnsOf } from "../runs/snapshot-turns.ts";
import { rollBack } from "../runs/snapshots.ts";
import { existing } from "../runs/submit.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json } from "./schemas.ts";
import { fileNameOf, noSnapshot, sendFile } from "./snapshot-file.ts";
import { taskJson, taskSchema } from "./task-schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

/** Beyond this a diff is cut: a page that shows more helps nobody. */
const maxPatchBytes = 4 * 1024 * 1024;

const params = z.object({ id: z.string() });
const turnNumber = z.coerce.number().int().min(1).max(1_000_000);
const turnParams = params.extend({ turn: turnNumber });
/** Another turn, or `forkedTurn`; against the base branch where nothing is said. */
const from = z.coerce.number().int().min(forkedTurn).max(1_000_000).optional();
/** Which of several repositories. */
const repository = z.string().optional();

const turnSchema = z.object({
  turn: z.number().int(),
  at: z.number(),
  promptId: z.string(),
  /** The first line of its prompt. */
  prompt: z.string(),
  /** The turn whose work it went on with; 0 for what a forked task began with. */
  previous: z.number().int().optional(),
  /** How many files it changed. */
  files: z.number().int().optional(),
  /** Whether its files are there still. */
  kept: z.boolean(),
});
const turnDiffSchema = z.object({
  repository: z.string(),
  kept: z.boolean(),
  diff: z.string(),
  truncated: z.boolean(),
});
const file = (description: string) => ({
  200: { content: { "application/octet-stream": { schema: z.string() } }, description },
  ...failures,
});

export function snapshotRoutes(context: HttpContext) {
  const { store, snapshots } = context;

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}/snapshots",
        summary: "A task's turns with a snapshot, in order",
        request: { params },
        responses: { 200: json(z.array(turnSchema), "Turns"), ...failures },
      }),
      async (c) => c.json(await turnsOf(context, taskIdOf(c.req.valid("param").id)), 200),
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}/snapshots/{turn}/diff",
        summary: "What lies between two turns, or between the base branch and a turn",
        request: { params: turnParams, query: z.object({ from }) },
        responses: { 200: json(z.array(turnDiffSchema), "A diff for each repository"), ...failures },
      }),
      async (c) => {
        const { id, turn } = c.req.valid("param");
        const wanted = { taskId: taskIdOf(id), turn, from: c.req.valid("query").from };
        return c.json(await diffOfTurn(context, wanted, { maxPatchBytes }), 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}/snapshots/{turn}/patch",
        summary: "The same for `git apply`, whole and with binary files, of one repository",
        request: { params: turnParams, query: z.object({ from, repository }) },
        responses: file("The patch"),
      }),
      async (c) => {
        const { id, turn } = c.req.valid("param");
        const query = c.req.valid("query");
        const taskId = taskIdOf(id);
        const index = repositoryIndexOf(store, taskId, query.repository);
        const range = rangeOf(store, { taskId, turn, from: query.from, index });
        if (range === undefined) throw noSnapshot(turn);
        const bytes = await snapshots.patch(range, c.req.raw.signal);
        return sendFile(c, bytes, { task: existing(store, taskId), index, turn, ending: "patch" });
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}/snapshots/{turn}/archive",
        summary: "All files after a turn, of one repository",
        request: {
          params: turnParams,
          query: z.object({ repository, format: z.enum(archiveFormats).default("tar.gz") }),
        },
        responses: file("The archive"),
      }),
      async (c) => {
        const { id, turn } = c.req.valid("param");
        const query = c.req.valid("query");
        const task = existing(store, taskIdOf(id));
        const index = repositoryIndexOf(store, task.id, query.repository);
        const commit = snapshotOf(store, task.id, turn).repositories[index]?.commit;
        if (commit === undefined) throw noSnapshot(turn);
        const { format } = query;
        const name = fileNameOf({ task, index, turn });
        const bytes = await snapshots.archive(
          { taskId: task.id, index, commit, format, name },
          c.req.raw.signal,
        );
        return sendFile(c, bytes, { task, index, turn, ending: format });
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/rollback",
        summary: "Put a task that rests back to how it was after a turn",
        request: { params, body: body(z.object({ turn: z.number().int().positive() })) },
        responses: { 204: { description: "Done" }, ...failures },
      }),
      async (c) => {
        const taskId = taskIdOf(c.req.valid("param").id);
        await rollBack(context, taskId, c.get("person"), c.req.valid("json").turn);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/fork",
        summary: "A new task that begins as this one was after a turn",
        request: { params, body: body(forkSchema) },
        responses: { 201: json(taskSchema, "The new task, queued"), ...failures },
      }),
      async (c) => {
        const from = taskIdOf(c.req.valid("param").id);
        const made = await forkTask(context, from, c.get("person"), c.req.valid("json"));
        return c.json(taskJson(made, context), 201);
      },
    );
}
