import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { environmentSchema } from "../domain/environment.ts";
import type { GuestEvent } from "../domain/event.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import { sessionStartSchema } from "../domain/session.ts";
import type { Store } from "../domain/store.ts";
import { createSnapshotWorld, type SnapshotWorld } from "../forge/snapshots.fixture.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { forkTask } from "./fork-task.ts";
import { expireSnapshots } from "./snapshot-expiry.ts";
import { diffOfTurn, turnsOf } from "./snapshot-turns.ts";
import { recordSnapshot, restoreOf, rollBack } from "./snapshots.ts";

/** A real store and real git; what the sandbox says is written as its guest's events. */

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);

let now = Date.now();
const ids: IdSource = { now: () => ++now, randomBytes: (count) => randomBytes(count) };
let world: SnapshotWorld;
let store: Store;
let context: { store: Store; snapshots: SnapshotWorld["snapshots"]; ids: IdSource };

beforeAll(async () => {
  world = await createSnapshotWorld({ "README.md": "hello\n", "src/a.ts": "a\n" });
});
afterAll(() => world.close());
beforeEach(() => {
  store = openStore(":memory:", createSeal(new Uint8Array(32)), ids);
  store.environments.save(environmentSchema.parse({ name: "default" }));
  const push = { force: false, delete: false };
  store.repositories.add({ name: "demo", kind: "hosted", defaultBranch: "main", createdAt: 1, push });
  context = { store, snapshots: world.snapshots, ids };
});

const ann = () => store.people.ensure("ann");

/** A task that runs, with its sandbox. */
function running(repositories = ["demo"]): { id: TaskId; sandbox: SandboxId } {
  const id = newId("TaskId", ids);
  store.tasks.create({
    ...{ id, title: "Work", person: ann(), agent: "claude", model: "m1" },
    environment: environmentSchema.parse({ name: "default" }),
    repositories: repositories.map((name) => ({ name, baseBranch: "main", workBranch: "claude/work" })),
    prompt: { id: newId("PromptId", ids), text: "Do it\nwith care" },
  });
  return begin(id);
}
function begin(id: TaskId): { id: TaskId; sandbox: SandboxId } {
  const sandbox = newId("SandboxId", ids);
  store.tasks.move(id, { kind: "starting", sandboxId: sandbox });
  store.sandboxes.create(sandbox, id);
  store.tasks.move(id, { kind: "running", sandboxId: sandbox });
  const first = store.prompts.nextQueued(id);
  if (first !== undefined) store.prompts.mark(first.id, "taken");
  return { id, sandbox };
}
type SnapshotEvent = Extract<GuestEvent, { kind: "snapshot" }>;
function tell({ id, sandbox }: ReturnType<typeof running>, change: Partial<SnapshotEvent>): boolean {
  const promptId = store.prompts.list(id).findLast(({ state }) => state !== "queued")?.id ?? "";
  return recordSnapshot(store, id, sandbox, {
    ...{ kind: "snapshot", promptId, repositories: [], session: "", ms: 5 },
    ...change,
  });
}
function prompt({ id }: ReturnType<typeof running>, text: string): void {
  store.prompts.add({ id: newId("PromptId", ids), taskId: id, person: ann(), text });
  const next = store.prompts.nextQueued(id);
  if (next !== undefined) store.prompts.mark(next.id, "taken");
}
function idle({ id, sandbox }: ReturnType<typeof running>): void {
  store.tasks.move(id, { kind: "idle", sandboxId: sandbox, summary: "Done", interrupted: false });
}
const taskOf = (id: TaskId) => {
  const task = store.tasks.get(id);
  if (task === undefined) throw new Error("no task");
  return task;
};
/** Two turns, with the conversation after each; idle. */
async function twoTurns() {
  const task = running();
  const first = await world.take(task.id, { "src/a.ts": "a, once\n", "new.txt": "new\n" });
  const talk = await world.takeSession(task.id, "turn 1\n");
  tell(task, { repositories: [first], session: talk });
  prompt(task, "And again");
  const second = await world.take(task.id, { "src/a.ts": "a, twice\n", "new.txt": undefined });
  tell(task, { repositories: [second], session: await world.takeSession(task.id, "turn 2\n") });
  idle(task);
  return { ...task, first, second, talk };
}

test("what a sandbox says of a snapshot is taken only where it can be one of its own task's turns", async () => {
  const task = running();
  const other = running();
  const taken = await world.take(task.id, { "new.txt": "x\n" });
  const repositories = [taken];
  const othersPrompt = store.prompts.list(other.id)[0]?.id ?? "";
  expect(tell(task, { promptId: othersPrompt, repositories })).toBe(false);
  expect(tell(task, { promptId: "prm_made_up", repositories })).toBe(false);
  expect(tell(task, { repositories: [] })).toBe(false);
  expect(tell(task, { repositories: [taken, taken] })).toBe(false);
  store.prompts.add({ id: newId("PromptId", ids), taskId: task.id, person: ann(), text: "Later" });
  const waiting = store.prompts.nextQueued(task.id)?.id ?? "";
  expect(tell(task, { promptId: waiting, repositories })).toBe(false);
  expect(tell({ id: task.id, sandbox: other.sandbox }, { repositories })).toBe(false);
  expect(store.snapshots.list(task.id)).toEqual([]);
  for (let n = 0; n < 5; n++) expect(tell(task, { repositories })).toBe(true);
  expect(tell(task, { repositories })).toBe(false);
  store.sandboxes.update(task.sandbox, { endedAt: ids.now() });
  expect(tell(task, { repositories })).toBe(false);
});

test("what there was no room for at a turn's end is added to that turn", async () => {
  const task = running();
  const taken = await world.take(task.id, { "new.txt": "kept\n" });
  const session = await world.takeSession(task.id, "talk\n");
  tell(task, { repositories: [null], session });
  expect(tell(task, { repositories: [taken], session: "" })).toBe(true);
  expect(store.snapshots.list(task.id)).toMatchObject([{ turn: 1, repositories: [taken], session }]);
});

test("a new sandbox begins with the last snapshot; commits that are not there are not spoken of", async () => {
  const task = running();
  expect(await restoreOf(store, world.snapshots, taskOf(task.id))).toBeUndefined();
  const taken = await world.take(task.id, { "new.txt": "kept\n" });
  const session = await world.takeSession(task.id, "talk\n");
  tell(task, { repositories: [taken], session });
  expect(await restoreOf(store, world.snapshots, taskOf(task.id))).toEqual({
    ...{ title: "turn 1", session },
    repositories: [taken],
  });
  // Another task's commit, a made-up one, and one of which nothing could be taken.
  const others = await world.take(running().id, { "new.txt": "of another task\n" });
  for (const each of [others, { commit: "1".repeat(40), head: taken.head }, null]) {
    prompt(task, "more");
    tell(task, { repositories: [each], session: "2".repeat(40) });
    expect(await restoreOf(store, world.snapshots, taskOf(task.id))).toMatchObject({ title: "turn 1" });
  }
  // The files could be taken, the conversation not.
  prompt(task, "and more");
  tell(task, { repositories: [taken], session: "" });
  expect(await restoreOf(store, world.snapshots, taskOf(task.id))).toEqual({
    ...{ title: "turn 5", repositories: [taken] },
  });
  // The conversation could be taken, the files not; as the sandbox gets it.
  prompt(task, "and more still");
  tell(task, { repositories: [null], session });
  const sent = JSON.parse(JSON.stringify(await restoreOf(store, world.snapshots, taskOf(task.id))));
  expect(sessionStartSchema.shape.restore.parse(sent)).toEqual({
    ...{ title: "turn 6", repositories: [null], session },
  });
});

test("a task that is idle is rolled back: its sandbox is given up, and the next one begins with that turn", async () => {
  const { id, sandbox, first, talk } = await twoTurns();
  await rollBack(context, id, ann(), 1);
  expect(store.tasks.stateOf(id)).toEqual({ kind: "completed", summary: "Done" });
  expect(store.sandboxes.current(id)).toBeUndefined();
  expect(store.sandboxes.get(sandbox)?.endedAt).toBeNumber();
  expect(store.events.last(id, "rolled_back")?.body).toMatchObject({ person: "ann", turn: 1 });
  expect(await restoreOf(store, world.snapshots, taskOf(id))).toEqual({
    ...{ title: "turn 1", repositories: [first], session: talk },
  });

  // The next turn goes on from there, and is what a sandbox after it begins with.
  const next = newId("SandboxId", ids);
  store.tasks.reopen(id);
  store.tasks.move(id, { kind: "starting", sandboxId: next });
  store.sandboxes.create(next, id);
  const task = { id, sandbox: next };
  prompt(task, "Another way");
  const third = await world.take(id, { "third.txt": "3\n", "new.txt": "new\n" });
  tell(task, { repositories: [third] });
  expect(taskOf(id).restore).toBeUndefined();
  expect(await restoreOf(store, world.snapshots, taskOf(id))).toMatchObject({ title: "turn 3" });
  expect(await turnsOf(context, id)).toMatchObject([
    { turn: 1, prompt: "Do it", previous: undefined, files: 2, kept: true },
    { turn: 2, prompt: "And again", previous: 1, files: 2 },
    { turn: 3, prompt: "Another way", previous: 1, files: 2 },
  ]);
});

test("no task is rolled back while its agent works, nor to a turn that it does not have", async () => {
  const task = running();
  tell(task, { repositories: [await world.take(task.id, { "new.txt": "y\n" })] });
  await expect(rollBack(context, task.id, ann(), 1)).rejects.toThrow("is running");
  idle(task);
  await expect(rollBack(context, task.id, ann(), 2)).rejects.toThrow("no snapshot of a turn 2");
  const made = newId("TaskId", ids);
  await expect(rollBack(context, made, ann(), 1)).rejects.toThrow("no task");
  await world.snapshots.remove(task.id);
  await expect(rollBack(context, task.id, ann(), 1)).rejects.toThrow("not have the snapshot");
  expect(store.tasks.stateOf(task.id)?.kind).toBe("idle");
});

test("a fork has the other task's commits for itself, and begins with them on a branch of its own", async () => {
  const { id, first, talk, second } = await twoTurns();
  const input = { turn: 1, prompt: "Try it otherwise", attachments: [], pullRequest: "none" as const };
  const fork = await forkTask(context, id, ann(), input);
  expect(fork).toMatchObject({ title: "Try it otherwise", model: "m1", environment: "default" });
  expect(fork.state.kind).toBe("queued");
  expect(fork.repositories[0]?.workBranch).toStartWith("claude/try-it-otherwise");
  // The first is gone, with all that it had.
  await world.snapshots.remove(id);
  expect(await restoreOf(store, world.snapshots, fork)).toEqual({
    ...{ title: `turn 1 of ${id}`, repositories: [first], session: talk },
  });
  // What came after that turn did not come along.
  const path = join(world.folder, "snapshots", fork.id, "0.git");
  expect(await world.git(path, "rev-list", "--all")).not.toContain(second.commit);
  expect(await world.git(path, "fsck", "--connectivity-only")).toBe("");
});

test("the turns of a fork are compared with what it was forked from", async () => {
  const { id } = await twoTurns();
  const input = { turn: 2, prompt: "Go on", attachments: [], pullRequest: "none" as const };
  const { id: fork } = await forkTask(context, id, ann(), input);
  const event = store.events.last(fork, "forked")?.body;
  expect(event).toMatchObject({ person: "ann", taskId: id, turn: 2 });
  const task = begin(fork);
  tell(task, { repositories: [await world.take(fork, { "b.txt": "b\n" })] });
  const [turn, ...more] = await turnsOf(context, fork);
  expect(turn).toMatchObject({ turn: 1, previous: 0, files: 1, kept: true });
  expect(more).toEqual([]);
  const limits = { maxPatchBytes: 1_000_000 };
  const [since] = await diffOfTurn(context, { taskId: fork, turn: 1, from: 0 }, limits);
  expect(since?.diff).toContain("+b\n");
  expect(since?.diff).not.toContain("twice");
  const [all] = await diffOfTurn(context, { taskId: fork, turn: 1, from: undefined }, limits);
  expect(all?.diff).toContain("+a, twice\n");
  await expect(diffOfTurn(context, { taskId: id, turn: 1, from: 0 }, limits)).rejects.toThrow("not forked");
});

test("a fork that cannot be made leaves nothing", async () => {
  const { id } = await twoTurns();
  const input = { prompt: "x", attachments: [], pullRequest: "none" as const };
  const before = world.snapshots.tasks();
  await expect(forkTask(context, id, ann(), { ...input, turn: 3 })).rejects.toThrow("turn 3");
  const attachments = [newId("AttachmentId", ids)];
  await expect(forkTask(context, id, ann(), { ...input, turn: 1, attachments })).rejects.toThrow();
  store.repositories.remove("demo");
  await expect(forkTask(context, id, ann(), { ...input, turn: 1 })).rejects.toThrow("not there any more");
  expect(world.snapshots.tasks()).toEqual(before);
});

test("any two turns are compared, and each with the base branch", async () => {
  const { id } = await twoTurns();
  const limits = { maxPatchBytes: 1_000_000 };
  const [base] = await diffOfTurn(context, { taskId: id, turn: 2, from: undefined }, limits);
  expect(base?.diff).toContain("-a\n+a, twice\n");
  expect(base?.diff).not.toContain("new.txt");
  const [back] = await diffOfTurn(context, { taskId: id, turn: 1, from: 2 }, limits);
  expect(back?.diff).toContain("-a, twice\n+a, once\n");
  expect(back?.diff).toContain("new.txt");
  const [cut] = await diffOfTurn(context, { taskId: id, turn: 2, from: 1 }, { maxPatchBytes: 60 });
  expect(cut).toMatchObject({ kept: true, truncated: true });
  await expect(diffOfTurn(context, { taskId: id, turn: 2, from: 9 }, limits)).rejects.toThrow("turn 9");
  await world.snapshots.remove(id);
  expect(await diffOfTurn(context, { taskId: id, turn: 2, from: 1 }, limits)).toEqual([
    { repository: "demo", kept: false, diff: "", truncated: false },
  ]);
});

test("what turns changed is told after their branch was merged, too", async () => {
  const task = running();
  await world.git(world.work, "checkout", "-qfB", "claude/merged", "main");
  for (const words of ["merged once\n", "merged twice\n"]) {
    await Bun.write(join(world.work, "src/a.ts"), words);
    await world.git(world.work, "commit", "-qam", words.trim());
    tell(task, { repositories: [await world.take(task.id, {})] });
    prompt(task, "And again");
  }
  await world.git(world.work, "checkout", "-qfB", "merging", "main");
  await Bun.write(join(world.work, "README.md"), "somebody else\n");
  await world.git(world.work, "commit", "-qam", "Somebody else");
  await world.git(world.work, "merge", "-q", "--no-ff", "-m", "Merge", "claude/merged");
  await world.git(world.work, "push", "-q", world.hosted, "merging:main");
  await world.git(world.work, "checkout", "-qf", "claude/work");
  const limits = { maxPatchBytes: 1_000_000 };
  for (const [turn, words] of [
    [1, "-a\n+merged once\n"],
    [2, "-a\n+merged twice\n"],
  ] as const) {
    const [base] = await diffOfTurn(context, { taskId: task.id, turn, from: undefined }, limits);
    expect(base?.diff).toContain(words);
    expect(base?.diff).not.toContain("README.md");
  }
  expect((await turnsOf(context, task.id)).map(({ files }) => files)).toEqual([1, 1]);
});

test("snapshots of a task that rests go after their time; a task that is awake, and 0 days, keep them", async () => {
  const resting = await twoTurns();
  await rollBack(context, resting.id, ann(), 1);
  const awake = await twoTurns();
  const later = (days: number) => () => now + days * 24 * 3_600_000;
  const log = { info() {}, warn() {}, error() {} };
  const expiry = { store, snapshots: world.snapshots, log };
  await expireSnapshots({ ...expiry, keepDays: 90, now: later(89) });
  await expireSnapshots({ ...expiry, keepDays: 0, now: later(1000) });
  expect(world.snapshots.tasks()).toContain(resting.id);
  await expireSnapshots({ ...expiry, keepDays: 90, now: later(91) });
  expect(world.snapshots.tasks()).not.toContain(resting.id);
  expect(world.snapshots.tasks()).toContain(awake.id);
  expect(existsSync(join(world.folder, "snapshots", resting.id))).toBe(false);
  expect((await turnsOf(context, resting.id))[0]).toMatchObject({ turn: 1, kept: false, files: undefined });
  expect(await restoreOf(store, world.snapshots, taskOf(resting.id))).toBeUndefined();
});
