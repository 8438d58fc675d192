import { readdirSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import { CcwError, messageOf } from "../domain/errors.ts";
import { type GuestEvent, guestEventSchema } from "../domain/event.ts";
import { doorPort, doorSocketInSandbox, type SessionStart } from "../domain/session.ts";
import { createAcp } from "./agents/acp.ts";
import type { Agent } from "./agents/agent.ts";
import { createClaude } from "./agents/claude.ts";
import { createCodex } from "./agents/codex.ts";
import { createCommandRunner } from "./commands.ts";
import { followSpool } from "./follow-spool.ts";
import { startForward } from "./forward.ts";
import { createRunGit } from "./git-process.ts";
import { failure } from "./last-word.ts";
import { createProcesses, killAllOthers } from "./processes.ts";
import { startReaper } from "./reaper.ts";
import { createSessionClient } from "./session-client.ts";
import { openSpool, type Spool } from "./spool.ts";
import type { SpoolNotes } from "./spool-follower.ts";
import { openStateFile } from "./state.ts";
import { runTaskFlow } from "./task-flow.ts";
import { cutWithNote } from "./text.ts";
import { installTrust, type TrustFiles } from "./trust.ts";
import { sandboxVariables } from "./variables.ts";

export interface GuestOptions {
  socketPath: string;
  /** In the container's own layer, so that it lives as long as the workspace does. */
  spoolFolder: string;
  workspace: string;
  /** Loopback port that leads to the door; 0 takes a free one. */
  port: number;
  gitConfigPath: string;
  /** What counts as the file system's root for the authorities that programs believe. */
  root: string;
  /** Where git finds the repositories; the door's `/git` when undefined. */
  gitBase: string | undefined;
  claudeCommand: string;
  codexCommand: string;
  /** How long the last events may wait for an appliance that is away, in milliseconds. */
  lastWordsMs: number;
}

const inSandbox: GuestOptions = {
  socketPath: doorSocketInSandbox,
  spoolFolder: "/var/lib/ccw/spool",
  workspace: "/workspace",
  port: doorPort,
  gitConfigPath: "/etc/gitconfig",
  root: "/",
  gitBase: undefined,
  claudeCommand: "claude",
  codexCommand: "codex",
  lastWordsMs: 60 * 60_000,
};

/** From SIGTERM to the end, for what the spool still holds. */
const flushMs = 2000;

/**
 * What a sandbox runs as its first process, until it is told to stop. Returns its exit code: 143 then, or 1 when it cannot
 * go on and the transcript says why. Started again, it goes on where it was, and tries again what had failed.
 */
export async function runGuest(given: Partial<GuestOptions> = {}): Promise<number> {
  const options = { ...inSandbox, ...given };
  const report = (line: string) => void process.stderr.write(`guest: ${line}\n`);
  const stop = new AbortController();
  const connected = new AbortController();
  const onStop = () => stop.abort();
  process.on("SIGTERM", onStop);
  process.on("SIGINT", onStop);
  const processes = createProcesses();
  const commands = createCommandRunner(processes);
  stop.signal.addEventListener("abort", commands.killAll);
  const reaper = startReaper(processes, report);
  try {
    const forward = startForward(options);
    const session = createSessionClient({ socketPath: options.socketPath, report });
    const start = await session.start(stop.signal);
    const state = openStateFile(join(options.spoolFolder, "state.json"), () => ({
      // Better an unfinished set-up than the loss of what was worked on.
      prepared: isFilled(options.workspace),
    }));
    const spool = openSpool({
      ...{ folder: options.spoolFolder, acked: start.acked },
      follower: followSpool(state),
    });
    const sending = session.sendEvents(spool, connected.signal);
    const emit = (event: GuestEvent, notes?: SpoolNotes) => spool.append(bounded(event), notes);
    if (state.unread !== undefined) await emit({ kind: "notice", level: "warning", text: state.unread });

    let exitCode = 0;
    try {
      const agent = agentOf(start, options);
      await runTaskFlow({
        ...{ start, session, state, processes, commands, emit, report },
        git: createRunGit(processes),
        agent,
        variables: sandboxVariables({
          inherited: process.env,
          start,
          port: forward.port,
          gitConfigPath: options.gitConfigPath,
          trust: trustOf(start, options.root),
          agent: agent.variables,
        }),
        workspace: options.workspace,
        gitConfigPath: options.gitConfigPath,
        gitBase: options.gitBase ?? `http://127.0.0.1:${forward.port}/git`,
        scriptPath: join(options.spoolFolder, "setup.sh"),
        sessionRepository: join(options.spoolFolder, "../session.git"),
        signal: stop.signal,
      });
    } catch (thrown) {
      if (!stop.signal.aborted) {
        await emit(failure(thrown, report));
        exitCode = 1;
      }
    }
    await deliver(spool, stop.signal, options.lastWordsMs);
    connected.abort();
    await sending;
    spool.close();
    forward.close();
    return stop.signal.aborted ? 143 : exitCode;
  } catch (thrown) {
    if (stop.signal.aborted) return 143;
    report(messageOf(thrown));
    return 1;
  } finally {
    connected.abort();
    reaper.close();
    process.off("SIGTERM", onStop);
    process.off("SIGINT", onStop);
    killAllOthers();
  }
}

function isFilled(folder: string): boolean {
  try {
    return readdirSync(folder).length > 0;
  } catch {
    return false;
  }
}

function trustOf({ trust }: SessionStart, root: string): TrustFiles | undefined {
  if (trust === undefined) return undefined;
  return installTrust({
    certificate: trust.certificate,
    root,
    publicAuthorities: () => getCACertificates("bundled"),
  });
}

function agentOf(start: SessionStart, options: GuestOptions): Agent {
  if (start.agent.kind === "claude") return createClaude(options.claudeCommand);
  if (start.agent.kind === "codex") return createCodex(options.codexCommand);
  if (start.agent.acp !== undefined) return createAcp(start.agent.acp);
  throw new CcwError(
    "invalid",
    `This appliance has no agent ${JSON.stringify(start.agent.kind)} any more.`,
    "Set it up again under [agents] in ccw.toml, or give the work to a new task.",
  );
}

/** What the appliance would refuse must not stop what comes after it: it is replaced by a word about it. */
function bounded(event: GuestEvent): GuestEvent {
  const cut = "text" in event ? { ...event, text: cutWithNote(event.text) } : event;
  const parsed = guestEventSchema.safeParse(cut);
  if (parsed.success) return cut;
  const text = `An event of the kind ${event.kind} could not be recorded: ${parsed.error.issues[0]?.message ?? ""}`;
  return { kind: "notice", level: "warning", text };
}

/** Waits for the last acknowledgement: for `lastWordsMs`, or for a moment once the sandbox is being stopped. */
async function deliver(spool: Spool, stop: AbortSignal, lastWordsMs: number): Promise<void> {
  const limit = new AbortController();
  const timers = [setTimeout(() => limit.abort(), lastWordsMs)];
  const hurry = () => timers.push(setTimeout(() => limit.abort(), flushMs));
  if (stop.aborted) hurry();
  else stop.addEventListener("abort", hurry);
  await spool.drained(limit.signal);
  for (const timer of timers) clearTimeout(timer);
}
