import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import type { SessionCommand, SessionStart } from "../domain/session.ts";
import { type AgentKeeper, keepAgent } from "./agent-keeper.ts";
import type { Agent } from "./agents/agent.ts";
import { placeAttachments } from "./attachments.ts";
import type { CommandRunner } from "./commands.ts";
import { writeGitConfig } from "./git-config.ts";
import type { RunGit } from "./git-process.ts";
import { instructionsFor } from "./instructions.ts";
import { lastWord } from "./last-word.ts";
import type { Processes } from "./processes.ts";
import { publishAll } from "./publish.ts";
import { restore } from "./restore.ts";
import type { SessionClient } from "./session-client.ts";
import type { SessionFiles } from "./session-files.ts";
import { createSnapshots, type Snapshots } from "./snapshots.ts";
import type { SpoolNotes } from "./spool-follower.ts";
import type { StateFile } from "./state.ts";
import { step } from "./step.ts";
import { initSubmodules } from "./submodules.ts";
import { tailOf } from "./text.ts";
import type { SandboxVariables } from "./variables.ts";
import {
  type Checkout,
  cloneCheckout,
  followAddress,
  placeCheckouts,
  type WorkspaceOptions,
} from "./workspace.ts";

export interface TaskFlow {
  start: SessionStart;
  session: SessionClient;
  state: StateFile;
  processes: Processes;
  commands: CommandRunner;
  variables: SandboxVariables;
  agent: Agent;
  git: RunGit;
  /** `command`: the one that it ends, which is done when it is told. */
  emit: (event: GuestEvent, notes?: SpoolNotes) => Promise<void>;
  /** One line for the container's log. */
  report: (line: string) => unknown;
  workspace: string;
  /** Where the guest keeps the conversation's snapshots. */
  sessionRepository: string;
  gitConfigPath: string;
  gitBase: string;
  /** Where the set-up script is written. */
  scriptPath: string;
  /** Ends everything at once: the sandbox is being stopped. */
  signal: AbortSignal;
}

/**
 * The task, seen from inside: clone, set up, let the agent work on what the commands say; commit and push when they say
 * that nothing is left to do. Goes on until `signal`; rejects with a CcwError for what the sandbox cannot go on with, and
 * after `signal` what it throws means nothing. Begun again after that, it tries again.
 */
export async function runTaskFlow(flow: TaskFlow): Promise<void> {
  const { start, state, emit, variables } = flow;
  const checkouts = placeCheckouts(flow.workspace, start.repositories);
  writeGitConfig(flow.gitConfigPath, start, { base: flow.gitBase });

  const isFirst = !state.value.prepared;
  if (isFirst) {
    if (variables.refused.length > 0) {
      const text = `These variables of the environment are the appliance's own and were left out: ${variables.refused.join(", ")}.`;
      await emit({ kind: "notice", level: "warning", text });
    }
    await prepare(flow, checkouts);
    state.update({ prepared: true });
  } else {
    for (const checkout of checkouts) await followAddress(checkout, workspaceOf(flow));
    if (state.value.openPrompt !== null)
      await emit({
        kind: "notice",
        level: "info",
        text: "The sandbox was started again. The agent goes on.",
      });
  }
  try {
    await letAgentWork(flow, checkouts, isFirst);
  } catch (thrown) {
    // An agent that cannot go on may have left work behind: it is worth keeping, whatever the task's end.
    if (state.value.lastPromptId !== null) await publishAll(workspaceOf(flow), checkouts).catch(() => {});
    throw thrown;
  }
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
  const { agent, start, variables } = flow;
  if (start.restore !== undefined) {
    const cwd = checkouts[0]?.folder ?? flow.workspace;
    await restore(start.restore, {
      ...{ ...flow, checkouts, env: variables.shell },
      session: sessionFilesOf(flow),
      conversationHome: agent.conversationHome({ env: variables.agent, cwd }),
      adoptConversation: () =>
        agent.adoptConversation({ env: variables.agent, cwd, sessionId: start.agent.sessionId }),
    });
  }
  if (start.setupScript.trim() === "") return;
  await step(flow, "setup", "set-up script", async (onLines) => {
    mkdirSync(dirname(flow.scriptPath), { recursive: true });
    writeFileSync(flow.scriptPath, start.setupScript, { mode: 0o700 });
    const { code, output } = await flow.commands.run(["bash", flow.scriptPath], {
      cwd: checkouts[0]?.folder ?? flow.workspace,
      env: variables.shell,
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

function workspaceOf(flow: TaskFlow): WorkspaceOptions & { taskId: string; gitBase: string } {
  const { start, variables } = flow;
  return { ...flow, env: variables.shell, trailers: start.trailers, taskId: start.taskId };
}

/** How often a snapshot that a full disk was in the way of is tried again while nothing is to do. */
const owedEveryMs = 60_000;

/** Follows commands until the sandbox is stopped; throws when the agent cannot go on. */
async function letAgentWork(flow: TaskFlow, checkouts: readonly Checkout[], isFirst: boolean): Promise<void> {
  const { start, state, session, agent, signal } = flow;
  const cwd = checkouts[0]?.folder ?? flow.workspace;
  const snapshots = createSnapshots({
    ...{ ...flow, checkouts, env: flow.variables.shell },
    session: sessionFilesOf(flow),
    ignored: start.snapshotIgnored ?? false,
  });
  const keeper = await keepAgent({
    agent,
    state,
    start: {
      processes: flow.processes,
      cwd,
      env: flow.variables.agent,
      model: start.agent.model,
      mode: start.agent.mode ?? "act",
      sessionId: start.agent.sessionId,
      trailers: start.trailers,
      instructions: instructionsFor(checkouts, flow.workspace, {
        asksWith: agent.asksWith,
        network: start.instructions,
      }),
      emit: flow.emit,
    },
    beforeTurnEnds: snapshots.take,
  });
  // The first prompt is on its way; else it is started for the turn that ran, or by what comes.
  if (isFirst) await step(flow, "agent", agent.title, async () => keeper.wake());
  const said = start.lastCommand ?? 0;
  if (state.value.lastCommand >= said) keeper.caughtUp();

  const following = new AbortController();
  const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  const commands = session.followCommands(
    state.value.lastCommand,
    async (command) => {
      await carryOut(command, keeper, snapshots, flow, checkouts);
      if (command.n >= said) keeper.caughtUp();
    },
    following.signal,
  );
  const owing = setInterval(() => {
    if (state.value.openPrompt === null) snapshots.takeOwed().catch(() => {});
  }, owedEveryMs);
  try {
    await Promise.race([keeper.failed, stopped]);
  } finally {
    clearInterval(owing);
    following.abort();
    await keeper.kill();
    await commands;
  }
}

async function carryOut(
  { n, command }: SessionCommand,
  keeper: AgentKeeper,
  snapshots: Snapshots,
  flow: TaskFlow,
  checkouts: readonly Checkout[],
): Promise<void> {
  switch (command.kind) {
    case "prompt":
      // From here on the files are those of another turn.
      if (flow.state.value.openPrompt === null) await snapshots.takeOwed();
      keeper.prompt(await placeAttachments(command, command.attachments ?? [], flow), command.now ?? false);
      break;
    case "answer":
      await keeper.answer(command.requestId, command.answer);
      break;
    case "interrupt":
      await keeper.interrupt();
      break;
    case "set_model":
      keeper.setModel(command.model);
      break;
    case "set_mode":
      keeper.setMode(command.mode);
      break;
    case "finish": {
      // What was said while nobody listened has a hand-over of its own at its end, or is one.
      if (n < (flow.start.lastCommand ?? 0)) break;
      // A guest that dies before the end of it does it again: there is nothing new to commit and push then.
      const last = await lastWord(() => publishAll(workspaceOf(flow), checkouts), flow.report);
      // Cut off, it says nothing about the work: the next guest does it again.
      if (flow.signal.aborted) return;
      // What was committed is on the branch now: a sandbox that begins with this turn has to stand there, too.
      if (flow.state.value.lastPromptId !== null) await snapshots.takeChanged(flow.state.value.lastPromptId);
      await flow.emit(last, { command: n });
      break;
    }
  }
  flow.state.update({ lastCommand: n });
}

function sessionFilesOf({ start, workspace, sessionRepository, agent, variables }: TaskFlow): SessionFiles {
  const { sessionId } = start.agent;
  const of = { env: variables.agent, sessionId };
  return {
    ...{ sandboxId: start.sandboxId, workspace, gitDir: sessionRepository },
    conversation: () => agent.conversation(of),
  };
}
