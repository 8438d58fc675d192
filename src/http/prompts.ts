import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { answerSchema } from "../domain/question.ts";
import { agentModes, attachmentIdsSchema, modelNameSchema, promptTextSchema } from "../domain/task.ts";
import {
  addPrompt,
  answerQuestion,
  cancelTask,
  editPrompt,
  interruptTask,
  movePrompt,
  removePrompt,
  resumeTask,
  sendPromptNow,
  setMode,
  setModel,
} from "../runs/steer.ts";
import { existing } from "../runs/submit.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json } from "./schemas.ts";
import { taskJson, taskSchema } from "./task-schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

const params = z.object({ id: z.string() });
const promptParams = z.object({ id: z.string(), promptId: z.string() });
const done = { 204: { description: "Done" }, ...failures };

/** What a person says to a task after it was submitted: prompts and their queue, and how the agent is steered. */
export function promptRoutes(context: HttpContext) {
  const { store, ids } = context;
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/prompts",
        summary: "Send one more prompt, in whatever state the task is: one that rests goes on",
        request: {
          params,
          body: body(
            z.object({
              text: promptTextSchema,
              /** Uploaded before. */
              attachments: attachmentIdsSchema,
              /** Not to wait for the turn that runs: the agent is told at its next step. */
              now: z.boolean().default(false),
            }),
          ),
        },
        responses: { 201: json(z.object({ id: z.string() }), "The prompt, which waits"), ...failures },
      }),
      (c) => {
        const given = c.req.valid("json");
        const id = addPrompt(store, ids, taskIdOf(c.req.valid("param").id), c.get("person"), given);
        return c.json({ id }, 201);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/tasks/{id}/prompts/{promptId}",
        summary: "Change the words of a prompt that waits",
        request: { params: promptParams, body: body(z.object({ text: promptTextSchema })) },
        responses: done,
      }),
      (c) => {
        const { id, promptId } = c.req.valid("param");
        editPrompt(store, taskIdOf(id), c.get("person"), promptId, c.req.valid("json").text);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/tasks/{id}/prompts/{promptId}",
        summary: "Take a prompt back that waits",
        request: { params: promptParams },
        responses: done,
      }),
      (c) => {
        const { id, promptId } = c.req.valid("param");
        removePrompt(store, taskIdOf(id), c.get("person"), promptId);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/prompts/{promptId}/move",
        summary: "Move a prompt that waits to another place in the queue, counted from 1",
        request: {
          params: promptParams,
          body: body(z.object({ position: z.number().int().min(1).max(1_000_000) })),
        },
        responses: done,
      }),
      (c) => {
        const { id, promptId } = c.req.valid("param");
        const { position } = c.req.valid("json");
        movePrompt(store, taskIdOf(id), c.get("person"), promptId, position);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/prompts/{promptId}/send-now",
        summary: "Give a prompt that waits to the agent at the next step of the turn that runs",
        request: { params: promptParams },
        responses: done,
      }),
      (c) => {
        const { id, promptId } = c.req.valid("param");
        sendPromptNow(store, taskIdOf(id), c.get("person"), promptId);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/answers",
        summary: "Answer a question of the agent, or approve its plan",
        request: { params, body: body(z.object({ requestId: z.string(), answer: answerSchema })) },
        responses: done,
      }),
      (c) => {
        const { requestId, answer } = c.req.valid("json");
        answerQuestion(store, taskIdOf(c.req.valid("param").id), c.get("person"), requestId, answer);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/interrupt",
        summary: "End the turn that runs now; prompts that wait are held until a person says so",
        request: { params },
        responses: done,
      }),
      (c) => {
        interruptTask(store, taskIdOf(c.req.valid("param").id), c.get("person"));
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/resume",
        summary: "Let go on what is held or paused",
        request: { params },
        responses: done,
      }),
      (c) => {
        resumeTask(store, ids, taskIdOf(c.req.valid("param").id), c.get("person"));
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/cancel",
        summary: "Stop a task; the next prompt takes it up again",
        request: { params },
        responses: done,
      }),
      (c) => {
        cancelTask(store, taskIdOf(c.req.valid("param").id), c.get("person"));
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/tasks/{id}",
        summary: "Change the model or the mode of a task, in the middle of its work, too",
        request: {
          params,
          body: body(
            z.object({
              /** Empty for the appliance's default. */
              model: modelNameSchema.optional(),
              mode: z.enum(agentModes).optional(),
            }),
          ),
        },
        responses: { 200: json(taskSchema, "The task as it is now"), ...failures },
      }),
      (c) => {
        const id = taskIdOf(c.req.valid("param").id);
        const { model, mode } = c.req.valid("json");
        store.atomically(() => {
          if (model !== undefined) setModel(store, id, c.get("person"), model);
          if (mode !== undefined) setMode(store, id, c.get("person"), mode);
        });
        return c.json(taskJson(existing(store, id), context), 200);
      },
    );
}
