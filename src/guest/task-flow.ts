import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { keptRepository, type SessionCommand, type SessionStart } from "../domain/session.ts";
import { type AgentKeeper, keepAgent } from "./agent-keeper.ts";
import type { Agent } from "./agents/agent.ts";
import { type CommandRunner, createStepOutput, type OnLines } from "./commands.ts";
import { writeGitConfig } from "./git-config.ts";
import { instructionsFor } from "./instructions.ts";
import type { Processes } from "./processes.ts";
import type { SessionClient } from "./session-client.ts";
import type { StateFile } from "./state.ts";
import { initSubmodules } from "./submodules.ts";
import { tailOf } from "./text.ts";
import type { SandboxVariables } from "./variables.ts";
import {
  type Checkout,
  cloneCheckout,
  placeCheckouts,
  publishWork,
  type WorkspaceOptions,
} from "./workspace.ts";

type Step = Extract<GuestEvent, { kind: "step_started" }>["step"];

export interface TaskFlow {
  start: SessionStart;
  session: SessionClient;
  state: StateFile;
  processes: Processes;
  commands: CommandRunner;
  variables: SandboxVariables;
  agent: Agent;
  emit: (event: GuestEvent) => Promise<void>;
  workspace: string;
  gitConfigPath: string;
  gitBase: string;
  /** Where the set-up script is written. */
  scriptPath: string;
  /** Ends everything at once: the sandbox is being stopped. */
  signal: AbortSignal;
}

/**
 * The task, seen from inside: clone, set up, let the agent work on what the commands say, commit, push. Returns the
 * words for `finished`. Throws a CcwError for what can go wrong; after `signal` what it throws means nothing.
 */
export async function runTaskFlow(flow: TaskFlow): Promise<string> {
  const { start, state, emit, variables } = flow;
  const checkouts = placeCheckouts(flow.workspace, start.repositories);
  writeGitConfig(flow.gitConfigPath, start, { base: flow.gitBase });

  if (!state.value.prepared) {
    if (variables.refused.length > 0) {
      const text = `These variables of the environment are the appliance's own and were left out: ${variables.refused.join(", ")}.`;
      await emit({ kind: "notice", level: "warning", text });
    }
    await prepare(flow, checkouts);
    state.update({ prepared: true });
  } else if (!state.value.finishing) {
    await emit({ kind: "notice", level: "info", text: "The sandbox was started again. The agent goes on." });
  }
  try {
    if (!state.value.finishing) await letAgentWork(flow, checkouts);
  } catch (thrown) {
    // An agent that cannot go on may have left work behind: it is worth keeping, whatever the task's end.
    if (state.value.lastPromptId !== null) await publishAll(flow, checkouts).catch(() => {});
    throw thrown;
  }
  flow.signal.throwIfAborted();
  return publishAll(flow, checkouts);
}

async function prepare(flow: TaskFlow, checkouts: readonly Checkout[]): Promise<void> {
  mkdirSync(flow.workspace, { recursive: true });
  for (const checkout of checkouts) {
    const { name, baseBranch, workBranch, folder } = checkout;
    // What a guest before this one was stopped in the middle of.
    rmSync(folder, { recursive: true, force: true });
    const options = workspaceOf(flow);
    await step(flow, "clone", `${name}: ${baseBranch} → ${workBranch}`, async (onLines) => {
      await cloneCheckout(checkout, options, onLines);
      await initSubmodules(checkout, flow.start.repositories, options);
    });
  }
  if (flow.start.setupScript.trim() === "") return;
  await step(flow, "setup", "set-up script", async (onLines) => {
    mkdirSync(dirname(flow.scriptPath), { recursive: true });
    writeFileSync(flow.scriptPath, flow.start.setupScript, { mode: 0o700 });
    const { code, output } = await flow.commands.run(["bash", flow.scriptPath], {
      cwd: checkouts[0]?.folder ?? flow.workspace,
      env: flow.variables.shell,
      onLines,
    });
    if (code === 0) return;
    throw new CcwError(
      "invalid",
      `The environment's set-up script ended with exit code ${code}: ${tailOf(output, 1000)}`,
      "Mend the script in the environment's settings, then start the task again.",
    );
  });
}

function workspaceOf(flow: TaskFlow): WorkspaceOptions {
  return { ...flow, env: flow.variables.shell, trailers: flow.start.trailers };
}

/** Returns when the appliance says that nothing is left to do; throws when the agent cannot go on. */
async function letAgentWork(flow: TaskFlow, checkouts: readonly Checkout[]): Promise<void> {
  const { start, state, session, agent } = flow;
  let keeper: AgentKeeper | undefined;
  await step(flow, "agent", agent.title, async () => {
    keeper = await keepAgent({
      agent,
      state,
      start: {
        processes: flow.processes,
        cwd: checkouts[0]?.folder ?? flow.workspace,
        env: flow.variables.agent,
        model: start.agent.model,
        sessionId: start.agent.sessionId,
        trailers: start.trailers,
        instructions: instructionsFor(checkouts, flow.workspace, start.instructions),
        emit: flow.emit,
      },
    });
  });
  if (keeper === undefined) return;
  const kept = keeper;
  const finish = Promise.withResolvers<void>();
  const following = new AbortController();
  const handle = async ({ n, command }: SessionCommand) => {
    if (command.kind === "prompt") await kept.prompt(command.promptId, command.text);
    if (command.kind === "answer") await kept.answer(command.requestId, command.answer);
    if (command.kind === "interrupt") kept.interrupt();
    state.update({ lastCommand: n, finishing: command.kind === "finish" });
    if (command.kind === "finish") finish.resolve();
  };
  const stopped = new Promise<void>((resolve) => flow.signal.addEventListener("abort", () => resolve()));
  const commands = session.followCommands(state.value.lastCommand, handle, following.signal);
  try {
    await Promise.race([finish.promise, kept.failed, stopped]);
    if (flow.signal.aborted) await kept.kill();
    else await kept.end();
  } finally {
    following.abort();
    await commands;
  }
}

async function publishAll(flow: TaskFlow, checkouts: readonly Checkout[]): Promise<string> {
  const words: string[] = [];
  const failures: unknown[] = [];
  for (const [index, checkout] of checkouts.entries()) {
    const { name: repository, workBranch: branch } = checkout;
    const publish = step(flow, "push", `${repository}: ${branch}`, async (onLines) => {
      const published = await publishWork(checkout, workspaceOf(flow), onLines, {
        url: `${flow.gitBase}/${keptRepository(index)}.git`,
        hint: `When the forge takes it: ccw-server task push ${flow.start.taskId}`,
      });
      if (published.kind === "nothing_new") {
        words.push(`Nothing was changed in ${repository}.`);
        return;
      }
      await flow.emit({ kind: "pushed", repository, branch, commit: published.commit });
      words.push(`The work in ${repository} is on ${branch}.`);
    });
    // What can be pushed of the others is.
    await publish.catch((thrown: unknown) => failures.push(thrown));
    flow.signal.throwIfAborted();
  }
  if (failures.length > 0) throw failures[0];
  return words.length === 0 ? "The task is done." : words.join(" ");
}

async function step(
  flow: TaskFlow,
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
