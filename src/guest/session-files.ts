import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ConversationFiles } from "./agents/agent.ts";
import { quietly, treeOfFiles } from "./file-tree.ts";
import { headOf, mustGit, type RunGit } from "./git-process.ts";
import type { Checkout } from "./workspace.ts";

/** Where the files of a session lie that are in none of its repositories. */
export interface SessionFiles {
  sandboxId: string;
  /** A bare repository of the guest's own. */
  gitDir: string;
  workspace: string;
  /** Undefined where there is none yet. */
  conversation: () => ConversationFiles | undefined;
}

/** The folders of a session snapshot. */
export const sessionFolders = {
  /** As the agent has it. */
  conversation: "conversation",
  /** What lies in the workspace beside the repositories. */
  workspace: "workspace",
  /** A repository without any commit to make a snapshot on. */
  repository: (index: number) => `repository-${index}`,
};

const maxHeldMs = 10_000;

interface Settings {
  git: RunGit;
  env: Record<string, string>;
  ignored: boolean;
  leftOut: (words: string) => void;
  signal: AbortSignal;
}

/** One tree of all that; undefined where there is nothing. */
export async function sessionTree(
  files: SessionFiles,
  checkouts: readonly Checkout[],
  settings: Settings,
): Promise<{ tree: string; gitDir: string } | undefined> {
  const { git, env, signal } = settings;
  const { gitDir, workspace } = files;
  await openSessionRepository(gitDir, settings);
  const index = (name: string) => join(gitDir, `index-${name}`);
  // At once: each has an index of its own, and most of the time is the start of processes.
  const adding: Promise<[name: string, tree: string] | undefined>[] = [];
  const add = (name: string, tree: Promise<string | undefined>) =>
    void adding.push(tree.then((written) => (written === undefined ? undefined : [name, written])));

  const conversation = files.conversation();
  if (conversation !== undefined) {
    const name = sessionFolders.conversation;
    const of = { folder: conversation.folder, gitDir, index: index(name), only: conversation.names };
    const reading = () => treeOfFiles({ ...settings, ...of, ignored: true });
    add(name, whileHeld(conversation, reading));
  }
  const repositories = new Set(checkouts.map(({ folder }) => folder));
  const unborn = async (folder: string, name: string) => {
    if (!existsSync(folder) || (await headOf(git, folder, env, signal)) !== undefined) return undefined;
    return await treeOfFiles({ ...settings, folder, gitDir, index: index(name) });
  };
  for (const [place, { folder }] of checkouts.entries()) {
    const name = sessionFolders.repository(place);
    add(name, unborn(folder, name));
  }
  if (existsSync(workspace)) {
    const name = sessionFolders.workspace;
    const leftOut = (words: string) => {
      // The repositories have snapshots of their own.
      if (![...repositories].some((folder) => words.startsWith(`${folder.slice(workspace.length + 1)}/ `)))
        settings.leftOut(words);
    };
    add(name, treeOfFiles({ ...settings, folder: workspace, gitDir, index: index(name), leftOut }));
  }
  const trees = (await Promise.all(adding)).flatMap((each) => (each === undefined ? [] : [each]));
  if (trees.length === 0) return undefined;
  const input = Buffer.from(trees.map(([name, tree]) => `040000 tree ${tree}\t${name}\n`).join(""));
  const call = { cwd: gitDir, env: { ...env, GIT_DIR: gitDir }, input, signal };
  const tree = await mustGit(git([...quietly, "mktree"], call), "The session could not be written down");
  return { tree, gitDir };
}

/** Its writer goes on when they are read, whatever came of that, and after a while in any case. */
async function whileHeld<Read>({ hold }: ConversationFiles, read: () => Promise<Read>): Promise<Read> {
  const letGo = await hold?.();
  const late = setTimeout(() => letGo?.(), maxHeldMs);
  try {
    return await read();
  } finally {
    clearTimeout(late);
    letGo?.();
  }
}

export async function openSessionRepository(
  gitDir: string,
  { git, env, signal }: Pick<Settings, "git" | "env" | "signal">,
): Promise<void> {
  if (existsSync(join(gitDir, "HEAD"))) return;
  mkdirSync(gitDir, { recursive: true });
  const argv = [...quietly, "init", "--quiet", "--bare", "--template=", gitDir];
  await mustGit(git(argv, { cwd: gitDir, env, signal }), "No repository for the session could be made");
}
