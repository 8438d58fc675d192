import type { TaskJson } from "../src/client.ts";

export type TaskState = TaskJson["state"];

/** How a state is shown: never by colour alone. */
export const states: Record<
  TaskState,
  { word: string; tone: "quiet" | "busy" | "ask" | "good" | "bad"; ended: boolean }
> = {
  queued: { word: "Queued", tone: "quiet", ended: false },
  starting: { word: "Starting", tone: "busy", ended: false },
  running: { word: "Running", tone: "busy", ended: false },
  waiting: { word: "Asks you", tone: "ask", ended: false },
  finishing: { word: "Finishing", tone: "busy", ended: false },
  completed: { word: "Completed", tone: "good", ended: true },
  failed: { word: "Failed", tone: "bad", ended: true },
  cancelled: { word: "Cancelled", tone: "quiet", ended: true },
};
