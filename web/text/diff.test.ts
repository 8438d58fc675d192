import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { parseDiff } from "./diff.ts";
import { replacedLines } from "./replaced-lines.ts";

test("git's own diff of added, changed, deleted, renamed, binary and oddly named files", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ccw-diff-"));
  try {
    const git = (...args: string[]) => $`git -c user.name=t -c user.email=t@t ${args}`.cwd(folder).quiet();
    await git("init", "-q");
    const long = Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n");
    await Bun.write(join(folder, "keep me.txt"), "a\nb\nc\n");
    await Bun.write(join(folder, "old.txt"), long);
    await Bun.write(join(folder, "gone.txt"), "-- x\n");
    await git("add", "-A");
    await git("commit", "-qm", "one");
    await Bun.write(join(folder, "keep me.txt"), "a\nB\nc");
    await git("mv", "old.txt", "new.txt");
    await git("rm", "-q", "gone.txt");
    await Bun.write(join(folder, 'ü"\u001b[31m\u202e.txt'), "++ y\ndiff --git a/x b/x\n");
    await Bun.write(join(folder, "image.bin"), new Uint8Array([0, 1, 2, 0]));
    await git("add", "-A");
    await git("commit", "-qm", "two");
    const files = parseDiff((await git("diff", "HEAD~1", "HEAD")).text());

    expect(files.map(({ path, change, added, removed }) => ({ path, change, added, removed }))).toEqual([
      { path: "gone.txt", change: "deleted", added: 0, removed: 1 },
      { path: "image.bin", change: "added", added: 0, removed: 0 },
      { path: "keep me.txt", change: "modified", added: 2, removed: 2 },
      { path: "new.txt", change: "renamed", added: 0, removed: 0 },
      { path: 'ü"\u001b[31m\u202e.txt', change: "added", added: 2, removed: 0 },
    ]);
    expect(files[1]?.binary).toBe(true);
    expect(files[3]?.from).toBe("old.txt");
    expect(files[2]?.lines.slice(1, 4)).toEqual([
      { kind: "same", text: "a", before: 1, after: 1 },
      { kind: "removed", text: "b", before: 2 },
      { kind: "removed", text: "c", before: 3 },
    ]);
    expect(files[2]?.lines.at(-1)).toEqual({ kind: "note", text: "No newline at end of file" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a diff that was cut, or is none, shows what there is", () => {
  expect(parseDiff("not a diff\n@@ -1 +1 @@\n-x")).toEqual([]);
  const [file] = parseDiff("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n-a");
  expect(file).toMatchObject({ path: "x", removed: 1 });
});

test("an edit shows only what it changes, with a little around it", () => {
  expect(replacedLines("a\nb\nc\nd\ne", "a\nb\nX\nd\ne").map(({ kind, text }) => `${kind} ${text}`)).toEqual([
    "same a",
    "same b",
    "removed c",
    "added X",
    "same d",
    "same e",
  ]);
});
