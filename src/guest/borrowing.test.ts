import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestEvent } from "../domain/event.ts";
import type { SessionStart } from "../domain/session.ts";
import { createCommandRunner } from "./commands.ts";
import { writeGitConfig } from "./git-config.ts";
import { createProcesses } from "./processes.ts";
import { initSubmodules } from "./submodules.ts";
import { type Checkout, cloneCheckout, placeCheckouts } from "./workspace.ts";

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);

let folder = "";
let env: Record<string, string> = {};
let events: GuestEvent[] = [];
const commands = createCommandRunner(createProcesses());
const names = ["git.example/acme/widget", "git.example/acme/lib", "git.example/acme/deep"] as const;
const forge = (name: string) => join(folder, "door", `${name}.git`);
const { signal } = new AbortController();
const options = () => ({
  commands,
  env,
  signal,
  trailers: [],
  emit: async (event: GuestEvent) => void events.push(event),
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ccw-borrowing-"));
  events = [];
  env = { PATH: process.env["PATH"] ?? "", HOME: folder, GIT_CONFIG_SYSTEM: join(folder, "gitconfig") };
  for (const name of names) {
    await git("/", "init", "--quiet", "--bare", "--initial-branch=main", forge(name));
    const seed = join(folder, "seed", name);
    await git("/", "init", "--quiet", "--initial-branch=main", seed);
    writeFileSync(join(seed, "file"), `${name}\n${"x".repeat(10_000)}\n`);
    await save(name);
  }
  writeGitConfig(join(folder, "gitconfig"), start(), { base: `file://${folder}/door` });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(repositories: readonly string[] = names): SessionStart {
  return {
    ...{ sandboxId: "sbx", taskId: "tsk", acked: 0, variables: {}, setupScript: "", trailers: [] },
    repositories: repositories.map((name) => ({
      ...{
        name,
        url: `https://${name}.git`,
        objects: forge(name),
        baseBranch: "main",
        workBranch: "claude/w",
      },
    })),
    author: { name: "Ada", email: "ada@example.org" },
    agent: { kind: "claude", model: "", sessionId: "" },
    tokens: { model: "m", git: "secret-git" },
  };
}

async function git(cwd: string, ...args: string[]): Promise<string> {
  const identity = [
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.org",
    "-c",
    "protocol.file.allow=always",
  ];
  const { code, output } = await commands.run(["git", ...identity, ...args], { cwd, env });
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${output}`);
  return output;
}

async function save(name: string): Promise<void> {
  const seed = join(folder, "seed", name);
  await git(seed, "add", ".");
  await git(seed, "commit", "--quiet", "--message", "More");
  await git(seed, "push", "--quiet", forge(name), "HEAD:main");
}

async function clone(objects = join(folder, "mirror")): Promise<Checkout> {
  const [placed] = placeCheckouts(join(folder, "work"), start().repositories);
  if (placed === undefined) throw new Error("no checkout");
  const checkout = { ...placed, objects };
  await cloneCheckout(checkout, options(), async () => {});
  return checkout;
}
const mirror = () =>
  git("/", "clone", "--quiet", "--mirror", `file://${forge(names[0])}`, join(folder, "mirror"));
const ownObjects = async (cwd: string) =>
  Number(/in-pack: (\d+)/.exec(await git(cwd, "count-objects", "-v"))?.[1]) +
  Number(/^count: (\d+)/m.exec(await git(cwd, "count-objects", "-v"))?.[1]);

test("a clone borrows the objects, has the whole history, and git works as usual", async () => {
  await mirror();
  const { folder: checkout } = await clone();
  expect(await ownObjects(checkout)).toBe(0);
  expect(await git(checkout, "status", "--porcelain", "--branch")).toBe("## claude/w");
  writeFileSync(join(checkout, "mine"), "mine\n");
  await git(checkout, "add", ".");
  await git(checkout, "commit", "--quiet", "--message", "Mine");
  await git(checkout, "gc", "--quiet", "--prune=now");
  // What is lent stays where it is.
  expect(await ownObjects(checkout)).toBe(3);
  await git(checkout, "fsck", "--full");
  expect(await git(checkout, "log", "--format=%s")).toBe("Mine\nMore");
  expect(await git(checkout, "blame", "-s", "--", "mine")).toContain("mine");
  expect(events).toEqual([]);
});

for (const [what, spoil] of [
  ["are not there", () => rmSync(join(folder, "mirror"), { recursive: true })],
  [
    "are an empty folder, as an engine makes it of a path that is gone",
    () => {
      rmSync(join(folder, "mirror"), { recursive: true });
      mkdirSync(join(folder, "mirror"));
    },
  ],
  [
    "are damaged",
    () => {
      const packs = join(folder, "mirror/objects/pack");
      for (const name of readdirSync(packs)) if (name.endsWith(".pack")) truncateSync(join(packs, name), 100);
    },
  ],
] as const) {
  test(`where the objects ${what}, all is fetched, and the transcript says so`, async () => {
    await mirror();
    spoil();
    const { folder: checkout } = await clone();
    expect(readFileSync(join(checkout, "file"), "utf8")).toStartWith(names[0]);
    await git(checkout, "fsck", "--full");
    expect(events).toMatchObject([
      { kind: "notice", level: "warning", text: expect.stringContaining("fetched instead") },
    ]);
  });
}

test("a branch that is missing is said at once, borrowed or not", async () => {
  await mirror();
  const [placed] = placeCheckouts(join(folder, "work"), start().repositories);
  if (placed === undefined) throw new Error("no checkout");
  const checkout = { ...placed, objects: join(folder, "mirror"), baseBranch: "none" };
  await expect(cloneCheckout(checkout, options(), async () => {})).rejects.toThrow("no branch none");
  expect(events).toEqual([]);
});

test("every form of address that people use for a repository leads to the door, and no other repository's does", async () => {
  const door = `file://${folder}/door/git.example/acme/widget.git`;
  const goes = async (address: string) => git("/", "ls-remote", "--get-url", address);
  for (const address of [
    "https://git.example/acme/widget.git",
    "https://git.example/acme/widget",
    "git@git.example:acme/widget.git",
    "git@git.example:acme/widget",
    "ssh://git@git.example/acme/widget.git",
    "ssh://git@git.example/acme/widget",
    "git://git.example/acme/widget.git",
  ])
    expect(await goes(address)).toBe(door);
  for (const address of ["https://git.example/acme/widget/", "https://git.example/acme/widget.git/"])
    expect(await goes(address)).toBe(`${door}/`);
  for (const address of [
    "https://git.example/acme/widget-other",
    "https://git.example/acme/widgets.git",
    "https://git.example/acme/widget.js",
    "https://git.example/acme/widget.github.io.git",
    "https://git.example/acme/widge",
    "https://git.example.org/acme/widget.git",
  ])
    expect(await goes(address)).toBe(address);
  expect(await goes("https://git.example/acme/lib")).toBe(`file://${folder}/door/git.example/acme/lib.git`);
});

test("a repository that was renamed on its forge is reached by both names", async () => {
  const [first] = start().repositories;
  if (first === undefined) throw new Error("no repository");
  const renamed = { ...start(), repositories: [{ ...first, url: "https://git.example/acme/gadget.git" }] };
  writeGitConfig(join(folder, "gitconfig"), renamed, { base: "http://door/git" });
  for (const name of ["widget", "gadget"])
    expect(await git("/", "ls-remote", "--get-url", `https://git.example/acme/${name}.git`)).toBe(
      "http://door/git/git.example/acme/widget.git",
    );
});

test("submodules that the task may read are there, nested ones too, and others are named", async () => {
  // As for http, which needs no leave.
  writeFileSync(
    join(folder, "gitconfig"),
    `${readFileSync(join(folder, "gitconfig"), "utf8")}\n[protocol "file"]\n\tallow = always\n`,
  );
  const [widget, lib, deep] = names;
  await git(
    join(folder, "seed", lib),
    "submodule",
    "add",
    "--quiet",
    `git@git.example:acme/deep.git`,
    "deep",
  );
  await save(lib);
  await git(join(folder, "seed", widget), "remote", "add", "origin", `https://${widget}.git`);
  await git(join(folder, "seed", widget), "submodule", "add", "--quiet", "../lib.git", "vendor/lib");
  const modules = join(folder, "seed", widget, ".gitmodules");
  const foreign = '[submodule "x"]\n\tpath = vendor/x\n\turl = https://elsewhere.example/x.git\n';
  writeFileSync(modules, readFileSync(modules, "utf8") + foreign);
  await save(widget);
  const checkout = await clone(forge(widget));
  await initSubmodules(checkout, start().repositories, options());
  expect(readFileSync(join(checkout.folder, "vendor/lib/file"), "utf8")).toStartWith(lib);
  expect(readFileSync(join(checkout.folder, "vendor/lib/deep/file"), "utf8")).toStartWith(deep);
  expect(existsSync(join(checkout.folder, ".git/modules/vendor/lib/objects/info/alternates"))).toBe(true);
  expect(await git(checkout.folder, "status", "--porcelain")).toBe("");
  expect(events).toEqual([
    {
      kind: "notice",
      level: "info",
      text: expect.stringContaining("stay empty: vendor/x (https://elsewhere.example/x.git). Add them"),
    },
  ]);
});

test("git clone --recurse-submodules works by itself, too", async () => {
  const [widget, lib] = names;
  await git(join(folder, "seed", widget), "remote", "add", "origin", `https://${widget}.git`);
  await git(join(folder, "seed", widget), "submodule", "add", "--quiet", "../lib.git", "vendor/lib");
  await save(widget);
  await git(folder, "clone", "--quiet", "--recurse-submodules", `https://${widget}`, "mine");
  expect(readFileSync(join(folder, "mine/vendor/lib/file"), "utf8")).toStartWith(lib);
});
