import { existsSync, readdirSync, rmSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CcwError } from "../domain/errors.ts";
import type { Log, MergeOutcome, MergeRequest } from "../domain/ports.ts";
import {
  type Commit,
  type HostedRepository,
  parseBranchName,
  parseRepositoryName,
} from "../domain/repository.ts";
import { branchesIn, findTip } from "./branches.ts";
import { type Changes, commitsBetween, type DiffLimits, diffBetween } from "./changes.ts";
import { type FirstFiles, fastImportOf } from "./fast-import.ts";
import { createGit, repositorySettings } from "./git.ts";
import { makeWhole, removeUnfinished } from "./made-whole.ts";
import { mergeBranches, readFileOf } from "./merge.ts";

/** Repositories that the appliance holds itself: bare, at `<folder>/<name>.git`. */
export interface HostedRepositories {
  /** Where the repository of that name lies, or would; absolute. */
  pathOf(name: string): string;
  /** Makes an empty repository; `conflict` where the name is taken. */
  create(name: string, options?: { defaultBranch?: string }): Promise<HostedRepository>;
  list(): Promise<HostedRepository[]>;
  /** `not_found` where there is none. */
  find(name: string): Promise<HostedRepository>;
  /** The bare repository's folder; `not_found` where there is none. */
  folderOf(name: string): Promise<string>;
  branches(name: string): Promise<{ name: string; commit: string }[]>;
  hasCommits(name: string): Promise<boolean>;
  branchExists(name: string, branch: string): Promise<boolean>;
  /** The branch's newest commit; `conflict` in a repository with no commits, `not_found` without the branch. */
  tipOf(name: string, branch: string): Promise<string>;
  /** Puts one commit with these files on the branch, which begins with it or goes on. Returns its id. */
  commitFiles(name: string, commit: FirstFiles): Promise<string>;
  /** What `branch` changed since it left `base`. */
  diff(name: string, base: string, branch: string, limits?: Partial<DiffLimits>): Promise<Changes>;
  /** The commits of `branch` that `base` lacks, newest first. */
  commits(name: string, base: string, branch: string, limit?: number): Promise<Commit[]>;
  /** The first of these files that the branch has, where it is a short text. */
  fileOf(name: string, branch: string, paths: readonly string[]): Promise<string | undefined>;
  merge(name: string, request: MergeRequest): Promise<MergeOutcome>;
}

export function createHostedRepositories(options: {
  /** Absolute. */
  folder: string;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}): HostedRepositories {
  const { folder, log, now } = options;
  const git = createGit();
  removeUnfinished(folder);
  for (const path of repositoriesIn(folder)) removeRests(join(folder, path));

  const pathOf = (name: string) => join(folder, `${parseRepositoryName(name)}.git`);

  async function folderOf(name: string): Promise<string> {
    const path = pathOf(name);
    if (!(await isRepository(path))) {
      throw new CcwError(
        "not_found",
        `There is no repository ${name}.`,
        `\`ccw-server repo list\` shows those there are; \`ccw-server repo add ${name}\` makes it.`,
      );
    }
    return path;
  }

  async function find(name: string): Promise<HostedRepository> {
    const path = await folderOf(name);
    const head = await git.must([`--git-dir=${path}`, "symbolic-ref", "--", "HEAD"]);
    const defaultBranch = textOf(head.stdout)
      .trim()
      .replace(/^refs\/heads\//, "");
    // Nothing writes the config after it was made.
    const { mtimeMs } = await stat(join(path, "config"));
    return {
      ...{ name, kind: "hosted", defaultBranch, createdAt: Math.round(mtimeMs) },
      push: { force: false, delete: false },
    };
  }

  async function branches(name: string): Promise<{ name: string; commit: string }[]> {
    return branchesIn(git, await folderOf(name));
  }

  async function tipOf(name: string, branch: string): Promise<string> {
    const tip = await findTip(git, await folderOf(name), branch);
    if (tip !== undefined) return tip;
    const existing = await branches(name);
    if (existing.length === 0) {
      throw new CcwError(
        "conflict",
        `The repository ${name} has no commits yet.`,
        `Push a first commit to it, for instance \`git push <its URL> HEAD:${branch}\`.`,
      );
    }
    const some = existing.slice(0, 10).map((each) => each.name);
    throw new CcwError(
      "not_found",
      `The repository ${name} has no branch ${branch}.`,
      `It has ${some.join(", ")}${existing.length > some.length ? " and more" : ""}.`,
    );
  }

  return {
    pathOf,
    folderOf,
    find,
    branches,
    tipOf,

    async create(name, { defaultBranch = "main" } = {}) {
      const path = pathOf(name);
      const branch = parseBranchName(defaultBranch);
      await mkdir(dirname(path), { recursive: true });
      const made = await makeWhole(folder, path, async (fresh) => {
        const how = ["--quiet", "--bare", "--template=", `--initial-branch=${branch}`];
        await git.must(["init", ...how, "--", fresh]);
        for (const [key, value] of repositorySettings) {
          await git.must(["config", "--file", join(fresh, "config"), key, value]);
        }
      });
      if (!made) {
        throw new CcwError(
          "conflict",
          `There is a repository ${name} already.`,
          "Choose another name, or push to the one there is.",
        );
      }
      log.info("repository created", { name });
      return find(name);
    },

    async list() {
      const found: HostedRepository[] = [];
      for (const name of (await repositoryNames(folder)).sort()) found.push(await find(name));
      return found;
    },

    async hasCommits(name) {
      return (await branches(name)).length > 0;
    },

    async branchExists(name, branch) {
      return (await findTip(git, await folderOf(name), branch)) !== undefined;
    },

    async commitFiles(name, commit) {
      const path = await folderOf(name);
      const parent = await findTip(git, path, commit.branch);
      const input = fastImportOf(commit, parent, now());
      await git.must([`--git-dir=${path}`, "fast-import", "--quiet"], { input });
      return tipOf(name, commit.branch);
    },

    async diff(name, base, branch, limits) {
      const path = await folderOf(name);
      return diffBetween(git, path, await tipOf(name, base), await tipOf(name, branch), limits);
    },

    async commits(name, base, branch, limit = 100) {
      const path = await folderOf(name);
      return commitsBetween(git, path, await tipOf(name, base), await tipOf(name, branch), limit);
    },

    fileOf: async (name, branch, paths) => readFileOf(git, await folderOf(name), branch, paths),
    merge: async (name, request) => mergeBranches(git, await folderOf(name), request),
  };
}

async function isRepository(path: string): Promise<boolean> {
  return stat(join(path, "HEAD")).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** `name.git` and `owner/name.git`; whatever else lies in the folder is not ours to show. */
async function repositoryNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const path of repositoriesIn(folder)) {
    const name = path.slice(0, -".git".length);
    if (isName(name) && (await isRepository(join(folder, path)))) names.push(name);
  }
  return names;
}

/** `name.git` and `owner/name.git`. */
const repositoriesIn = (folder: string): string[] =>
  foldersIn(folder).flatMap((entry) =>
    entry.endsWith(".git")
      ? [entry]
      : foldersIn(join(folder, entry))
          .filter((inner) => inner.endsWith(".git"))
          .map((inner) => `${entry}/${inner}`),
  );

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => name);
}

/** Of a git that was killed, before any runs there: what a push had brought, and locks, which no later push would pass. */
function removeRests(repository: string): void {
  const objects = join(repository, "objects");
  const refs = join(repository, "refs");
  const isLock = (name: string) => name.endsWith(".lock");
  const rests = [
    ...foldersIn(objects)
      .filter((name) => name.startsWith("tmp_objdir-"))
      .map((name) => join(objects, name)),
    ...readdirSync(repository)
      .filter(isLock)
      .map((name) => join(repository, name)),
    ...(existsSync(refs) ? readdirSync(refs, { recursive: true, encoding: "utf8" }) : [])
      .filter(isLock)
      .map((name) => join(refs, name)),
  ];
  for (const rest of rests) rmSync(rest, { recursive: true, force: true });
}

function isName(name: string): boolean {
  try {
    return parseRepositoryName(name) === name;
  } catch {
    return false;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
