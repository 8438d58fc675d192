import type { SandboxId, TaskId } from "../domain/ids.ts";
import type { Json } from "../domain/json.ts";
import type { Store } from "../domain/store.ts";

export interface OpenQuestion {
  requestId: string;
  tool: string;
  input: Json;
  /** Milliseconds since the epoch. */
  askedAt: number;
}

/** What the agent of this sandbox has asked and nobody has answered, oldest first. */
export function openQuestions(store: Store, taskId: TaskId, sandboxId: SandboxId): OpenQuestion[] {
  const open = new Map<string, OpenQuestion>();
  for (const { at, body } of store.events.ofKinds(taskId, [
    "question",
    "question_closed",
    "answered",
    "sandbox_started",
  ])) {
    // A question dies with the sandbox that asked it.
    if (body.kind === "sandbox_started" && body.sandboxId === sandboxId) open.clear();
    else if (body.kind === "question") {
      const { requestId, tool, input } = body;
      open.set(requestId, { requestId, tool, input, askedAt: at });
    } else if (body.kind === "question_closed" || body.kind === "answered") open.delete(body.requestId);
  }
  return [...open.values()];
}
