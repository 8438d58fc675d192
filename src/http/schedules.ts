import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { nextTimes } from "../domain/cron.ts";
import { newScheduleSchema, type Schedule, scheduleChangeSchema } from "../domain/schedule.ts";
import { addSchedule, changeSchedule, existingSchedule, runSchedule } from "../runs/schedules.ts";
import { renewTrigger } from "../runs/triggers.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import {
  scheduleJson,
  scheduleRunJson,
  scheduleRunSchema,
  scheduleSchema,
  triggerUrl,
} from "./schedule-schemas.ts";
import { body, failures, json } from "./schemas.ts";
import { taskJson, taskSchema } from "./task-schemas.ts";
import { rejectInvalid } from "./validation.ts";

const params = z.object({ id: z.string() });
const done = { 204: { description: "Done" }, ...failures };
const one = json(scheduleSchema, "The schedule as it is now");
const shownRuns = 50;

export function scheduleRoutes(context: HttpContext) {
  const { store, ids, publicUrl } = context;
  const shown = (schedule: Schedule) => scheduleJson(store, schedule, ids.now(), publicUrl());
  const existing = (id: string) => existingSchedule(store, id);

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/schedules",
        summary: "Schedules, by name",
        responses: { 200: json(z.array(scheduleSchema), "Schedules"), ...failures },
      }),
      (c) => c.json(store.schedules.list().map(shown), 200),
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/schedules",
        summary: "Make a schedule",
        request: { body: body(newScheduleSchema) },
        responses: { 201: one, ...failures },
      }),
      (c) => c.json(shown(addSchedule(context, c.get("person"), c.req.valid("json"))), 201),
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/schedule-times",
        summary: "When a cron pattern is due next, by the clock of a time zone",
        request: { query: z.object({ expression: z.string(), zone: z.string() }) },
        responses: { 200: json(z.array(z.number()), "The next five times"), ...failures },
      }),
      (c) => {
        const { expression, zone } = c.req.valid("query");
        return c.json(nextTimes(expression, zone, ids.now(), 5), 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/schedules/{id}",
        summary: "One schedule and what came of it",
        request: { params },
        responses: {
          200: json(
            z.object({ schedule: scheduleSchema, runs: z.array(scheduleRunSchema) }),
            "The schedule; its runs newest first",
          ),
          ...failures,
        },
      }),
      (c) => {
        const schedule = existing(c.req.valid("param").id);
        const runs = store.schedules.runs(schedule.id, shownRuns).map((run) => scheduleRunJson(store, run));
        return c.json({ schedule: shown(schedule), runs }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/schedules/{id}",
        summary: "Change, pause or resume a schedule",
        request: { params, body: body(scheduleChangeSchema) },
        responses: { 200: one, ...failures },
      }),
      (c) => {
        const { id } = existing(c.req.valid("param").id);
        return c.json(shown(changeSchedule(context, id, c.get("person"), c.req.valid("json"))), 200);
      },
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/schedules/{id}",
        summary: "Remove a schedule; its tasks stay",
        request: { params },
        responses: done,
      }),
      (c) => {
        store.schedules.remove(existing(c.req.valid("param").id).id);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/schedules/{id}/run",
        summary: "Submit its task now",
        request: { params },
        responses: { 201: json(taskSchema, "The task, queued"), ...failures },
      }),
      async (c) => {
        const { id } = existing(c.req.valid("param").id);
        return c.json(taskJson(await runSchedule(context, id), context), 201);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/schedules/{id}/trigger",
        summary: "Make a trigger's address and token; one made before is void",
        request: { params },
        responses: {
          201: json(z.object({ url: z.string(), token: z.string() }), "The token is shown this once"),
          ...failures,
        },
      }),
      (c) => {
        const { id } = existing(c.req.valid("param").id);
        return c.json({ url: triggerUrl(publicUrl(), id), token: renewTrigger(context, id) }, 201);
      },
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/schedules/{id}/trigger",
        summary: "End a schedule's trigger",
        request: { params },
        responses: done,
      }),
      (c) => {
        store.schedules.setTrigger(existing(c.req.valid("param").id).id, undefined);
        return c.body(null, 204);
      },
    );
}
