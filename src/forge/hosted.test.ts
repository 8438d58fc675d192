import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHostedRepositories, type HostedRepositories } from "./hosted.ts";

let folder: string;
let hosted: HostedRepositories;
const author = { name: "Ann <x>", email: "ann@example.org" };
const at = Date.UTC(2026, 10, 1);
const quiet = { info() {}, warn() {}, error() {} };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hosted-"));
  hosted = createHostedRepositories({ folder, log: quiet, now: () => at });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function commit(branch: string, files: Record<string, string | Uint8Array>, message = "Work") {
  const list = Object.entries(files).map(([path, content]) => ({ path, content }));
  return hosted.commitFiles("demo", { branch, message, author, files: list });
}
/** A branch that begins where another stands. */
async function branchOff(from: string, to: string): Promise<void> {
  const git = ["git", `--git-dir=${join(folder, "demo.git")}`, "branch", to, from];
  expect(await Bun.spawn(git).exited).toBe(0);
}

test("repositories are made, found and listed, with an owner or without", async () => {
  await hosted.create("demo");
  await hosted.create("team/tool", { defaultBranch: "trunk" });
  await mkdir(join(folder, "not-a-repository.git"));
  await mkdir(join(folder, "UPPER.git"));
  expect((await hosted.list()).map(({ name, defaultBranch }) => [name, defaultBranch])).toEqual([
    ["demo", "main"],
    ["team/tool", "trunk"],
  ]);
  expect(await hosted.folderOf("team/tool")).toBe(join(folder, "team/tool.git"));
});

test("before the first repository the list is empty", async () => {
  const none = createHostedRepositories({ folder: join(folder, "absent"), log: quiet, now: () => at });
  expect(await none.list()).toEqual([]);
});

test("of ten who make the same repository at once, one does", async () => {
  const made = await Promise.allSettled(Array.from({ length: 10 }, () => hosted.create("demo")));
  expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const each of made)
    if (each.status === "rejected") expect(each.reason).toMatchObject({ code: "conflict" });
  expect(await readdir(folder)).toEqual(["demo.git"]);
});

test("names and branches that are no such thing are refused before anything happens", async () => {
  for (const name of ["../x", "a/b/c", "x.git", "-x", "X", "", "a b"]) {
    await expect(hosted.create(name)).rejects.toMatchObject({ code: "invalid" });
    await expect(hosted.folderOf(name)).rejects.toMatchObject({ code: "invalid" });
  }
  await expect(hosted.create("demo", { defaultBranch: "--bare" })).rejects.toMatchObject({ code: "invalid" });
  await hosted.create("demo");
  await expect(hosted.find("other")).rejects.toMatchObject({ code: "not_found" });
});

test("a repository with no commits says so, and what to do", async () => {
  await hosted.create("demo");
  expect(await hosted.hasCommits("demo")).toBe(false);
  await expect(hosted.diff("demo", "main", "work")).rejects.toMatchObject({
    code: "conflict",
    message: "The repository demo has no commits yet.",
    hint: expect.stringContaining("git push"),
  });
});

test("a branch that is not there is named, with those that are", async () => {
  await hosted.create("demo");
  await commit("main", { a: "1\n" });
  await expect(hosted.tipOf("demo", "nope")).rejects.toMatchObject({
    code: "not_found",
    hint: "It has main.",
  });
});

test("files are committed, and a second commit goes on from the first", async () => {
  await hosted.create("demo");
  await hosted.commitFiles("demo", {
    branch: "main",
    message: "First\n\nWith a body",
    author,
    files: [
      { path: "src/ä file.txt", content: "hello\n" },
      { path: "run", content: "#!/bin/sh\n", mode: "100755" },
    ],
  });
  await branchOff("main", "work");
  const second = await commit("work", { "src/ä file.txt": "hello\nworld\n" }, "Second");
  expect(await hosted.commits("demo", "main", "work")).toEqual([
    { id: second, author: { name: "Ann x", email: "ann@example.org" }, at, subject: "Second" },
  ]);
  expect(await hosted.branchExists("demo", "work")).toBe(true);
  const check = Bun.spawn(["git", `--git-dir=${join(folder, "demo.git")}`, "fsck", "--strict"], {
    stderr: "ignore",
  });
  expect(await check.exited).toBe(0);
});

test("paths that leave the tree, or reach git's own folder, are not committed", async () => {
  await hosted.create("demo");
  for (const path of ["../x", "/x", "a//b", ".git/config", "a/.GIT/x", 'a"b', "a\nb", ""]) {
    await expect(commit("main", { [path]: "x" })).rejects.toMatchObject({ code: "invalid" });
  }
});

test("a diff shows what the branch did since it left its base, not what the base did since", async () => {
  await hosted.create("demo");
  const start = await commit("main", { keep: "1\n2\n3\n", "old name": "a\nb\nc\nd\ne\nf\n" });
  await branchOff("main", "work");
  await commit("main", { later: "on main\n" });
  const tip = await commit("work", { keep: "1\nTWO\n3\n", image: Uint8Array.of(0, 1, 2, 255) });
  const changes = await hosted.diff("demo", "main", "work");
  expect(changes).toMatchObject({ from: start, to: tip, patchTruncated: false, filesTruncated: false });
  expect(changes.files).toEqual([
    { path: "image", lines: undefined },
    { path: "keep", lines: { added: 1, removed: 1 } },
  ]);
  expect(changes.patch).toContain("-2\n+TWO\n");
  expect(changes.patch).not.toContain("later");
});

test("a large diff is cut where told, never within a character, and says so", async () => {
  await hosted.create("demo");
  await commit("main", { a: "" });
  await branchOff("main", "work");
  await commit(
    "work",
    Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`file-${i}`, "ä".repeat(5000)])),
  );
  const changes = await hosted.diff("demo", "main", "work", { maxPatchBytes: 1000, maxFiles: 10 });
  expect(changes).toMatchObject({ patchTruncated: true, filesTruncated: true });
  expect(Buffer.byteLength(changes.patch)).toBeWithin(990, 1001);
  expect(changes.patch).not.toContain("\ufffd");
  expect(changes.files).toHaveLength(10);
});

test("branches with no commit in common are not compared", async () => {
  await hosted.create("demo");
  await commit("main", { a: "1" });
  await commit("alien", { a: "2" });
  await expect(hosted.diff("demo", "main", "alien")).rejects.toMatchObject({ code: "conflict" });
});

test("ATTACKS 59: branch names with option or shell syntax are refused or only names", async () => {
  await hosted.create("demo");
  await commit("main", { a: "1\n" });
  for (const branch of ["--output=/tmp/x", "-x", "a b", "a..b", "a:b", "$(id) x", "main^{/x}"]) {
    await expect(hosted.diff("demo", "main", branch)).rejects.toMatchObject({ code: "invalid" });
  }
  await branchOff("main", "x;touch$IFS'pwned`id`");
  expect((await hosted.diff("demo", "main", "x;touch$IFS'pwned`id`")).files).toEqual([]);
  expect((await hosted.branches("demo")).map(({ name }) => name)).toEqual(["main", "x;touch$IFS'pwned`id`"]);
});

test("ATTACKS 58: a diff driver in the repository's config runs nothing", async () => {
  await hosted.create("demo");
  await commit("main", { a: "1\n", ".gitattributes": "* diff=evil\n" });
  await branchOff("main", "work");
  await commit("work", { a: "2\n" });
  const marker = join(folder, "ran");
  for (const key of [
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "core.fsmonitor",
    "core.pager",
  ]) {
    const config = join(folder, "demo.git/config");
    expect(await Bun.spawn(["git", "config", "--file", config, key, `touch ${marker} #`]).exited).toBe(0);
  }
  expect((await hosted.diff("demo", "main", "work")).patch).toContain("-1\n+2\n");
  expect(await Bun.file(marker).exists()).toBe(false);
});

test("what a git that was killed has left goes with the next start, and pushes pass again", async () => {
  await hosted.create("team/tool");
  await hosted.create("demo");
  await commit("main", { "a.txt": "1" });
  const path = join(folder, "demo.git");
  await mkdir(join(path, "objects/tmp_objdir-incoming-x1/pack"), { recursive: true });
  for (const lock of ["HEAD.lock", "packed-refs.lock", "refs/heads/main.lock"])
    await Bun.write(join(path, lock), "");
  const stale = join(folder, "team/tool.git/config.lock");
  await Bun.write(stale, "");
  await expect(commit("main", { "a.txt": "2" })).rejects.toThrow();
  hosted = createHostedRepositories({ folder, log: quiet, now: () => at });
  expect((await readdir(path, { recursive: true })).filter((name) => /tmp_|\.lock$/.test(name))).toEqual([]);
  expect(await Bun.file(stale).exists()).toBe(false);
  await commit("main", { "a.txt": "3" });
  expect(await hosted.commits("demo", "main", "main")).toEqual([]);
});
