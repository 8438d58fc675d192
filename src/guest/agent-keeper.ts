import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import type { Json } from "../domain/json.ts";
import type { AgentMode } from "../domain/task.ts";
import type { Agent, AgentExit, AgentRun, AgentStart } from "./agents/agent.ts";
import { nothingHeard } from "./agents/heard.ts";
import { afterEvent, keepPrompts, neverRan } from "./kept-prompts.ts";
import type { KeptPrompt, StateFile } from "./state.ts";
import { tailOf } from "./text.ts";

/** Keeps one conversation going over the deaths of the agent's process. It is started when there is work for it. */
export interface AgentKeeper {
  /** A turn of its own, once those before it have ended; with `now`, told within the turn that runs. */
  prompt(prompt: Omit<KeptPrompt, "key">, now: boolean): void;
  answer(requestId: string, answer: Json): Promise<void>;
  /** Ends the turn that runs; what was to be told within it, or waits for its end, does not run. */
  interrupt(): Promise<void>;
  setModel(model: string): void;
  setMode(mode: AgentMode): void;
  /** Starts the process now, where it does not run. Throws as `Agent.start` does. */
  wake(): void;
  /**
   * What had been said to it while it slept is carried out: only from here on the agent is given anything, since an
   * interruption may have been among it. Starts the process where there is work for it.
   */
  caughtUp(): void;
  kill(): Promise<void>;
  /** Rejects when the agent cannot be kept alive; never resolves. */
  readonly failed: Promise<never>;
}

export interface AgentKeeperOptions {
  agent: Agent;
  start: Omit<AgentStart, "lastPromptId" | "unfinished" | "modeChanged">;
  state: StateFile;
  /** Done, and waited for, before the end of a turn is told. `settled`: the conversation is in its files by then. */
  beforeTurnEnds: (promptId: string, settled: Promise<void>) => Promise<void>;
}

/** Deaths in a row, without one finished turn between them. */
const maxRestarts = 2;

export async function keepAgent(options: AgentKeeperOptions): Promise<AgentKeeper> {
  const { agent, start, state, beforeTurnEnds } = options;
  const prompts = keepPrompts(state);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let run: AgentRun | undefined;
  let restarts = 0;
  let ending = false;
  let catchingUp = false;
  let isHeld = true;

  /** Prompts that the process has which runs now. */
  let handed = new Set<string>();

  const giveOpen = () => {
    const { openPrompt } = state.value;
    if (run === undefined || isHeld || openPrompt === null || handed.has(openPrompt.promptId)) return;
    handed.add(openPrompt.promptId);
    run.prompt(openPrompt);
  };
  const giveNow = (prompt: KeptPrompt) => {
    handed.add(prompt.promptId);
    run?.now(prompt);
  };
  const emit = async (event: GuestEvent) => {
    if (prompts.endsTurn(event)) await beforeTurnEnds(event.promptId, run?.settled() ?? Promise.resolve());
    if (prompts.isStale(event)) state.update(afterEvent(state.value, event));
    else await start.emit(event);
    if (event.kind !== "turn_ended") return;
    if (event.outcome === "done") restarts = 0;
    handed.delete(event.promptId);
    giveOpen();
  };
  const emitAll = async (events: GuestEvent[]) => {
    for (const event of events) await emit(event);
  };

  // What the appliance says at a guest's start counts, unless it is what it said before something changed here.
  const { model: keptModel, mode: keptMode } = state.value;
  const model = keptModel?.base === start.model ? keptModel : { base: start.model, value: start.model };
  const mode = keptMode?.base === start.mode ? keptMode : { base: start.mode, value: start.mode };
  state.update({ model, mode });
  const inForce = () => ({
    model: state.value.model?.value ?? start.model,
    mode: state.value.mode?.value ?? start.mode,
  });
  const modeChanged = (value: AgentMode) => {
    const base = state.value.mode?.base ?? start.mode;
    if (value !== inForce().mode) state.update({ mode: { base, value } });
  };

  /** Before a process is started. What was told and is not in the conversation by then will never be in it. */
  const catchUp = async () => {
    const unheard = agent.unheard?.(start, state.value.heard);
    if (unheard === undefined) return;
    catchingUp = true;
    await emitAll(unheard.said);
    state.update({ heard: { upTo: unheard.upTo, parts: [] } });
    catchingUp = false;
  };

  const launch = () => {
    const { lastPromptId, openPrompt, heard } = state.value;
    const launched = agent.start({
      ...{ ...start, ...inForce(), emit, modeChanged, lastPromptId },
      unfinished: openPrompt === null || heard === null ? null : { key: openPrompt.key, heard },
    });
    if (heard === null) state.update({ heard: nothingHeard });
    run = launched;
    handed = new Set();
    launched.exited.then(onExit).catch(failed.reject);
    if (!isHeld) giveAll();
  };
  /** To a process that has nothing yet. */
  const giveAll = () => {
    const { again, events } = prompts.recover((key) => agent.holdsPrompt(start, key));
    emitAll(events).catch(failed.reject);
    giveOpen();
    for (const prompt of again) giveNow(prompt);
  };
  const wake = () => {
    if (run === undefined && !catchingUp && !ending) launch();
  };
  const letGo = () => {
    if (!isHeld) return;
    isHeld = false;
    try {
      if (run !== undefined) giveAll();
      else if (state.value.openPrompt !== null || state.value.joining.length > 0) wake();
    } catch (thrown) {
      failed.reject(thrown);
    }
  };
  const interrupt = async () => {
    await emitAll(prompts.interrupt());
    // Where a process has just died, the turn is ended once that was looked at.
    if (isHeld || run !== undefined) await endTurn();
  };
  /** Of a person's word: whoever was told first may have died before it could. */
  const endTurn = async () => {
    const { openPrompt } = state.value;
    if (openPrompt !== null && (isHeld || run === undefined)) {
      if (!prompts.hasBegun(openPrompt.promptId) && !agent.holdsPrompt(start, openPrompt.key))
        return emit(neverRan(openPrompt.promptId));
      // The conversation would go on with that turn at the next prompt.
      if (isHeld) letGo();
      else wake();
    }
    run?.interrupt();
  };
  const isInterrupting = () => {
    const { openPrompt, interrupting } = state.value;
    return openPrompt !== null && openPrompt.promptId === interrupting;
  };

  const onExit = async (exit: AgentExit) => {
    run = undefined;
    if (ending) return;
    const isIdle = state.value.openPrompt === null;
    await catchUp();
    if (!isIdle) await mindDeath(exit);
    if (isInterrupting()) await endTurn();
    // Between turns it may end: the next prompt starts it again, which may have come meanwhile.
    if (state.value.openPrompt !== null) wake();
  };
  const mindDeath = async ({ how, stderr }: AgentExit) => {
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
  };

  await catchUp();
  for (const requestId of state.value.questions) await emit({ kind: "question_closed", requestId });
  if (isInterrupting()) await interrupt();

  return {
    prompt(given, now) {
      const { kind, prompt } = prompts.add(given, now);
      if (isHeld) return;
      try {
        // A process that is started takes all that is kept.
        if (run === undefined) wake();
        else if (kind === "open") giveOpen();
        else if (kind === "join") giveNow(prompt);
      } catch (thrown) {
        failed.reject(thrown);
      }
    },
    async answer(requestId, answer) {
      await run?.answer(requestId, answer);
    },
    interrupt,
    setModel(value) {
      state.update({ model: { base: value, value } });
      run?.setModel(value);
    },
    setMode(value) {
      state.update({ mode: { base: value, value } });
      run?.setMode(value);
    },
    wake,
    caughtUp: letGo,
    async kill() {
      ending = true;
      await run?.kill();
    },
    failed: failed.promise,
  };
}
