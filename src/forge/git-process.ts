import { CcwError } from "../domain/errors.ts";
import { endOf } from "./git.ts";

/** One running upload-pack or receive-pack, with its bytes held back on both sides as fast as the other takes them. */

export interface GitProcessOptions {
  argv: string[];
  environment: Record<string, string>;
  signal: AbortSignal;
  idleMs: number;
  /** How many bytes of input are still taken, and dropped, once git reads no more. */
  maxDrainBytes: number;
}

export interface GitProcessEnd {
  exitCode: number;
  /** The end of what git said, at most 4 KiB. */
  stderr: string;
  /** What broke the input or ended git from outside. */
  failure: Error | undefined;
}

export interface GitProcess {
  /** Streams `body` into git, once; without one git reads end of file. */
  feed(body: AsyncIterable<Uint8Array> | undefined): void;
  output(): AsyncIterator<Uint8Array>;
  /** Ends git and all that it started. */
  end(): void;
  ended: Promise<GitProcessEnd>;
}

export function startGitProcess(options: GitProcessOptions): GitProcess {
  const child = Bun.spawn(options.argv, {
    cwd: "/",
    env: options.environment,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    // A process group of its own, so that index-pack and pack-objects end with it.
    detached: true,
  });
  let failure: Error | undefined;
  let exited = false;

  function signalGroup(signal: "SIGTERM" | "SIGKILL"): void {
    if (exited) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It ended in this instant.
    }
  }
  function end(reason?: Error): void {
    if (exited) return;
    failure ??= reason;
    // On SIGTERM receive-pack removes its quarantine; SIGKILL is for one that hangs.
    signalGroup("SIGTERM");
    setTimeout(signalGroup, 5000, "SIGKILL").unref();
  }

  const onAbort = () => end(new CcwError("unavailable", "The client went away."));
  options.signal.addEventListener("abort", onAbort, { once: true });
  if (options.signal.aborted) onAbort();
  const idle = setTimeout(
    () => end(new CcwError("unavailable", "Nothing moved for too long.")),
    options.idleMs,
  );

  const stderr = endOf(child.stderr);
  const ended = child.exited.then(async (exitCode) => {
    exited = true;
    clearTimeout(idle);
    options.signal.removeEventListener("abort", onAbort);
    return { exitCode, stderr: await stderr, failure };
  });

  async function pump(body: AsyncIterable<Uint8Array>): Promise<void> {
    let reads = true;
    let dropped = 0;
    for await (const chunk of body) {
      idle.refresh();
      if (reads) {
        try {
          // Each may fail on its own once git is gone.
          await Promise.all([child.stdin.write(chunk), child.stdin.flush()]);
          continue;
        } catch {
          reads = false; // git has closed its input: it knows what it will answer
        }
      }
      dropped += chunk.length;
      if (dropped > options.maxDrainBytes) throw new CcwError("too_large", "The push is too large.");
    }
  }

  return {
    ended,
    end,
    feed(body) {
      const fed = body === undefined ? Promise.resolve() : pump(body);
      fed
        .catch((error: unknown) => end(error instanceof Error ? error : new Error(String(error))))
        .finally(() => Promise.resolve(child.stdin.end()).catch(() => undefined))
        .catch(() => undefined);
    },
    async *output() {
      for await (const chunk of child.stdout) {
        idle.refresh();
        yield chunk;
      }
    },
  };
}
