import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHostedRepositories } from "./hosted.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A repository with `main`, and `work` made from its first commit. */
async function world() {
  const folder = mkdtempSync(join(tmpdir(), "ccw-merge-"));
  folders.push(folder);
  const hosted = createHostedRepositories({
    folder,
    log: { info() {}, warn() {}, error() {} },
    now: () => 1_700_000_000_000,
  });
  await hosted.create("demo");
  const path = await hosted.folderOf("demo");
  const git = (...args: string[]) => {
    const result = Bun.spawnSync(["git", `--git-dir=${path}`, ...args]);
    if (result.exitCode !== 0) throw new Error(result.stderr.toString());
    return result.stdout.toString().trim();
  };
  const commit = (branch: string, files: Record<string, string>) =>
    hosted.commitFiles("demo", {
      ...{ branch, message: "A commit", author: { name: "a", email: "a@b.invalid" } },
      files: Object.entries(files).map(([path, content]) => ({ path, content })),
    });
  await commit("main", { "a.txt": "1\n", "b.txt": "1\n", "dir/template.md": "# Why\n" });
  git("branch", "work", "main");
  const merge = (headCommit: string) =>
    hosted.merge("demo", {
      ...{ base: "main", head: "work", headCommit, message: "Merge it\n\nwith a body" },
      author: { name: "Ada L", email: "ada@example.org" },
    });
  return { hosted, git, commit, merge };
}

test("a branch is merged by a commit with both parents, in the person's name", async () => {
  const { hosted, git, commit, merge } = await world();
  const head = await commit("work", { "a.txt": "2\n" });
  const base = await commit("main", { "b.txt": "2\n" });
  const outcome = await merge(head);
  expect(outcome.kind).toBe("merged");
  expect(git("log", "-1", "--format=%P|%an|%ae|%cn|%s|%b", "main")).toBe(
    `${base} ${head}|Ada L|ada@example.org|Ada L|Merge it|with a body`,
  );
  expect([git("show", "main:a.txt"), git("show", "main:b.txt")]).toEqual(["2", "2"]);
  expect(await merge(head)).toEqual({ kind: "contained" });
  // What it brought can still be looked at.
  const { patch } = await hosted.diff("demo", "main", "work");
  expect(patch).toContain("-1\n+2\n");
  expect(patch).not.toContain("b.txt");
});

test("conflicts are named by file, and nothing moves", async () => {
  const { git, commit, merge } = await world();
  const head = await commit("work", { "a.txt": "2\n", "b.txt": "2\n" });
  const base = await commit("main", { "a.txt": "3\n", "b.txt": "3\n" });
  expect(await merge(head)).toEqual({ kind: "conflicts", files: ["a.txt", "b.txt"] });
  expect(git("rev-parse", "main")).toBe(base);
});

test("what a person has not looked at is not merged", async () => {
  const { commit, merge } = await world();
  const seen = await commit("work", { "a.txt": "2\n" });
  const headCommit = await commit("work", { "a.txt": "3\n" });
  expect(await merge(seen)).toEqual({ kind: "moved", headCommit });
});

test("merges and pushes at the same time lose nothing", async () => {
  const { git, commit, merge } = await world();
  const head = await commit("work", { "a.txt": "2\n" });
  const [outcome] = await Promise.all([merge(head), commit("main", { "c.txt": "1\n" }).catch(() => {})]);
  expect(outcome.kind).toBe("merged");
  expect(git("show", "main:a.txt")).toBe("2");
  expect(git("merge-base", "--is-ancestor", head, "main")).toBe("");
});

test("a branch that is gone is said to be gone", async () => {
  const { git, commit, merge } = await world();
  const head = await commit("work", { "a.txt": "2\n" });
  git("branch", "-D", "work");
  await expect(merge(head)).rejects.toThrow("The branch work is not there any more.");
});

test("a file is read from a branch; a folder, a missing one and a long one are none", async () => {
  const { hosted, commit } = await world();
  const read = (path: string, branch = "main") =>
    hosted.fileOf("demo", branch, ["missing.md", path, "later.md"]);
  expect(await read("dir/template.md")).toBe("# Why\n");
  await commit("main", { "long.md": "x".repeat(70_000) });
  expect([await read("dir"), await read("no.md"), await read("long.md"), await read("a.txt", "no")]).toEqual([
    ...[undefined, undefined, undefined, undefined],
  ]);
});
