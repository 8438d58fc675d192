import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { archiveTask, deleteTask, restoreTask, takeFromArchive } from "../runs/put-away.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { failures, json } from "./schemas.ts";
import { taskJson, taskSchema } from "./task-schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

const params = z.object({ id: z.string() });
const task = (description: string) => ({ 200: json(taskSchema, description), ...failures });

/** The archive, and what was deleted. */
export function putAwayRoutes(context: HttpContext) {
  const { store, ids, deleteAfterMs } = context;
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/archive",
        summary: "Leave a task that rests out of the lists, and remove its sandbox; its snapshots stay",
        request: { params },
        responses: task("The task, archived"),
      }),
      (c) => c.json(taskJson(archiveTask(store, taskIdOf(c.req.valid("param").id)), context), 200),
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/tasks/{id}/archive",
        summary: "Take a task back from the archive",
        request: { params },
        responses: task("The task"),
      }),
      (c) => c.json(taskJson(takeFromArchive(store, taskIdOf(c.req.valid("param").id)), context), 200),
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/tasks/{id}",
        summary: "Delete a task that rests, and after the grace time everything that belongs to it",
        request: {
          params,
          query: z.object({
            /** Without a grace time. */
            now: z.enum(["true", "false"]).default("false"),
          }),
        },
        responses: task("The task as it was, and until when it can be restored"),
      }),
      (c) => {
        const removeAt = ids.now() + (c.req.valid("query").now === "true" ? 0 : deleteAfterMs);
        return c.json(taskJson(deleteTask(store, taskIdOf(c.req.valid("param").id), removeAt), context), 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/restore",
        summary: "Restore a task that was deleted",
        request: { params },
        responses: task("The task, as it was"),
      }),
      (c) => c.json(taskJson(restoreTask(store, taskIdOf(c.req.valid("param").id), ids.now()), context), 200),
    );
}
