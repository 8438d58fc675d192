import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import { isId, type PullRequestId } from "../domain/ids.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import {
  changePullRequestSchema,
  commitSchema,
  followPullRequestSchema,
  mergePullRequestSchema,
  openPullRequestSchema,
  pullRequestJson,
  pullRequestSchema,
} from "./pull-request-schemas.ts";
import { body, failures, json } from "./schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

const params = z.object({ id: z.string() });
const one = { 200: json(pullRequestSchema, "The pull request as it is now"), ...failures };

export function pullRequestRoutes({ store, pullRequests, follower }: HttpContext) {
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "post",
        path: "/tasks/{id}/pull-requests",
        summary: "Offer a task's work for review",
        request: { params, body: body(openPullRequestSchema) },
        responses: {
          201: json(z.array(pullRequestSchema), "One for each repository whose work is pushed"),
          ...failures,
        },
      }),
      async (c) => {
        const taskId = taskIdOf(c.req.valid("param").id);
        const opened = await pullRequests.open(taskId, c.get("person"), c.req.valid("json"));
        return c.json(opened.map(pullRequestJson), 201);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/pull-requests",
        summary: "Pull requests, newest first",
        request: {
          query: z.object({
            task: z.string().optional(),
            repository: z.string().optional(),
            state: z.enum(["open", "merged", "closed"]).optional(),
            limit: z.coerce.number().int().min(1).max(500).default(100),
          }),
        },
        responses: { 200: json(z.array(pullRequestSchema), "Pull requests"), ...failures },
      }),
      (c) => {
        const { task, repository, state, limit } = c.req.valid("query");
        const found = store.pullRequests.list({
          ...(task !== undefined && { taskId: taskIdOf(task) }),
          ...(repository !== undefined && { repository }),
          ...(state !== undefined && { states: [state] }),
          limit,
        });
        // Who asks for a task's looks at them; a long list is not a reason to ask a forge for all of it.
        if (task !== undefined) for (const { id } of found) follower.lookedAt(id);
        return c.json(found.map(pullRequestJson), 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/pull-requests/{id}",
        summary: "One pull request and its commits",
        request: { params },
        responses: {
          200: json(
            z.object({ pullRequest: pullRequestSchema, commits: z.array(commitSchema) }),
            "The pull request; its commits newest first",
          ),
          ...failures,
        },
      }),
      async (c) => {
        const id = pullRequestIdOf(c.req.valid("param").id);
        const { pullRequest, commits } = await pullRequests.look(id);
        follower.lookedAt(id);
        return c.json({ pullRequest: pullRequestJson(pullRequest), commits }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/pull-requests/{id}",
        summary: "Change its title or description, or mark it as ready for review",
        request: { params, body: body(changePullRequestSchema) },
        responses: one,
      }),
      async (c) => {
        const id = pullRequestIdOf(c.req.valid("param").id);
        const after = await pullRequests.update(id, c.get("person"), c.req.valid("json"));
        return c.json(pullRequestJson(after), 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/pull-requests/{id}/merge",
        summary: "Merge one that the appliance keeps itself",
        request: { params, body: body(mergePullRequestSchema) },
        responses: one,
      }),
      async (c) => {
        const id = pullRequestIdOf(c.req.valid("param").id);
        const after = await pullRequests.merge(id, c.get("person"), c.req.valid("json"));
        return c.json(pullRequestJson(after), 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/pull-requests/{id}/close",
        summary: "Close one that the appliance keeps itself, without merging it",
        request: { params },
        responses: one,
      }),
      async (c) => {
        const id = pullRequestIdOf(c.req.valid("param").id);
        return c.json(pullRequestJson(await pullRequests.close(id, c.get("person"))), 200);
      },
    )
    .openapi(
      createRoute({
        method: "put",
        path: "/pull-requests/{id}/follow",
        summary: "Have failed checks and comments become work for its task, or stop that",
        request: { params, body: body(followPullRequestSchema) },
        responses: one,
      }),
      async (c) => {
        const id = pullRequestIdOf(c.req.valid("param").id);
        const after = await follower.follow(id, c.get("person"), c.req.valid("json"));
        return c.json(pullRequestJson(after), 200);
      },
    );
}

function pullRequestIdOf(text: string): PullRequestId {
  if (!isId("PullRequestId", text)) {
    throw new CcwError(
      "not_found",
      `There is no pull request ${JSON.stringify(text.slice(0, 60))}.`,
      "`ccw-server pr list` shows them.",
    );
  }
  return text;
}
