import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import { taskEventSchema } from "../domain/event.ts";
import { isId, type TaskId } from "../domain/ids.ts";
import { parseBranchName } from "../domain/repository.ts";
import { taskShelves } from "../domain/store/tasks.ts";
import { isActive, newTaskSchema, taskStateKinds } from "../domain/task.ts";
import { pushKeptWork, tasksWithKeptWork } from "../runs/push-kept.ts";
import { openQuestions } from "../runs/questions.ts";
import { existing, submitTask } from "../runs/submit.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { atForge } from "./forges.ts";
import { body, failures, json } from "./schemas.ts";
import {
  diffSchema,
  promptSchema,
  promptsJson,
  questionSchema,
  taskJson,
  taskSchema,
} from "./task-schemas.ts";
import { rejectInvalid } from "./validation.ts";

/** Beyond this a diff is cut: a page that shows more helps nobody. */
const maxPatchBytes = 4 * 1024 * 1024;

const params = z.object({ id: z.string() });

export function taskRoutes(context: HttpContext) {
  const { store, kept, host } = context;

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks",
        summary: "Submit a task",
        request: { body: body(newTaskSchema) },
        responses: { 201: json(taskSchema, "The task, queued"), ...failures },
      }),
      async (c) =>
        c.json(taskJson(await submitTask(context, c.get("person"), c.req.valid("json")), context), 201),
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks",
        summary: "Tasks, newest first",
        request: {
          query: z.object({
            limit: z.coerce.number().int().min(1).max(500).default(100),
            /** Tasks created before this time, for the next page. */
            before: z.coerce.number().optional(),
            state: z.enum(taskStateKinds).optional(),
            /** What was archived or deleted is left out where nothing is said. */
            show: z.enum(taskShelves).default("current"),
            /** Those alone whose forge did not take all of their work. */
            kept: z.literal("only").optional(),
          }),
        },
        responses: { 200: json(z.array(taskSchema), "Tasks"), ...failures },
      }),
      (c) => {
        const { limit, before, state, show, kept: wanted } = c.req.valid("query");
        const filter = {
          ...{ limit, shelf: show },
          ...(before !== undefined && { before }),
          ...(state !== undefined && { states: [state] }),
        };
        const found = wanted === "only" ? tasksWithKeptWork(context, filter) : store.tasks.list(filter);
        return c.json(
          found.map((task) => taskJson(task, context)),
          200,
        );
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}",
        summary: "One task, its prompts and open questions; the prompts that wait stand last, in their order",
        request: { params },
        responses: {
          200: json(
            z.object({
              task: taskSchema,
              prompts: z.array(promptSchema),
              questions: z.array(questionSchema),
            }),
            "The task",
          ),
          ...failures,
        },
      }),
      (c) => {
        const task = existing(store, taskIdOf(c.req.valid("param").id));
        const prompts = promptsJson(store.prompts.list(task.id));
        const questions = isActive(task.state) ? openQuestions(store, task.id, task.state.sandboxId) : [];
        return c.json({ task: taskJson(task, context), prompts, questions }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}/events",
        summary: "A page of the transcript, by cursor, forwards or backwards",
        request: {
          params,
          query: z.object({
            after: z.coerce.number().int().min(0).default(0),
            /** The last ones below this one instead: a transcript from its end. */
            before: z.coerce.number().int().min(0).optional(),
            limit: z.coerce.number().int().min(1).max(1000).default(500),
          }),
        },
        responses: {
          200: json(z.array(taskEventSchema), "Events above the cursor, or below it, in order"),
          ...failures,
        },
      }),
      (c) => {
        const { after, before, limit } = c.req.valid("query");
        const { id } = existing(store, taskIdOf(c.req.valid("param").id));
        const page =
          before === undefined
            ? store.events.after(id, after, limit)
            : store.events.before(id, before, limit);
        return c.json(page, 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/tasks/{id}/diff",
        summary: "What the task's branches add",
        request: { params },
        responses: { 200: json(z.array(diffSchema), "A diff for each repository"), ...failures },
      }),
      async (c) => {
        const task = existing(store, taskIdOf(c.req.valid("param").id));
        const diffs = [];
        for (const { name, baseBranch, workBranch } of task.repositories) {
          const pushed = (await host.branches(name)).some((branch) => branch.name === workBranch);
          const { patch, patchTruncated } = pushed
            ? await host.diff(name, baseBranch, workBranch, { maxPatchBytes })
            : { patch: "", patchTruncated: false };
          diffs.push({
            repository: name,
            baseBranch,
            workBranch,
            pushed,
            diff: patch,
            truncated: patchTruncated,
          });
        }
        return c.json(diffs, 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/push",
        summary: "Push what the task's forge did not take at its end",
        request: { params, body: body(z.object({ branch: z.string().max(244).optional() })) },
        responses: {
          200: json(
            z.array(z.object({ repository: z.string(), branch: z.string(), commit: z.string() })),
            "What the forge has taken now",
          ),
          ...failures,
        },
      }),
      async (c) => {
        const { branch } = c.req.valid("json");
        const wanted = branch === undefined ? {} : { branch: parseBranchName(branch) };
        const id = taskIdOf(c.req.valid("param").id);
        return c.json(await atForge(() => pushKeptWork({ store, kept }, id, c.get("person"), wanted)), 200);
      },
    );
}

export function taskIdOf(text: string): TaskId {
  if (!isId("TaskId", text)) {
    throw new CcwError(
      "not_found",
      `There is no task ${JSON.stringify(text.slice(0, 60))}.`,
      "`ccw-server task list` shows the tasks.",
    );
  }
  return text;
}
