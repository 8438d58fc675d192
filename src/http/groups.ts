import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { newGroupSchema } from "../domain/group.ts";
import { existingGroup, keepAttempt, submitGroup } from "../runs/groups.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json } from "./schemas.ts";
import { taskJson, taskSchema } from "./task-schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

const params = z.object({ id: z.string() });

const groupSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    prompt: z.string(),
    person: z.string(),
    /** The task that was kept. */
    kept: z.string().optional(),
    tasks: z.array(taskSchema),
    createdAt: z.number(),
  })
  .openapi("Group");
export type GroupJson = z.infer<typeof groupSchema>;

export function groupRoutes(context: HttpContext) {
  const { store } = context;
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "post",
        path: "/groups",
        summary: "Submit several attempts at the same prompt",
        request: { body: body(newGroupSchema) },
        responses: { 201: json(groupSchema, "The attempts, queued"), ...failures },
      }),
      async (c) => {
        const { id } = await submitGroup(context, c.get("person"), c.req.valid("json"));
        return c.json(groupJson(context, id), 201);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/groups/{id}",
        summary: "Several attempts at the same prompt",
        request: { params },
        responses: { 200: json(groupSchema, "The attempts, in their order"), ...failures },
      }),
      (c) => c.json(groupJson(context, c.req.valid("param").id), 200),
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/groups/{id}/keep",
        summary: "Keep one attempt, and cancel the others",
        request: { params, body: body(z.object({ taskId: z.string() })) },
        responses: { 200: json(groupSchema, "The attempts as they are now"), ...failures },
      }),
      (c) => {
        const { id } = existingGroup(store, c.req.valid("param").id);
        keepAttempt(store, id, taskIdOf(c.req.valid("json").taskId), c.get("person"));
        return c.json(groupJson(context, id), 200);
      },
    );
}

function groupJson(context: HttpContext, id: string): GroupJson {
  const { store } = context;
  const { kept, title, prompt, person, createdAt, ...group } = existingGroup(store, id);
  return {
    ...{ id: group.id, title, prompt, person, createdAt },
    ...(kept !== undefined && { kept }),
    tasks: store.groups.tasks(group.id).map((task) => taskJson(task, context)),
  };
}
