import type { TaskJson } from "../src/client.ts";

export type TaskState = TaskJson["state"];

interface ShownState {
  word: string;
  tone: "quiet" | "busy" | "ask" | "good" | "bad";
  rests: boolean;
  ended: boolean;
}

/**
 * How a state is shown: never by colour alone. `rests`: nothing runs now. `ended`: its sandbox is stopped or gone, and
 * nothing goes on without a word.
 */
export const states: Record<TaskState, ShownState> = {
  queued: { word: "Queued", tone: "quiet", rests: false, ended: false },
  starting: { word: "Starting", tone: "busy", rests: false, ended: false },
  running: { word: "Running", tone: "busy", rests: false, ended: false },
  waiting: { word: "Asks you", tone: "ask", rests: false, ended: false },
  finishing: { word: "Finishing", tone: "busy", rests: false, ended: false },
  idle: { word: "Done, awake", tone: "good", rests: true, ended: false },
  paused: { word: "Paused", tone: "ask", rests: true, ended: false },
  completed: { word: "Completed", tone: "good", rests: true, ended: true },
  failed: { word: "Failed", tone: "bad", rests: true, ended: true },
  cancelled: { word: "Stopped", tone: "quiet", rests: true, ended: true },
};

/** The state of a task in words, and whose picture stands beside them. */
export function shownState({
  state,
  held,
}: Pick<TaskJson, "state" | "held">): ShownState & { icon: TaskState } {
  // Nothing is done where a person stopped the turn.
  return state === "idle" && held
    ? { ...states.idle, word: "Interrupted", tone: "ask", icon: "paused" }
    : { ...states[state], icon: state };
}
