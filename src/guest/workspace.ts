import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { saysNoSpace } from "../domain/disk.ts";
import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import type { SessionStart } from "../domain/session.ts";
import type { CommandResult, CommandRunner, OnLines } from "./commands.ts";
import { roomHint } from "./last-word.ts";
import { throughOutages } from "./outage.ts";
import { tailOf } from "./text.ts";

export type SessionRepository = SessionStart["repositories"][number];

/** A repository of the task, and the folder of its working files. */
export interface Checkout extends SessionRepository {
  folder: string;
}

export interface WorkspaceOptions {
  commands: CommandRunner;
  env: Record<string, string>;
  emit: (event: GuestEvent) => Promise<void>;
  /** What commit messages end with. */
  trailers: readonly string[];
  /** Ends the waiting for an appliance that is away. */
  signal: AbortSignal;
}

/** The last segment of the name; where two would meet, the whole name with `-` for `/`. */
export function placeCheckouts(root: string, repositories: readonly SessionRepository[]): Checkout[] {
  const taken = new Set<string>();
  return repositories.map((repository) => {
    const short = repository.name.split("/").at(-1) ?? repository.name;
    const folder = taken.has(short) ? repository.name.replaceAll("/", "-") : short;
    taken.add(folder);
    return { ...repository, folder: join(root, folder) };
  });
}

/**
 * Clones, and stands on the work branch: a new one from the base, or the one that an earlier task pushed. Objects that
 * the appliance lends are not fetched; where they cannot be used, everything is.
 */
export async function cloneCheckout(
  checkout: Checkout,
  options: WorkspaceOptions,
  onLines: OnLines,
): Promise<void> {
  const { name, objects, folder } = checkout;
  mkdirSync(join(folder, ".."), { recursive: true });
  if (objects === undefined) return cloneFrom(checkout, undefined, options, onLines);
  try {
    await cloneFrom(checkout, objects, options, onLines);
    if (existsSync(join(folder, ".git/objects/info/alternates"))) return;
  } catch (thrown) {
    options.signal.throwIfAborted();
    if (thrown instanceof CcwError && (thrown.code === "not_found" || thrown.code === "no_space"))
      throw thrown;
    rmSync(folder, { recursive: true, force: true });
    await cloneFrom(checkout, undefined, options, onLines);
  }
  const text = `The objects of ${name} that the appliance keeps could not be used: all of it was fetched instead.`;
  await options.emit({ kind: "notice", level: "warning", text });
}

async function cloneFrom(
  { name, url, baseBranch, workBranch, folder }: Checkout,
  objects: string | undefined,
  { commands, env, signal }: WorkspaceOptions,
  onLines: OnLines,
): Promise<void> {
  const borrow = objects === undefined ? [] : ["--reference-if-able", objects];
  const clone = ["git", "clone", "--progress", "--no-checkout", ...borrow, "--branch", baseBranch];
  const argv = [...clone, "--", url, folder];
  const cloned = await throughOutages(() => commands.run(argv, { cwd: "/", env, onLines }), { signal });
  if (cloned.code !== 0) {
    if (saysNoSpace(cloned.output))
      throw noSpace(`The repository ${name} could not be cloned`, cloned.output);
    const missing = /Remote branch .* not found/.test(cloned.output);
    throw new CcwError(
      missing ? "not_found" : "unavailable",
      missing
        ? `The repository ${name} has no branch ${baseBranch}.`
        : `The repository ${name} could not be cloned: ${tailOf(cloned.output, 1000)}`,
      missing
        ? "Name a branch that exists, or push a first commit to this one."
        : "See the output of the step above; then start the task again.",
    );
  }
  // It goes on without objects that it cannot read, and says so at every command afterwards.
  if (objects !== undefined && /^error: .*(pack|object)/m.test(cloned.output))
    throw new CcwError("unavailable", tailOf(cloned.output, 1000));
  const git = gitIn(folder, commands, env);
  const pushed = `refs/remotes/origin/${workBranch}`;
  const from =
    (await git("rev-parse", "--verify", "--quiet", pushed)).code === 0
      ? ["--track", "-B", workBranch, pushed]
      : ["--no-track", "-B", workBranch, `refs/remotes/origin/${baseBranch}`];
  await must(
    // Two write files at once: where there is but one core, the second costs next to nothing.
    git("-c", "checkout.workers=2", "checkout", "--quiet", "--force", ...from),
    `The branch ${workBranch} could not be checked out in ${name}`,
  );
}

/**
 * The appliance may answer at another address than when a repository that it hosts was cloned: its remote follows. One
 * that the agent has set to something else is left alone.
 */
export async function followAddress(
  { name, url, folder }: Checkout,
  { commands, env }: Pick<WorkspaceOptions, "commands" | "env">,
): Promise<void> {
  const git = gitIn(folder, commands, env);
  const { output: before } = await git("config", "--get", "remote.origin.url");
  const isHosted = (address: string) => URL.parse(address)?.pathname.endsWith(`/git/${name}.git`) === true;
  if (before !== url && isHosted(before) && isHosted(url)) await git("remote", "set-url", "origin", url);
}

export type Published = { kind: "pushed"; commit: string } | { kind: "nothing_new" };

/**
 * Commits what is uncommitted and pushes the work branch where it has commits beyond the base. Throws `unavailable`
 * with git's own words when the push fails; the work goes to `keep` then, where that takes it, and else with the sandbox.
 * `no_space` where a disk is full: nothing is lost, and the next try may go well.
 */
export async function publishWork(
  { name, baseBranch, workBranch, folder, rewrite = false }: Checkout,
  { commands, env, emit, signal, trailers }: WorkspaceOptions,
  onLines: OnLines,
  /** The appliance's own place for what a forge does not take, and what a person does about it. */
  keep: { url: string; hint: string },
): Promise<Published> {
  const git = gitIn(folder, commands, env);
  const status = await must(git("status", "--porcelain"), `The state of ${name} could not be read`);
  if (status.output !== "") {
    await must(git("add", "--all"), `The changes in ${name} could not be added`);
    // Without hooks and signatures: a check that fails here would lose the work, and nobody is there to mend it.
    const message = ["Uncommitted work at the end of the task", trailers.join("\n")].join("\n\n").trimEnd();
    const plain = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"];
    const commit = await git(...plain, "commit", "--quiet", "--no-verify", "--message", message);
    if (commit.code !== 0 && saysNoSpace(commit.output))
      throw noSpace(`The changes in ${name} could not be committed`, commit.output);
    if (commit.code !== 0 && (await git("diff", "--cached", "--quiet")).code !== 0)
      throw new CcwError("conflict", `The changes in ${name} could not be committed: ${commit.output}`);
  }
  await followHead({ name, workBranch }, git, emit);

  const beyond = await must(
    git("rev-list", "--count", `refs/heads/${workBranch}`, "--not", `refs/remotes/origin/${baseBranch}`),
    `The commits of ${name} could not be counted`,
  );
  const ref = `refs/heads/${workBranch}`;
  // Over what the clone has seen there, and over nothing that came to it since.
  const over = rewrite ? [`--force-with-lease=${ref}`] : [];
  const wasPushed = await git("rev-parse", "--verify", "--quiet", `refs/remotes/origin/${workBranch}`);
  if (beyond.output === "0" && !(rewrite && wasPushed.code === 0)) return { kind: "nothing_new" };
  const unhooked = ["git", "-c", "core.hooksPath=/dev/null", "push", "--no-verify"];
  const argv = [...unhooked, ...over, "origin", `${ref}:${ref}`];
  const send = (command: string[]) =>
    throughOutages(() => commands.run(command, { cwd: folder, env, onLines }), { signal });
  // Large files are sent by a hook otherwise, and hooks are left out here.
  const hasFiles = existsSync(join(folder, ".git/lfs/objects")) && (await git("lfs", "version")).code === 0;
  const files = hasFiles ? await send(["git", "lfs", "push", "origin", ref]) : undefined;
  const push = files !== undefined && files.code !== 0 ? files : await send(argv);
  if (push.code !== 0) {
    const what = `The work in ${name} could not be pushed to ${workBranch}`;
    // It stays in the sandbox until there is room.
    if (saysNoSpace(push.output)) throw noSpace(what, push.output);
    const reason = `${what}: ${tailOf(push.output, 1000)}`;
    const spare = [...unhooked, "--force", "--", keep.url, `${ref}:${ref}`];
    const kept = await throughOutages(() => commands.run(spare, { cwd: folder, env }), { signal });
    if (kept.code === 0) {
      throw new CcwError("unavailable", `${reason} The appliance has kept it.`, keep.hint);
    }
    throw new CcwError(
      "unavailable",
      reason,
      "If the branch has moved meanwhile, start a new task from it. What was pushed before is on the branch.",
    );
  }
  const commit = await must(git("rev-parse", ref), `The last commit of ${name} could not be read`);
  return { kind: "pushed", commit: commit.output };
}

/** The agent may have left another branch checked out: its commits are the task's work if they build on it. */
async function followHead(
  { name, workBranch }: { name: string; workBranch: string },
  git: Git,
  emit: WorkspaceOptions["emit"],
): Promise<void> {
  const head = await git("symbolic-ref", "--quiet", "--short", "HEAD");
  if (head.output === workBranch) return;
  const here = head.code === 0 ? `the branch ${head.output}` : "a detached commit";
  const exists = (await git("rev-parse", "--verify", "--quiet", `refs/heads/${workBranch}`)).code === 0;
  const builds =
    exists && (await git("merge-base", "--is-ancestor", `refs/heads/${workBranch}`, "HEAD")).code === 0;
  if (exists && !builds) {
    const text = `In ${name} the agent left ${here} checked out. Its commits are not on ${workBranch} and were not pushed.`;
    return emit({ kind: "notice", level: "warning", text });
  }
  await must(git("branch", "--force", workBranch, "HEAD"), `${workBranch} could not be moved in ${name}`);
  const text = `In ${name} the agent left ${here} checked out. Its commits were added to ${workBranch}.`;
  return emit({ kind: "notice", level: "info", text });
}

type Git = (...args: string[]) => Promise<CommandResult>;

function gitIn(folder: string, commands: CommandRunner, env: Record<string, string>): Git {
  return (...args) => commands.run(["git", ...args], { cwd: folder, env });
}

async function must(running: Promise<CommandResult>, otherwise: string): Promise<CommandResult> {
  const result = await running;
  if (result.code !== 0 && saysNoSpace(result.output)) throw noSpace(otherwise, result.output);
  if (result.code !== 0) throw new CcwError("conflict", `${otherwise}: ${tailOf(result.output, 1000)}`);
  return result;
}

const noSpace = (what: string, output: string) =>
  new CcwError("no_space", `${what}: the disk is full. ${tailOf(output, 1000)}`, roomHint);
