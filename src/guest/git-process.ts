import { statSync } from "node:fs";
import { join } from "node:path";
import { CcwError } from "../domain/errors.ts";
import type { Processes } from "./processes.ts";

export interface GitResult {
  code: number;
  out: Buffer;
  /** The end of what it wrote to standard error. */
  err: string;
}

export interface GitCall {
  cwd: string;
  env: Record<string, string>;
  input?: Buffer;
  /** Ends it with all that it has started; the call rejects then. */
  signal: AbortSignal;
}

/** Git without a shell around it, its output as bytes: for what runs often, and reads names of files. */
export type RunGit = (args: readonly string[], call: GitCall) => Promise<GitResult>;

const maxOutput = 256 * 1024 ** 2;
const maxErrors = 64 * 1024;

export function createRunGit(processes: Processes): RunGit {
  return async (args, { cwd, env, input, signal }) => {
    signal.throwIfAborted();
    const child = processes.spawn(["git", ...args], { cwd, env });
    const abort = () => processes.killTree(child.pid);
    signal.addEventListener("abort", abort);
    try {
      const writing = (async () => {
        if (input !== undefined) child.stdin.write(input);
        await child.stdin.end();
      })();
      // It may end without having read all.
      writing.catch(() => {});
      const [out, err, code] = await Promise.all([
        read(child.stdout, maxOutput),
        read(child.stderr, maxErrors),
        child.exited,
      ]);
      signal.throwIfAborted();
      return { code, out, err: err.toString("utf8").trim() };
    } catch (thrown) {
      abort();
      throw thrown;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  };
}

/** What it said, or `unavailable` with its own words. */
export async function mustGit(running: Promise<GitResult>, otherwise: string): Promise<string> {
  const { code, out, err } = await running;
  if (code !== 0) throw new CcwError("unavailable", `${otherwise}: ${err.slice(-1000)}`);
  return out.toString("utf8").trim();
}

/** The commit that is checked out; undefined where there is none, or no repository any more. */
export async function headOf(
  git: RunGit,
  folder: string,
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const gitDir = join(folder, ".git");
  if (statSync(gitDir, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  const argv = [`--git-dir=${gitDir}`, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
  const { code, out } = await git(argv, { cwd: folder, env, signal });
  return code === 0 ? out.toString("utf8").trim() : undefined;
}

async function read(stream: ReadableStream<Uint8Array>, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > limit) throw new CcwError("too_large", "git said more than is ever of use.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
