import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestEvent } from "../domain/event.ts";
import { sessionSnapshots, snapshotRepository } from "../domain/session.ts";
import { nameAfter } from "./agents/claude-conversation.ts";
import { createRunGit } from "./git-process.ts";
import { createProcesses } from "./processes.ts";
import { restore } from "./restore.ts";
import { createSnapshots, type SnapshotsOptions } from "./snapshots.ts";
import { openStateFile } from "./state.ts";
import type { Checkout } from "./workspace.ts";

let folder = "";
let env: Record<string, string> = {};
let events: GuestEvent[] = [];
const run = createRunGit(createProcesses());
const { signal } = new AbortController();

async function git(cwd: string, ...args: string[]): Promise<string> {
  const { code, out, err } = await run(args, { cwd, env, signal });
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${err}`);
  return out.toString("utf8").trim();
}

const checkout = (): Checkout => ({
  ...{ name: "demo", url: "http://appliance/git/demo.git", baseBranch: "main", workBranch: "claude/w" },
  folder: join(folder, "work/demo"),
});
const file = (name: string) => join(checkout().folder, name);
const remote = (place: string) => join(folder, `remote/${place}.git`);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ccw-snapshots-"));
  events = [];
  env = {
    ...{ PATH: process.env["PATH"] ?? "", HOME: folder },
    ...{ GIT_AUTHOR_NAME: "Ada", GIT_AUTHOR_EMAIL: "a@example.org" },
    ...{ GIT_COMMITTER_NAME: "Ada", GIT_COMMITTER_EMAIL: "a@example.org" },
  };
  for (const place of [snapshotRepository(0), sessionSnapshots]) {
    mkdirSync(remote(place), { recursive: true });
    await git(remote(place), "init", "--quiet", "--bare");
  }
  mkdirSync(checkout().folder, { recursive: true });
  mkdirSync(join(folder, "home"));
  await git(checkout().folder, "init", "--quiet", "--initial-branch=claude/w");
  writeFileSync(file(".gitignore"), "ignored.txt\n");
  writeFileSync(file("file.txt"), "one\n");
  await git(checkout().folder, "add", ".");
  await git(checkout().folder, "commit", "--quiet", "--message", "First");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function options(change: Partial<SnapshotsOptions> = {}): SnapshotsOptions {
  return {
    checkouts: [checkout()],
    session: {
      ...{ sandboxId: "sbx_1", workspace: join(folder, "work") },
      gitDir: join(folder, "session.git"),
      conversation: () => ({
        folder: join(folder, "home"),
        names: readdirSync(join(folder, "home")).filter((name) => name.startsWith("talk")),
      }),
    },
    ...{ git: run, env, gitBase: `file://${join(folder, "remote")}`, ignored: false, signal },
    state: openStateFile(join(folder, "state.json")),
    emit: async (event) => void events.push(event),
    ...change,
  };
}

async function taken(change: Partial<SnapshotsOptions> = {}, promptId = "prm_1") {
  await createSnapshots(options(change)).take(promptId);
  const event = events.at(-1);
  if (event?.kind !== "snapshot") throw new Error(`no snapshot: ${JSON.stringify(events)}`);
  return event;
}
const notices = () => events.flatMap((event) => (event.kind === "notice" ? [event.text] : []));
const filesOf = (commit: string | undefined, place = snapshotRepository(0)) =>
  git(remote(place), "ls-tree", "-r", "--name-only", commit ?? "");

test("a snapshot holds what is changed, staged, deleted and untracked, and leaves the repository as it was", async () => {
  writeFileSync(file("file.txt"), "two\n");
  writeFileSync(file("staged.txt"), "s\n");
  await git(checkout().folder, "add", "staged.txt");
  writeFileSync(file("with\nnewline é.txt"), "n\n");
  writeFileSync(file("ignored.txt"), "i\n");
  writeFileSync(file(".git/hooks/pre-push"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  const state = async () => [
    await git(checkout().folder, "status", "--porcelain", "--branch"),
    await git(checkout().folder, "for-each-ref"),
    readFileSync(file(".git/config"), "utf8"),
    await git(checkout().folder, "ls-files", "--stage"),
  ];
  const before = await state();
  const { repositories } = await taken();
  expect(await state()).toEqual(before);
  const [snapshot] = repositories;
  expect(snapshot?.head).toBe(await git(checkout().folder, "rev-parse", "HEAD"));
  expect(await git(remote(snapshotRepository(0)), "rev-parse", `${snapshot?.commit}^`)).toBe(
    snapshot?.head ?? "",
  );
  expect(await filesOf(snapshot?.commit)).toBe(
    '.gitignore\nfile.txt\nstaged.txt\n"with\\nnewline \\303\\251.txt"',
  );
  expect(await git(remote(snapshotRepository(0)), "show", `${snapshot?.commit}:file.txt`)).toBe("two");
  expect(notices()).toEqual([]);
});

test("files that git ignores are taken where that is asked for", async () => {
  writeFileSync(file("ignored.txt"), "i\n");
  const { repositories } = await taken({ ignored: true });
  expect(await filesOf(repositories[0]?.commit)).toContain("ignored.txt");
});

test("what has not changed keeps its commit, and a new one is a new ref", async () => {
  const first = await taken();
  expect((await taken({}, "prm_2")).repositories).toEqual(first.repositories);
  writeFileSync(file("file.txt"), "two\n");
  const third = await taken({}, "prm_2");
  expect(third.repositories).not.toEqual(first.repositories);
  const refs = await git(remote(snapshotRepository(0)), "for-each-ref", "--format=%(refname)");
  expect(refs.split("\n")).toEqual(["refs/ccw/snapshots/prm1sbx1x1", "refs/ccw/snapshots/prm2sbx1x3"]);
});

test("a deleted file and a file that became a folder are so in the snapshot", async () => {
  await taken();
  rmSync(file("file.txt"));
  mkdirSync(file("file.txt"));
  writeFileSync(file("file.txt/inside"), "x\n");
  expect(await filesOf((await taken()).repositories[0]?.commit)).toBe(".gitignore\nfile.txt/inside");
});

test("repositories inside, and files that are too large, are left out, and said once", async () => {
  mkdirSync(file("nested"));
  await git(file("nested"), "init", "--quiet");
  writeFileSync(file("nested/x"), "x");
  writeFileSync(file("huge"), "");
  truncateSync(file("huge"), 101 * 1024 ** 2);
  writeFileSync(file("small"), "x");
  expect(await filesOf((await taken()).repositories[0]?.commit)).toBe(".gitignore\nfile.txt\nsmall");
  expect(notices()).toEqual([
    "Not in the snapshots of demo: huge is over 100MiB.",
    "Not in the snapshots of demo: nested/ is a repository of its own.",
  ]);
  writeFileSync(file("small"), "y");
  await taken();
  expect(notices().length).toBe(2);
});

test("a filter keeps no bytes from the snapshot", async () => {
  writeFileSync(file(".gitattributes"), "*.bin filter=lfs\n");
  await git(checkout().folder, "config", "filter.lfs.clean", "echo pointer");
  await git(checkout().folder, "config", "filter.lfs.required", "true");
  writeFileSync(file("large.bin"), "all of it\n");
  const { repositories } = await taken();
  expect(await git(remote(snapshotRepository(0)), "show", `${repositories[0]?.commit}:large.bin`)).toBe(
    "all of it",
  );
});

test("an index of ours that is broken is made anew", async () => {
  await taken();
  writeFileSync(file(".git/ccw-snapshot-index"), "not an index");
  writeFileSync(file("file.txt"), "two\n");
  const { repositories } = await taken();
  expect(await git(remote(snapshotRepository(0)), "show", `${repositories[0]?.commit}:file.txt`)).toBe("two");
});

test("what is changed in the second of the last commit is taken, however late and of the same length", async () => {
  const then = new Date(1_790_000_000_000);
  // Of the times of a file, the one that a test can set.
  await git(checkout().folder, "config", "core.trustctime", "false");
  utimesSync(file("file.txt"), then, then);
  await git(checkout().folder, "update-index", "--refresh");
  writeFileSync(file("file.txt"), "two\n");
  for (const name of ["file.txt", ".git/index"]) utimesSync(file(name), then, then);
  const { repositories } = await taken();
  expect(await git(remote(snapshotRepository(0)), "show", `${repositories[0]?.commit}:file.txt`)).toBe("two");
});

test("a repository without an index is taken as it is checked out, with what is changed", async () => {
  rmSync(file(".git/index"));
  writeFileSync(file("file.txt"), "two\n");
  const { repositories } = await taken();
  expect(await filesOf(repositories[0]?.commit)).toBe(".gitignore\nfile.txt");
  expect(existsSync(file(".git/index"))).toBe(false);
});

test("a push that fails takes no more than that repository's snapshot, and is said once until it works again", async () => {
  rmSync(remote(snapshotRepository(0)), { recursive: true });
  const { repositories, session } = await taken();
  expect(repositories).toEqual([null]);
  expect(session).not.toBe("");
  await taken();
  expect(notices().length).toBe(1);
  expect(notices()[0]).toContain("The state of demo after the turn could not be kept");
  expect(existsSync(file(".git/ccw-snapshot-index"))).toBe(true);
});

test("a snapshot that takes too long is given up", async () => {
  const slow = join(folder, "bin");
  mkdirSync(slow);
  writeFileSync(join(slow, "git"), "#!/bin/sh\nsleep 60\n", { mode: 0o755 });
  await createSnapshots(options({ env: { ...env, PATH: `${slow}:${env["PATH"]}` }, timeoutMs: 300 })).take(
    "prm_1",
  );
  expect(events.some((event) => event.kind === "snapshot")).toBe(false);
  expect(notices()[0]).toContain("It took over");
});

test("the session's snapshot has the conversation, what lies beside the repositories, and those without a commit", async () => {
  writeFileSync(join(folder, "home/talk.jsonl"), "{}\n");
  writeFileSync(join(folder, "home/other.jsonl"), "{}\n");
  mkdirSync(join(folder, "home/talk"));
  writeFileSync(join(folder, "home/talk/sub.jsonl"), "{}\n");
  writeFileSync(join(folder, "work/notes.txt"), "n\n");
  await git(checkout().folder, "checkout", "--quiet", "--orphan", "fresh");
  const { repositories, session } = await taken();
  expect(repositories).toEqual([null]);
  expect((await filesOf(session, sessionSnapshots)).split("\n")).toEqual([
    "conversation/talk.jsonl",
    "conversation/talk/sub.jsonl",
    "repository-0/.gitignore",
    "repository-0/file.txt",
    "workspace/notes.txt",
  ]);
  expect(notices()).toEqual([]);
});

test("a restored checkout has its branch, its files and nothing staged; a conversation takes the session's name", async () => {
  writeFileSync(join(folder, "home/talk.jsonl"), "{}\n");
  await git(checkout().folder, "clone", "--quiet", "--bare", ".", join(folder, "origin.git"));
  writeFileSync(file("file.txt"), "two\n");
  await git(checkout().folder, "commit", "--quiet", "--all", "--message", "Second");
  writeFileSync(file("file.txt"), "three\n");
  writeFileSync(file("new.txt"), "n\n");
  const { repositories, session } = await taken();
  events = [];

  const other = { ...checkout(), folder: join(folder, "other/demo") };
  await git(folder, "clone", "--quiet", join(folder, "origin.git"), other.folder);
  const { session: from, ...rest } = options();
  await restore(
    { title: "turn 1", repositories: [repositories[0] ?? null], session },
    {
      ...rest,
      checkouts: [other],
      session: {
        ...from,
        gitDir: join(folder, "other.git"),
        workspace: join(folder, "other"),
      },
      conversationHome: join(folder, "other-home/project"),
      adoptConversation: () => nameAfter("again", join(folder, "other-home/project")),
    },
  );
  expect(await git(other.folder, "rev-parse", "HEAD", "claude/w")).toBe(
    `${repositories[0]?.head}\n${repositories[0]?.head}`,
  );
  expect(await git(other.folder, "status", "--porcelain")).toBe("M file.txt\n?? new.txt");
  expect(readFileSync(join(other.folder, "file.txt"), "utf8")).toBe("three\n");
  expect(readFileSync(join(folder, "other-home/project/again.jsonl"), "utf8")).toBe("{}\n");
  expect(notices().length).toBe(1);
});

test("what was pushed after the snapshot stays, and what was uncommitted is laid over it", async () => {
  const { folder: here } = checkout();
  await git(here, "clone", "--quiet", "--bare", ".", join(folder, "origin.git"));
  writeFileSync(file("file.txt"), "two\n");
  writeFileSync(file("new.txt"), "n\n");
  const { repositories } = await taken();
  // Handed over, and a person has added something of their own.
  await git(here, "add", "file.txt");
  await git(here, "commit", "--quiet", "--message", "Hand over");
  writeFileSync(file("theirs.txt"), "t\n");
  await git(here, "add", "theirs.txt");
  await git(here, "commit", "--quiet", "--message", "Theirs");
  await git(here, "push", "--quiet", join(folder, "origin.git"), "HEAD:refs/heads/claude/w");
  const tip = await git(here, "rev-parse", "HEAD");

  const other = { ...checkout(), folder: join(folder, "other/demo") };
  await git(folder, "clone", "--quiet", join(folder, "origin.git"), other.folder);
  await restore(
    { title: "turn 1", repositories: [repositories[0] ?? null] },
    {
      ...options(),
      checkouts: [other],
      conversationHome: join(folder, "other-home"),
      adoptConversation: () => {},
    },
  );
  expect(await git(other.folder, "rev-parse", "HEAD", "claude/w")).toBe(`${tip}\n${tip}`);
  expect(await git(other.folder, "status", "--porcelain")).toBe("?? new.txt");
});

test("a turn whose files were not kept, and its conversation was, is restored with a word about that", async () => {
  writeFileSync(join(folder, "home/talk.jsonl"), "{}\n");
  await git(checkout().folder, "clone", "--quiet", "--bare", ".", join(folder, "origin.git"));
  fill(snapshotRepository(0));
  const { repositories, session } = await taken();
  expect(repositories).toEqual([null]);
  events = [];
  const other = { ...checkout(), folder: join(folder, "other/demo") };
  await git(folder, "clone", "--quiet", join(folder, "origin.git"), other.folder);
  const { session: from, ...rest } = options();
  await restore(
    { title: "turn 1", repositories, session },
    {
      ...rest,
      checkouts: [other],
      session: { ...from, gitDir: join(folder, "other.git"), workspace: join(folder, "other") },
      conversationHome: join(folder, "other-home"),
      adoptConversation: () => {},
    },
  );
  expect(notices()).toEqual([
    "The files of demo were not kept at the end of turn 1. The work goes on from claude/w as it was pushed, or from main.",
    expect.stringContaining("Restored from turn 1: The conversation."),
  ]);
});

/** What receive-pack says when the appliance's disk is full. */
const fill = (...places: string[]) => {
  for (const place of places)
    writeFileSync(
      join(remote(place), "hooks/pre-receive"),
      "#!/bin/sh\necho 'fatal: No space left on device' >&2; exit 1\n",
      { mode: 0o755 },
    );
};
const makeRoom = () => {
  for (const place of [snapshotRepository(0), sessionSnapshots])
    rmSync(join(remote(place), "hooks/pre-receive"), { force: true });
};
const kinds = () =>
  events.map((event) => (event.kind === "snapshot" ? `snapshot ${event.promptId}` : event.kind));

test("what a full disk is in the way of is told, and taken when there is room, once", async () => {
  const snapshots = createSnapshots(options());
  fill(snapshotRepository(0), sessionSnapshots);
  writeFileSync(join(folder, "home/talk.jsonl"), "hello\n");
  writeFileSync(file("new.txt"), "n\n");
  await snapshots.take("prm_1");
  await snapshots.takeOwed();
  expect(kinds()).toEqual(["notice"]);
  expect(notices()[0]).toContain("The disk is full, so this turn is not kept");
  makeRoom();
  await snapshots.takeOwed();
  await snapshots.takeOwed();
  expect(kinds()).toEqual(["notice", "notice", "snapshot prm_1"]);
  expect(notices()[1]).toContain("room on the disk again");
  const event = events.at(-1);
  expect(await filesOf(event?.kind === "snapshot" ? event.repositories[0]?.commit : "")).toContain("new.txt");
  expect(event).toMatchObject({ session: expect.stringMatching(/^[0-9a-f]{40}$/) });
});

test("what there is room for is kept at once, and a guest that is started again takes the rest", async () => {
  fill(snapshotRepository(0));
  writeFileSync(join(folder, "home/talk.jsonl"), "hello\n");
  const { repositories, session } = await taken();
  expect(repositories).toEqual([null]);
  expect(session).not.toBe("");
  makeRoom();
  await createSnapshots(options()).takeOwed();
  const last = events.at(-1);
  expect(last).toMatchObject({ kind: "snapshot", promptId: "prm_1", session });
  expect(last?.kind === "snapshot" && last.repositories[0]).not.toBeNull();
});

test("a turn that was never kept is told when the next one is", async () => {
  const snapshots = createSnapshots(options());
  fill(snapshotRepository(0), sessionSnapshots);
  await snapshots.take("prm_1");
  makeRoom();
  await snapshots.take("prm_2");
  await snapshots.takeOwed();
  expect(kinds()).toEqual(["notice", "notice", "snapshot prm_2"]);
  expect(notices()[1]).toContain("The turn before could not be kept");
});

test("a disk without room leaves no file out of what is taken later", async () => {
  const objects = file(".git/objects");
  writeFileSync(file("new.txt"), "n\n");
  // Git's own words for a disk that takes no object, whatever the reason.
  const full: SnapshotsOptions["git"] = async (args, call) =>
    args.includes("update-index")
      ? {
          code: 128,
          out: Buffer.alloc(0),
          err: `error: unable to create temporary file in ${objects}: No space left on device\nerror: new.txt: failed to insert into database\nfatal: Unable to process path new.txt`,
        }
      : run(args, call);
  await createSnapshots(options({ git: full })).take("prm_1");
  expect(notices()).toEqual([expect.stringContaining("The disk is full")]);
  const event = await taken();
  expect(await filesOf(event.repositories[0]?.commit)).toContain("new.txt");
});
