import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestEvent } from "../domain/event.ts";
import type { SessionStart } from "../domain/session.ts";
import { createCommandRunner } from "./commands.ts";
import { writeGitConfig } from "./git-config.ts";
import { failure } from "./last-word.ts";
import { createProcesses } from "./processes.ts";
import { type Checkout, cloneCheckout, followAddress, placeCheckouts, publishWork } from "./workspace.ts";

let folder = "";
let env: Record<string, string> = {};
let events: GuestEvent[] = [];
const commands = createCommandRunner(createProcesses());

const start: SessionStart = {
  sandboxId: "sbx",
  taskId: "tsk",
  acked: 0,
  repositories: [
    {
      name: "ada/demo",
      url: "http://appliance/git/ada/demo.git",
      baseBranch: "main",
      workBranch: "claude/w",
    },
  ],
  author: { name: 'Ada "the \\ first"\nLovelace', email: "ada@example.org" },
  trailers: [],
  variables: {},
  setupScript: "",
  agent: { kind: "claude", model: "", sessionId: "" },
  tokens: { model: "m", git: "secret-git" },
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ccw-workspace-"));
  events = [];
  env = { PATH: process.env["PATH"] ?? "", HOME: folder, GIT_CONFIG_SYSTEM: join(folder, "gitconfig") };
  writeGitConfig(join(folder, "gitconfig"), start, { base: `file://${folder}` });
  mkdirSync(join(folder, "ada"));
  await git("/", "init", "--quiet", "--bare", join(folder, "ada/demo.git"));
  await git("/", "init", "--quiet", join(folder, "seed"));
  writeFileSync(join(folder, "seed/file"), "one\n");
  await git(join(folder, "seed"), "add", ".");
  await git(join(folder, "seed"), "commit", "--quiet", "--message", "First");
  await git(join(folder, "seed"), "push", "--quiet", join(folder, "ada/demo.git"), "HEAD:main");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function git(cwd: string, ...args: string[]): Promise<string> {
  const { code, output } = await commands.run(["git", ...args], { cwd, env });
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${output}`);
  return output;
}

const { signal } = new AbortController();
const options = () => ({
  commands,
  env,
  signal,
  trailers: ["Task: http://appliance/tasks/1"],
  emit: async (event: GuestEvent) => void events.push(event),
});
const upstream = (...args: string[]) => git(join(folder, "ada/demo.git"), ...args);

async function clone(change: Partial<Checkout> = {}): Promise<Checkout> {
  const [placed] = placeCheckouts(join(folder, "work"), start.repositories);
  if (placed === undefined) throw new Error("no checkout");
  const checkout = { ...placed, ...change };
  await cloneCheckout(checkout, options(), async () => {});
  return checkout;
}
const publish = (checkout: Checkout) =>
  publishWork(checkout, options(), async () => {}, { url: join(folder, "kept.git"), hint: "" });

test("a clone stands on the work branch, and its remote reads as people see it", async () => {
  const checkout = await clone();
  expect(checkout.folder).toBe(join(folder, "work/demo"));
  expect(await git(checkout.folder, "branch", "--show-current")).toBe("claude/w");
  expect(await git(checkout.folder, "config", "remote.origin.url")).toBe("http://appliance/git/ada/demo.git");
});

test("the remote follows an appliance that answers elsewhere, and stays where the agent has put it", async () => {
  const checkout = await clone();
  const originOf = () => git(checkout.folder, "config", "remote.origin.url");
  const moved = { ...checkout, url: "https://elsewhere:8443/git/ada/demo.git" };
  await followAddress(moved, options());
  expect(await originOf()).toBe(moved.url);
  await git(checkout.folder, "remote", "set-url", "origin", "https://git.example/ada/demo.git");
  await followAddress(moved, options());
  expect(await originOf()).toBe("https://git.example/ada/demo.git");
});

test("the author reaches git whatever characters the name has", async () => {
  expect(await git("/", "config", "--system", "user.name")).toBe('Ada "the \\ first"\nLovelace');
});

test("settings that the image brought stay, and ours are written once", () => {
  const path = join(folder, "gitconfig2");
  writeFileSync(path, "[core]\n\tpager = less");
  writeGitConfig(path, start, { base: "http://127.0.0.1:3128/git" });
  writeGitConfig(path, start, { base: "http://127.0.0.1:3128/git" });
  const text = readFileSync(path, "utf8");
  expect(text).toStartWith("[core]\n\tpager = less\n#");
  expect(text.match(/insteadOf/g)?.length).toBe(2);
  expect(text).toContain(
    '[http "http://127.0.0.1:3128/"]\n\textraHeader = "Authorization: Bearer secret-git"',
  );
});

test("work that is left uncommitted, new files too, is committed past every hook and pushed", async () => {
  const checkout = await clone();
  writeFileSync(join(checkout.folder, "new file"), "two\n");
  for (const hook of ["pre-commit", "commit-msg", "prepare-commit-msg", "pre-push"]) {
    writeFileSync(join(checkout.folder, ".git/hooks", hook), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  }
  const published = await publish(checkout);
  expect(await upstream("show", "claude/w:new file")).toBe("two");
  expect(await upstream("log", "-1", "--format=%(trailers:unfold)", "claude/w")).toBe(
    "Task: http://appliance/tasks/1",
  );
  expect(published).toEqual({ kind: "pushed", commit: await upstream("rev-parse", "claude/w") });
  expect(await publish(checkout)).toEqual(published);
});

test("large files of Git LFS that the image knows nothing of stand in no push's way", async () => {
  const checkout = await clone();
  mkdirSync(join(checkout.folder, ".git/lfs/objects"), { recursive: true });
  mkdirSync(join(folder, "bin"));
  for (const program of ["git", "sh", "cat"])
    symlinkSync(Bun.which(program) ?? "", join(folder, "bin", program));
  env = { ...env, PATH: join(folder, "bin") };
  writeFileSync(join(checkout.folder, "file"), "two\n");
  expect((await publish(checkout)).kind).toBe("pushed");
});

test("with nothing changed nothing is pushed", async () => {
  expect(await publish(await clone())).toEqual({ kind: "nothing_new" });
  expect(await upstream("branch", "--list", "claude/w")).toBe("");
});

test("a work branch that is upstream already is gone on with", async () => {
  const first = await clone();
  writeFileSync(join(first.folder, "file"), "two\n");
  await publish(first);
  const second = await clone({ folder: join(folder, "again") });
  expect(readFileSync(join(second.folder, "file"), "utf8")).toBe("two\n");
});

test("commits on another branch that build on the work branch are the task's work", async () => {
  const checkout = await clone();
  await git(checkout.folder, "checkout", "--quiet", "-b", "fix");
  writeFileSync(join(checkout.folder, "file"), "two\n");
  await git(checkout.folder, "commit", "--quiet", "--all", "--message", "Fix");
  expect(await publish(checkout)).toMatchObject({ kind: "pushed" });
  expect(await upstream("log", "-1", "--format=%s", "claude/w")).toBe("Fix");
  expect(events).toMatchObject([{ kind: "notice", level: "info" }]);
});

test("commits that do not build on the work branch are not mixed into it, and the transcript says so", async () => {
  const checkout = await clone();
  await git(checkout.folder, "commit", "--quiet", "--allow-empty", "--message", "Here");
  await git(checkout.folder, "checkout", "--quiet", "-b", "other", "main");
  await git(checkout.folder, "commit", "--quiet", "--allow-empty", "--message", "There");
  await publish(checkout);
  expect(await upstream("log", "-1", "--format=%s", "claude/w")).toBe("Here");
  expect(events).toMatchObject([{ kind: "notice", level: "warning" }]);
});

test("a push that is refused throws with git's words", async () => {
  const checkout = await clone();
  writeFileSync(join(folder, "ada/demo.git/hooks/pre-receive"), "#!/bin/sh\necho not this branch\nexit 1\n", {
    mode: 0o755,
  });
  writeFileSync(join(checkout.folder, "file"), "two\n");
  await expect(publish(checkout)).rejects.toThrow("not this branch");
});

test("a full disk behind a push is told as one, and nothing is sent elsewhere", async () => {
  const checkout = await clone();
  await git("/", "init", "--quiet", "--bare", join(folder, "kept.git"));
  const full = "#!/bin/sh\necho 'error: file write error: No space left on device' >&2\nexit 1\n";
  writeFileSync(join(folder, "ada/demo.git/hooks/pre-receive"), full, { mode: 0o755 });
  writeFileSync(join(checkout.folder, "file"), "two\n");
  const thrown = await publish(checkout).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code: "no_space", message: expect.stringContaining("the disk is full") });
  expect(failure(thrown, () => {})).toMatchObject({ kind: "finished", outcome: "no_space" });
  expect(await git(join(folder, "kept.git"), "branch", "--list")).toBe("");
  rmSync(join(folder, "ada/demo.git/hooks/pre-receive"));
  expect((await publish(checkout)).kind).toBe("pushed");
});

test("two repositories of one last name get folders of their own", () => {
  const named = (name: string) => ({ name, url: "", baseBranch: "", workBranch: "" });
  expect(placeCheckouts("/workspace", [named("a/x"), named("b/x"), named("y")]).map((c) => c.folder)).toEqual(
    ["/workspace/x", "/workspace/b-x", "/workspace/y"],
  );
});
