import { z } from "@hono/zod-openapi";
import { type AccessRequest, type AccessState, accessStateKinds } from "../domain/access-request.ts";
import { egressKinds, egressVerdicts } from "../domain/egress.ts";
import type { Store } from "../domain/store.ts";
import { taskStateKinds } from "../domain/task.ts";

/** Egress as it goes over the wire. Times are milliseconds since the epoch. */

export const egressRowSchema = z
  .object({
    id: z.number().int(),
    taskId: z.string(),
    sandboxId: z.string(),
    at: z.number(),
    kind: z.enum(egressKinds),
    host: z.string(),
    port: z.number().int(),
    /** `CONNECT` for a tunnel. */
    method: z.string(),
    /** Path and query with secrets blotted out; empty for a tunnel. */
    path: z.string(),
    /** The address that was dialled; empty where none was. */
    address: z.string(),
    verdict: z.enum(egressVerdicts),
    /** The rule that let it, or a machine-readable reason why it did not pass. */
    reason: z.string(),
    status: z.number().int(),
    bytesUp: z.number().int(),
    bytesDown: z.number().int(),
    ms: z.number(),
    /** Under way still. */
    open: z.boolean(),
  })
  .openapi("EgressEntry");

const sums = {
  requests: z.number().int(),
  refused: z.number().int(),
  bytesUp: z.number().int(),
  bytesDown: z.number().int(),
};
export const egressStatsSchema = z
  .object({
    total: z.object(sums),
    /** The hosts with the most requests, most first; at most 100. */
    hosts: z.array(z.object({ host: z.string(), ...sums })),
    /** Entries that the ledger could not keep since the server started. */
    lost: z.number().int(),
  })
  .openapi("EgressStats");

export const accessRequestSchema = z
  .object({
    id: z.number().int(),
    taskId: z.string(),
    taskTitle: z.string(),
    taskState: z.enum(taskStateKinds),
    environment: z.string(),
    host: z.string(),
    port: z.number().int(),
    /** Why it was refused. */
    reason: z.string(),
    /** How often. */
    count: z.number().int(),
    firstAt: z.number(),
    lastAt: z.number(),
    state: z.enum(accessStateKinds),
    scope: z.enum(["once", "task", "environment"]).optional(),
    /** Who decided, and when; or when it expired, which nobody decided. */
    person: z.string().optional(),
    decidedAt: z.number().optional(),
    /** When a grant for once runs out. */
    until: z.number().optional(),
  })
  .openapi("AccessRequest");
export type AccessRequestJson = z.infer<typeof accessRequestSchema>;

/** With what a person wants to know of the tasks that ask. */
export function accessRequestsJson(
  { tasks }: Pick<Store, "tasks">,
  requests: readonly AccessRequest[],
  now: number,
): AccessRequestJson[] {
  const asking = new Map([...new Set(requests.map(({ taskId }) => taskId))].map((id) => [id, tasks.get(id)]));
  return requests.flatMap(({ state, ...request }) => {
    const task = asking.get(request.taskId);
    if (task === undefined) return [];
    const { title: taskTitle, environment } = task;
    return [{ ...request, taskTitle, taskState: task.state.kind, environment, ...stateJson(state, now) }];
  });
}

function stateJson(
  state: AccessState,
  now: number,
): Pick<AccessRequestJson, "state" | "scope" | "person" | "decidedAt" | "until"> {
  switch (state.kind) {
    case "pending":
      return { state: "pending" };
    case "expired":
      return { state: "expired", decidedAt: state.at };
    case "denied":
    case "used":
      return { state: state.kind, person: state.person, decidedAt: state.at };
    case "granted":
      return { state: "granted", scope: state.scope, person: state.person, decidedAt: state.at };
    case "granted-once": {
      const { person, at: decidedAt, until } = state;
      return { state: now < until ? "granted-once" : "used", scope: "once", person, decidedAt, until };
    }
  }
}
