import type { GuestEvent } from "../domain/event.ts";
import { createStepOutput, type OnLines } from "./commands.ts";

type Step = Extract<GuestEvent, { kind: "step_started" }>["step"];

/** Does it as a step that the transcript shows, with its output and how long it took. */
export async function step(
  flow: { emit: (event: GuestEvent) => Promise<void>; signal: AbortSignal },
  name: Step,
  detail: string,
  work: (onLines: OnLines) => Promise<void>,
): Promise<void> {
  flow.signal.throwIfAborted();
  const began = performance.now();
  await flow.emit({ kind: "step_started", step: name, detail });
  const output = createStepOutput(name, flow.emit);
  try {
    await work(output.lines);
  } finally {
    await output.close();
  }
  await flow.emit({ kind: "step_done", step: name, ms: Math.round(performance.now() - began) });
}
