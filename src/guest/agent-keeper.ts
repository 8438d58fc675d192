import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import type { Json } from "../domain/json.ts";
import { pause } from "../domain/pause.ts";
import type { Agent, AgentExit, AgentRun, AgentStart } from "./agents/agent.ts";
import type { StateFile } from "./state.ts";
import { tailOf } from "./text.ts";

/** Keeps one conversation going over the deaths of the agent's process. */
export interface AgentKeeper {
  prompt(promptId: string, text: string): Promise<void>;
  answer(requestId: string, answer: Json): Promise<void>;
  interrupt(): void;
  /** Lets the turn end, for a minute at most, then the process. */
  end(): Promise<void>;
  kill(): Promise<void>;
  /** Rejects when the agent cannot be kept alive; never resolves. */
  readonly failed: Promise<never>;
}

export interface AgentKeeperOptions {
  agent: Agent;
  start: Omit<AgentStart, "lastPromptId">;
  state: StateFile;
}

/** Deaths in a row, without one finished turn between them. */
const maxRestarts = 2;
const endMs = 60_000;

/** Starts the agent, and gives it again the prompt that the last guest left open. Throws as `Agent.start` does. */
export async function keepAgent({ agent, start, state }: AgentKeeperOptions): Promise<AgentKeeper> {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let restarts = 0;
  let ending = false;

  const emit = async (event: GuestEvent) => {
    await start.emit(event);
    remember(state, event);
    if (event.kind === "turn_ended" && event.outcome === "done") restarts = 0;
  };

  const launch = (): AgentRun => {
    const run = agent.start({ ...start, emit, lastPromptId: state.value.lastPromptId });
    const open = state.value.openPrompt;
    if (open !== null) run.prompt(open.promptId, open.text);
    run.exited.then(onExit).catch(failed.reject);
    return run;
  };

  const onExit = async ({ how, stderr }: AgentExit) => {
    if (ending) return;
    const words = stderr === "" ? "" : ` It said: ${tailOf(stderr, 2000)}`;
    if (restarts >= maxRestarts) {
      throw new CcwError(
        "unavailable",
        `${agent.title} ended ${restarts + 1} times without finishing a turn, the last time with ${how}.${words}`,
        "What it had done is on the work branch. If memory ran out, give the environment more; then start the task again.",
      );
    }
    restarts++;
    const text = `${agent.title} ended by itself (${how}) and was started again.${words}`;
    await emit({ kind: "notice", level: "warning", text });
    if (!ending) run = launch();
  };

  for (const requestId of state.value.questions) await emit({ kind: "question_closed", requestId });
  let run = launch();

  return {
    async prompt(promptId, text) {
      const open = state.value.openPrompt;
      if (open !== null && open.promptId !== promptId) {
        const usage = { inputTokens: 0, outputTokens: 0 };
        const words = "The agent still works on another prompt. Send this one again when that has ended.";
        return start.emit({ kind: "turn_ended", promptId, outcome: "error", text: words, usage });
      }
      state.update({ openPrompt: { promptId, text } });
      run.prompt(promptId, text);
    },
    answer: (requestId, answer) => run.answer(requestId, answer),
    interrupt: () => run.interrupt(),
    async end() {
      ending = true;
      const timeout = new AbortController();
      const ended = await Promise.race([
        run.end().then(() => true),
        pause(endMs, timeout.signal).then(() => false),
      ]);
      timeout.abort();
      if (!ended) await run.kill();
    },
    async kill() {
      ending = true;
      await run.kill();
    },
    failed: failed.promise,
  };
}

/** Keeps in the state file what the next guest has to know. The event is in the spool by then. */
function remember(state: StateFile, event: GuestEvent): void {
  const { openPrompt, questions } = state.value;
  if (event.kind === "turn_started") state.update({ lastPromptId: event.promptId });
  if (event.kind === "turn_ended" && openPrompt?.promptId === event.promptId)
    state.update({ openPrompt: null });
  if (event.kind === "question") state.update({ questions: [...questions, event.requestId] });
  if (event.kind === "question_closed") {
    state.update({ questions: questions.filter((open) => open !== event.requestId) });
  }
}
