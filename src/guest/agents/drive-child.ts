import type { GuestEvent } from "../../domain/event.ts";
import { createLineSplitter } from "../lines.ts";
import type { Child, Processes } from "../processes.ts";
import { tailOf } from "../text.ts";
import type { AgentExit } from "./agent.ts";

/** A message may be big, never endless: over this a line is dropped and the transcript says so. */
const maxLineBytes = 32 * 1024 ** 2;
const maxStderr = 8 * 1024;
/** For a clean end. */
const graceMs = 5000;
/** How long output may still come after the process has ended: something it started may hold the pipe open. */
const lastOutputMs = 1000;

export interface ChildOptions {
  processes: Processes;
  emit: (event: GuestEvent) => Promise<void>;
}

/** An agent's process that speaks a message a line on standard input and output. */
export interface DrivenChild {
  /** One queue for what lines bring and what timers bring: events keep their order. */
  say: (events: GuestEvent[]) => Promise<void>;
  /** A line that cannot be written finds a process that has ended, which `exited` tells. */
  write: (message: object) => void;
  /** Begins to read. Lines are read no faster than `take` resolves; `rest`: what is to be said when none comes any more. */
  read(take: (line: string) => Promise<void> | undefined, rest: () => GuestEvent[]): Promise<AgentExit>;
  /** Asks it to end, and ends it with all that it has started. Nothing that it says from here on is heard. */
  end(): Promise<void>;
  /** The same at once. */
  endNow(): void;
}

export function driveChild(child: Child, { processes, emit }: ChildOptions): DrivenChild {
  let tail: Promise<void> = Promise.resolve();
  const endNow = () => processes.killTree(child.pid);
  const say = (events: GuestEvent[]): Promise<void> => {
    for (const event of events) tail = tail.then(() => emit(event));
    // An agent whose words cannot be kept must not go on; `exited` then tells why.
    tail.catch(endNow);
    return tail;
  };

  let isOver = false;
  const readOutput = async (take: (line: string) => Promise<void> | undefined) => {
    const lines = createLineSplitter(maxLineBytes);
    for await (const chunk of child.stdout) {
      for (const line of lines.push(chunk)) {
        // What comes so late was not heard: the next process tells it, where the conversation has it. An agent that is
        // ended in the middle of a turn may call that interrupted, which nobody has asked for: the turn goes on with the next.
        if (isOver) return;
        if (line !== "") await take(line);
      }
      const dropped = lines.takeDropped();
      if (dropped === 0) continue;
      const text = `The agent wrote ${dropped} message(s) of over 32 MiB, which are not shown.`;
      void say([{ kind: "notice", level: "warning", text }]);
    }
  };
  let stderr = "";
  const readErrors = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr)
      stderr = tailOf(stderr + decoder.decode(chunk, { stream: true }), maxStderr);
  };

  return {
    say,
    write(message) {
      try {
        child.stdin.write(`${JSON.stringify(message)}\n`);
        Promise.resolve(child.stdin.flush()).catch(() => {});
      } catch {}
    },
    async read(take, rest) {
      const output = Promise.allSettled([readOutput(take), readErrors()]);
      const code = await child.exited;
      await Promise.race([output, Bun.sleep(lastOutputMs)]);
      isOver = true;
      await say(rest());
      return {
        how: child.signalCode === null ? `exit code ${code}` : `signal ${child.signalCode}`,
        stderr: stderr.trim(),
      };
    },
    async end() {
      isOver = true;
      await processes.end(child, graceMs);
    },
    endNow,
  };
}
