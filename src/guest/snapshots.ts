import { join } from "node:path";
import { isOfNoSpace } from "../domain/disk.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { sessionSnapshots, snapshotRef, snapshotRepository } from "../domain/session.ts";
import { indexIn, quietly, treeOfFiles } from "./file-tree.ts";
import { headOf, mustGit, type RunGit } from "./git-process.ts";
import { roomHint } from "./last-word.ts";
import { throughOutages } from "./outage.ts";
import { type SessionFiles, sessionTree } from "./session-files.ts";
import type { GuestState, StateFile } from "./state.ts";
import { tailOf } from "./text.ts";
import type { Checkout } from "./workspace.ts";

export interface SnapshotsOptions {
  checkouts: readonly Checkout[];
  session: SessionFiles;
  git: RunGit;
  env: Record<string, string>;
  /** Where git finds the door. */
  gitBase: string;
  state: StateFile;
  /** Files that git ignores, too. */
  ignored: boolean;
  emit: (event: GuestEvent) => Promise<void>;
  signal: AbortSignal;
  timeoutMs?: number;
}

export interface Snapshots {
  /** Takes one and says so; of the conversation when that is `settled`. What goes wrong with it is told, and rejects nothing. */
  take(promptId: string, settled?: Promise<void>): Promise<void>;
  /** The same, and nothing is said where all is as it was. */
  takeChanged(promptId: string): Promise<void>;
  /** Tries once more what a full disk was in the way of. To be called while no turn runs. */
  takeOwed(): Promise<void>;
}

type Kept = GuestState["snapshots"]["repositories"][number];

const maxWarned = 100;
const maxChain = 20;

/**
 * The working files of each repository as a commit whose first parent is the one that is checked out, and the conversation
 * as another: pushed to the appliance, and in no branch. What has not changed since the last one is not pushed again.
 */
export function createSnapshots(options: SnapshotsOptions): Snapshots {
  const { checkouts, session, git, gitBase, state, emit, signal, timeoutMs = 60_000 } = options;
  const env = { ...options.env, GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" };

  const tell = (level: "info" | "warning", text: string) => emit({ kind: "notice", level, text });
  const warn = async (text: string, about = text) => {
    const { snapshots } = state.value;
    if (snapshots.warned.includes(about)) return;
    state.update({ snapshots: { ...snapshots, warned: [...snapshots.warned, about].slice(-maxWarned) } });
    await tell("warning", tailOf(text, 2000));
  };

  const warnOf = async (leftOut: Set<string>, what: string) => {
    for (const words of [...leftOut].slice(0, 10)) await warn(`${what}: ${words}.`);
  };

  const push = async (
    { commit, gitDir, name, place }: { commit: string; gitDir: string; name: string; place: string },
    limit: AbortSignal,
  ) => {
    const argv = [...quietly, "push", "--quiet", "--no-verify", "--no-signed", "--recurse-submodules=no"];
    const to = ["--", `${gitBase}/${place}.git`, `${commit}:${snapshotRef(name)}`];
    const call = { cwd: gitDir, env: { ...env, GIT_DIR: gitDir }, signal: limit };
    const sent = await throughOutages(
      async () => {
        const { code, err } = await git([...argv, ...to], call);
        return { code, output: err };
      },
      { signal: limit },
    );
    if (sent.code !== 0)
      throw new CcwError("unavailable", `It could not be pushed: ${tailOf(sent.output, 1000)}`);
  };

  const commitTree = (
    {
      tree,
      parents,
      gitDir,
      promptId,
    }: { tree: string; parents: string[]; gitDir: string; promptId: string },
    limit: AbortSignal,
  ) => {
    const onto = parents.flatMap((parent) => ["-p", parent]);
    const argv = [...quietly, "commit-tree", "--no-gpg-sign", "-m", `After ${promptId}`, ...onto, tree];
    const call = { cwd: gitDir, env: { ...env, GIT_DIR: gitDir }, signal: limit };
    return mustGit(git(argv, call), "It could not be committed");
  };

  const ofRepository = async (
    { name: title, folder }: Checkout,
    index: number,
    { promptId, name }: { promptId: string; name: string },
    limit: AbortSignal,
  ): Promise<Kept> => {
    const gitDir = join(folder, ".git");
    const head = await headOf(git, folder, env, limit);
    if (head === undefined) return null;
    const leftOut = new Set<string>();
    const tree = await treeOfFiles({
      ...{ git, folder, gitDir, env, ignored: options.ignored, signal: limit },
      index: indexIn(gitDir),
      seed: join(gitDir, "index"),
      leftOut: (words) => void leftOut.add(words),
    });
    await warnOf(leftOut, `Not in the snapshots of ${title}`);
    const last = state.value.snapshots.repositories[index];
    if (last?.tree === tree && last.head === head) return last;
    // Git sends what is not in the parents, and would send again what the snapshots before have brought. A chain of them
    // all would be fetched whole by whoever fetches the last.
    const isFirst = state.value.snapshots.count % maxChain === 0 || last === undefined || last === null;
    const parents = isFirst ? [head] : [head, last.commit];
    const onto = (parents: string[]) => commitTree({ tree, parents, gitDir, promptId }, limit);
    // The agent may have had git throw the last one away.
    const commit = await onto(parents).catch(() => onto([head]));
    await push({ commit, gitDir, name, place: snapshotRepository(index) }, limit);
    return { tree, head, commit };
  };

  const ofSession = async (
    { promptId, name }: { promptId: string; name: string },
    limit: AbortSignal,
  ): Promise<Kept> => {
    const leftOut = new Set<string>();
    const settings = { git, env, ignored: options.ignored, signal: limit };
    const found = await sessionTree(session, checkouts, {
      ...settings,
      leftOut: (words) => void leftOut.add(words),
    });
    await warnOf(leftOut, "Not in the snapshots");
    if (found === undefined) return null;
    const { tree, gitDir } = found;
    const last = state.value.snapshots.session;
    if (last?.tree === tree) return last;
    const isFirst = state.value.snapshots.count % maxChain === 0 || last === null;
    const parents = isFirst ? [] : [last.commit];
    const commit = await commitTree({ tree, parents, gitDir, promptId }, limit);
    await push({ commit, gitDir, name, place: sessionSnapshots }, limit);
    // Each has a copy of the conversation: what the appliance has need not stay here.
    if (isFirst) {
      const call = { cwd: gitDir, env: { ...env, GIT_DIR: gitDir }, signal: limit };
      await git([...quietly, "prune", "--expire=now", commit], call);
    }
    return { tree, head: "", commit };
  };

  const takeIf = async (
    promptId: string,
    settled: Promise<void>,
    isWorthIt: (taken: readonly Kept[], before: GuestState["snapshots"]) => boolean,
  ): Promise<void> => {
    if (signal.aborted) return;
    const began = performance.now();
    // A name is used once, whatever became of the one before it.
    const count = state.value.snapshots.count + 1;
    state.update({ snapshots: { ...state.value.snapshots, count } });
    const plain = (id: string) => id.replace(/[^A-Za-z0-9]/g, "");
    const name = `${plain(promptId)}${plain(session.sandboxId).slice(-6)}x${count}`;
    const limit = new AbortController();
    const stop = () => limit.abort(signal.reason);
    const timer = setTimeout(() => {
      limit.abort(new CcwError("unavailable", `It took over ${Math.round(timeoutMs / 1000)} s.`));
    }, timeoutMs);
    signal.addEventListener("abort", stop);
    const { owed } = state.value.snapshots;
    let isFull = false;
    const soft = async (title: string, work: Promise<Kept>): Promise<Kept> => {
      try {
        return await work;
      } catch (thrown) {
        const reason = messageOf(limit.signal.aborted ? limit.signal.reason : thrown);
        if (!limit.signal.aborted && isOfNoSpace(thrown)) isFull = true;
        else if (!signal.aborted)
          await warn(`The state of ${title} after the turn could not be kept: ${reason}`, title);
        return null;
      }
    };
    try {
      const what = { promptId, name };
      const [kept, ...repositories] = await Promise.all([
        soft(
          "the conversation",
          settled.then(() => ofSession(what, limit.signal)),
        ),
        ...checkouts.map((checkout, index) =>
          soft(checkout.name, ofRepository(checkout, index, what, limit.signal)),
        ),
      ]);
      if (signal.aborted) return;
      const before = state.value.snapshots;
      state.update({
        snapshots: {
          ...before,
          repositories: repositories.map((each, index) => each ?? before.repositories[index] ?? null),
          session: kept ?? before.session,
          owed: isFull ? promptId : null,
        },
      });
      if (owed !== null && owed !== promptId) await tell("warning", neverRoom);
      if (isFull && owed !== promptId) await tell("warning", noRoom);
      if (!isFull && owed === promptId) await tell("info", roomAgain);
      if (!isWorthIt([kept, ...repositories], before)) return;
      await emit({
        kind: "snapshot",
        promptId,
        repositories: repositories.map((each) => each && { commit: each.commit, head: each.head }),
        session: kept?.commit ?? "",
        ms: Math.round(performance.now() - began),
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  };

  // One after another: what is owed is tried by the clock.
  let last: Promise<void> = Promise.resolve();
  const inTurn = (...args: Parameters<typeof takeIf>) => {
    const taking = last.then(() => takeIf(...args));
    last = taking.catch(() => {});
    return taking;
  };
  const anything = (taken: readonly Kept[]) => taken.some((each) => each !== null);
  const anythingNew: Parameters<typeof takeIf>[2] = (taken, { session: conversation, repositories }) =>
    taken.some((each, index) => {
      const before = index === 0 ? conversation : repositories[index - 1];
      return each !== null && each.commit !== before?.commit;
    });
  return {
    take: (promptId, settled = Promise.resolve()) => inTurn(promptId, settled, anything),
    takeChanged: (promptId) => inTurn(promptId, Promise.resolve(), anythingNew),
    async takeOwed() {
      const { owed } = state.value.snapshots;
      if (owed !== null) await inTurn(owed, Promise.resolve(), anythingNew);
    },
  };
}

const roomAgain = "There is room on the disk again: the turn is kept now.";
const noRoom = `The disk is full, so this turn is not kept as a whole yet: it cannot be gone back to, and its work is in the sandbox alone. It is kept as soon as there is room, unless the next turn begins before. ${roomHint}`;
const neverRoom =
  "The turn before could not be kept: the disk was full until the next one began. It cannot be gone back to; its work is part of the next one's.";
