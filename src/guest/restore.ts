import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { type SessionStart, sessionSnapshots, snapshotRepository } from "../domain/session.ts";
import { quietly } from "./file-tree.ts";
import { mustGit, type RunGit } from "./git-process.ts";
import { throughOutages } from "./outage.ts";
import { openSessionRepository, type SessionFiles, sessionFolders } from "./session-files.ts";
import type { StateFile } from "./state.ts";
import type { Checkout } from "./workspace.ts";

export interface RestoreOptions {
  checkouts: readonly Checkout[];
  session: SessionFiles;
  /** Where the agent looks for a conversation. */
  conversationHome: string;
  /** Called where one was put there. */
  adoptConversation: () => void;
  git: RunGit;
  env: Record<string, string>;
  gitBase: string;
  state: StateFile;
  emit: (event: GuestEvent) => Promise<void>;
  signal: AbortSignal;
}

/**
 * Puts a fresh clone, and the conversation, into the state of a snapshot: the commit that was checked out then on the
 * work branch, and what was uncommitted or untracked so again. What cannot be had is said, and the rest is done.
 */
export async function restore(
  { title, repositories, session }: NonNullable<SessionStart["restore"]>,
  options: RestoreOptions,
): Promise<void> {
  const { checkouts, emit, signal } = options;
  const done: string[] = [];
  const attempt = async (what: string, otherwise: string, work: () => Promise<void>) => {
    try {
      await work();
      done.push(what);
    } catch (thrown) {
      signal.throwIfAborted();
      const text = `${what} could not be restored from ${title}: ${messageOf(thrown)} ${otherwise}`;
      await emit({ kind: "notice", level: "warning", text });
    }
  };
  for (const [index, checkout] of checkouts.entries()) {
    const snapshot = repositories[index] ?? null;
    if (snapshot === null) continue;
    await attempt(checkout.name, goesOnFrom(checkout), () =>
      restoreCheckout(checkout, index, snapshot, options),
    );
  }
  const found = new Set<string>();
  if (session !== undefined) {
    const otherwise = "The agent does not know what was said before.";
    await attempt("The conversation", otherwise, () => restoreSession(session, found, options));
  }
  for (const [index, checkout] of checkouts.entries()) {
    // The session has the files of a repository without a commit.
    if (repositories[index] || found.has(sessionFolders.repository(index))) continue;
    const text = `The files of ${checkout.name} were not kept at the end of ${title}. ${goesOnFrom(checkout)}`;
    await emit({ kind: "notice", level: "warning", text });
  }
  if (done.length === 0) return;
  const text = `Restored from ${title}: ${done.join(", ")}. The sandbox is a new one: packages that had been installed and processes that ran are gone.`;
  await emit({ kind: "notice", level: "info", text });
}

const goesOnFrom = ({ workBranch, baseBranch }: Checkout) =>
  `The work goes on from ${workBranch} as it was pushed, or from ${baseBranch}.`;

async function restoreCheckout(
  { folder, workBranch, rewrite = false }: Checkout,
  index: number,
  { commit, head }: { commit: string; head: string },
  options: RestoreOptions,
): Promise<void> {
  const { git, env, signal } = options;
  await fetchCommit(commit, join(folder, ".git"), snapshotRepository(index), options);
  const call = { cwd: folder, env, signal };
  const run = (...args: string[]) => mustGit(git([...quietly, ...args], call), `git ${args[0]}`);
  const holds = async (...args: string[]) => (await git([...quietly, ...args], call)).code === 0;
  // Both are there before anything is changed.
  await run("rev-parse", "--verify", "--quiet", `${head}^{commit}`);
  const pushed = `refs/remotes/origin/${workBranch}`;
  // What was pushed after the snapshot stays, unless a person has taken it back: the rest is laid over it.
  if (!rewrite && (await holds("merge-base", "--is-ancestor", head, pushed))) {
    await run("checkout", "--quiet", "--force", "--no-track", "-B", workBranch, pushed);
    if (!(await holds("cherry-pick", "--no-commit", "--mainline=1", commit))) {
      await run("reset", "--quiet", "--hard");
      throw new Error(`What was uncommitted then conflicts with what ${workBranch} has now.`);
    }
  } else {
    await run("checkout", "--quiet", "--force", "--no-track", "-B", workBranch, head);
    await run("read-tree", "--reset", "-u", commit);
  }
  await run("reset", "--quiet", "--mixed");
}

/** `found` gets the names of what the session's snapshot has. */
async function restoreSession(commit: string, found: Set<string>, options: RestoreOptions): Promise<void> {
  const { session, checkouts, conversationHome, git, env, state, signal } = options;
  const { gitDir, workspace } = session;
  await openSessionRepository(gitDir, options);
  await fetchCommit(commit, gitDir, sessionSnapshots, options);
  const call = { cwd: gitDir, env: { ...env, GIT_DIR: gitDir }, signal };
  const names = await mustGit(git(["ls-tree", "--name-only", commit], call), "It cannot be read");
  for (const name of names.split("\n")) found.add(name);
  const extract = async (name: string, folder: string) => {
    if (!found.has(name)) return;
    mkdirSync(folder, { recursive: true });
    const index = join(gitDir, "index-restore");
    rmSync(index, { force: true });
    const inFolder = {
      cwd: folder,
      signal,
      env: { ...env, GIT_DIR: gitDir, GIT_WORK_TREE: folder, GIT_INDEX_FILE: index },
    };
    await mustGit(git([...quietly, "read-tree", `${commit}:${name}`], inFolder), `git read-tree ${name}`);
    await mustGit(
      git([...quietly, "checkout-index", "--all", "--force"], inFolder),
      `git checkout-index ${name}`,
    );
    rmSync(index, { force: true });
  };
  await extract(sessionFolders.workspace, workspace);
  for (const [index, { folder }] of checkouts.entries())
    await extract(sessionFolders.repository(index), folder);
  await extract(sessionFolders.conversation, conversationHome);
  if (found.has(sessionFolders.conversation)) options.adoptConversation();
  // The next one is a step from this one.
  const tree = await mustGit(git(["rev-parse", `${commit}^{tree}`], call), "It cannot be read");
  state.update({ snapshots: { ...state.value.snapshots, session: { tree, head: "", commit } } });
}

async function fetchCommit(
  commit: string,
  gitDir: string,
  place: string,
  { git, env, gitBase, signal }: RestoreOptions,
): Promise<void> {
  const argv = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
  const call = { cwd: gitDir, env: { ...env, GIT_DIR: gitDir }, signal };
  const fetched = await throughOutages(
    async () => {
      const { code, err } = await git([...quietly, ...argv, "--", `${gitBase}/${place}.git`, commit], call);
      return { code, output: err };
    },
    { signal },
  );
  if (fetched.code !== 0) throw new Error(fetched.output.slice(-1000));
}
