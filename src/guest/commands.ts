import { CcwError, messageOf } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { createLineSplitter } from "./lines.ts";
import type { Processes, SpawnOptions } from "./processes.ts";
import { cutWithNote, tailOf } from "./text.ts";

/** How a command ended, with the end of what it said. */
export interface CommandResult {
  code: number;
  output: string;
}

/** Takes lines as they come; its promise slows the command down. */
export type OnLines = (lines: string[]) => Promise<void>;

export interface CommandRunner {
  /**
   * Runs to the end of the process, with standard error in the output where it falls. What it leaves running in
   * the background is not waited for. Throws `not_found` where there is no such program.
   */
  run(command: readonly string[], options: SpawnOptions & { onLines?: OnLines }): Promise<CommandResult>;
  /** Ends the command that runs now, and all it has started. */
  killAll(): void;
}

const maxOutput = 64 * 1024;
const maxLine = 64 * 1024;
/** For output that is still in the pipe when the process has ended. */
const lastOutputMs = 500;

/**
 * The runtime's pipes are sockets, which a script cannot open as /dev/stderr: `cat` puts a real one between. It ends
 * when the last process that holds the pipe does, so the exit code comes by itself, on standard error. And a bash
 * whose standard input is a socket takes itself for a remote shell and reads ~/.bashrc.
 */
const piped = '{ "$@" </dev/null 2>&1 3>&-; echo $? >&3; } 3>&2 | cat';

export function createCommandRunner(processes: Processes): CommandRunner {
  const running = new Set<number>();
  return {
    async run(command, { cwd, env, onLines = async () => {} }) {
      const child = spawn(processes, ["sh", "-c", piped, "sh", ...command], { cwd, env });
      running.add(child.pid);
      void child.stdin.end();
      let output = "";
      let over = false;
      const take = async (lines: string[]) => {
        if (over || lines.length === 0) return;
        // Progress rewrites its line by carriage returns: the last state is the one to show.
        const shown = lines.map((line) => line.slice(line.lastIndexOf("\r", line.length - 2) + 1).trimEnd());
        output = tailOf(`${output}${shown.join("\n")}\n`, maxOutput);
        await onLines(shown);
      };
      const splitter = createLineSplitter(maxLine);
      const reading = (async () => {
        // Past the command's end too: what it left behind must not stand still on a full pipe.
        for await (const chunk of child.stdout) {
          await take(splitter.push(chunk));
          const dropped = splitter.takeDropped();
          if (dropped > 0) await take([`[… ${dropped} line(s) of over 64 KiB are not shown]`]);
        }
        await take([splitter.rest() ?? []].flat());
      })();
      reading.then(
        () => running.delete(child.pid),
        () => running.delete(child.pid),
      );
      const reported = reportedCode(child.stderr);
      // The shell's own end is that of `cat`. It counts only where the shell was killed before it could report.
      const ended = child.exited.then(async (code) => {
        const late = await Promise.race([reported, Bun.sleep(lastOutputMs)]);
        return late ?? code;
      });
      const code = (await Promise.race([reported, ended])) ?? (await ended);
      await Promise.race([reading, Bun.sleep(lastOutputMs)]);
      over = true;
      return { code, output: output.trim() };
    },
    killAll() {
      for (const pid of running) processes.killTree(pid);
    },
  };
}

/** Undefined where the shell was killed before it could say. */
async function reportedCode(stderr: ReadableStream<Uint8Array>): Promise<number | undefined> {
  const lines = createLineSplitter(maxLine);
  for await (const chunk of stderr) {
    const code = lines.push(chunk).find((line) => /^\d+$/.test(line));
    if (code !== undefined) return Number(code);
  }
  return undefined;
}

function spawn(processes: Processes, command: readonly string[], options: SpawnOptions) {
  try {
    return processes.spawn(command, options);
  } catch (thrown) {
    throw new CcwError(
      "not_found",
      `\`${command[0]}\` could not be started in the sandbox: ${messageOf(thrown)}.`,
      "The environment's image needs a shell, git and bash.",
    );
  }
}

type Step = Extract<GuestEvent, { kind: "step_output" }>["step"];

const maxEventChars = 64 * 1024;
const maxStepChars = 4 * 1024 ** 2;
const flushMs = 100;

/**
 * Turns a step's lines into events of bounded size and count. Past 4 MiB only the end is kept, and said with what
 * was left out when the step is over.
 */
export function createStepOutput(step: Step, emit: (event: GuestEvent) => Promise<void>) {
  let held = "";
  let sent = 0;
  let omitted = 0;
  let end = "";
  let flushed = 0;

  const flush = async () => {
    if (held === "") return;
    const text = held;
    held = "";
    flushed = performance.now();
    await emit({ kind: "step_output", step, text });
  };

  return {
    async lines(lines: string[]) {
      for (const line of lines) {
        const text = `${cutWithNote(line, maxEventChars)}\n`;
        if (sent + text.length > maxStepChars) {
          omitted += text.length;
          end = tailOf(end + text, maxEventChars);
          continue;
        }
        sent += text.length;
        if (held.length + text.length > maxEventChars) await flush();
        held += text;
      }
      if (performance.now() - flushed >= flushMs) await flush();
    },
    async close() {
      await flush();
      if (omitted === 0) return;
      held = `[… ${Math.max(0, omitted - end.length)} characters of output are not shown]\n${end}`;
      await flush();
    },
  };
}
