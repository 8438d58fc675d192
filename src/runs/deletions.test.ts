import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../test/until.ts";
import { environmentSchema } from "../domain/environment.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { Log, TaskBelongings } from "../domain/ports.ts";
import type { Person } from "../domain/store/people.ts";
import type { Store } from "../domain/store.ts";
import { openDatabase } from "../store/database.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { createDeletions } from "./deletions.ts";
import { archiveTask, deleteTask, restoreTask, takeFromArchive } from "./put-away.ts";
import { addPrompt } from "./steer.ts";

let clock = 1_000_000;
const ids: IdSource = { now: () => clock++, randomBytes: (n) => randomBytes(n) };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ccw-deletions-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
const pathIn = (folder: string) => join(folder, "ccw.sqlite");

function openIn(folder: string): Store {
  const store = openStore(pathIn(folder), createSeal(new Uint8Array(32)), ids);
  closers.push(() => store.close());
  return store;
}

/** A task with something in every table, and files outside of them. */
function fullTask(store: Store, folder: string, person: Person, title = "doomed"): TaskId {
  const id = newId("TaskId", ids);
  const attachment = newId("AttachmentId", ids);
  store.attachments.add({
    id: attachment,
    name: "a.png",
    mediaType: "image/png",
    bytes: 3,
    person: person.id,
  });
  store.tasks.create({
    ...{ id, title, person, agent: "claude", model: "", repositories: [] },
    environment: environmentSchema.parse({ name: "default" }),
    prompt: { id: newId("PromptId", ids), text: title, attachments: [attachment] },
  });
  const sandboxId: SandboxId = newId("SandboxId", ids);
  store.tasks.claim({ owner: "me", until: 9e15 }, sandboxId, 100);
  store.sandboxes.appendCommand(sandboxId, { kind: "finish" });
  store.sandboxes.appendEvents(
    sandboxId,
    Array.from({ length: 30 }, (_, index) => ({
      n: index + 1,
      event: { kind: "assistant_text", blockId: `b${index}`, text: `${title} words` },
    })),
  );
  const meter = { inputTokens: 1, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0 };
  store.usage.record(
    {
      ...{ taskId: id, sandboxId, at: 1, model: "m", status: 200, firstByteMs: 1, totalMs: 2 },
      ...{ ...meter, promptId: undefined, costNano: 7, cacheWriteHourTokens: 0, webSearches: 0 },
    },
    "2026-01-02",
  );
  store.access.ask({ taskId: id, host: "a.example", port: 443, reason: "host-not-allowed" });
  store.snapshots.add({ taskId: id, promptId: newId("PromptId", ids), repositories: [], session: "" });
  store.tasks.move(id, { kind: "running", sandboxId });
  store.tasks.move(id, { kind: "idle", sandboxId, summary: "done", interrupted: false });
  mkdirSync(join(folder, "snapshots", id), { recursive: true });
  while (store.search.indexPortion());
  return id;
}

/** Rows that are left of a task, by table. */
function leftOf(folder: string, id: TaskId): Record<string, number> {
  const { db, close } = openDatabase(pathIn(folder));
  const tables = db.$client
    .query<{ name: string }, []>(
      "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'task_id'",
    )
    .all();
  const left: Record<string, number> = {};
  for (const [table, column] of [...tables.map(({ name }) => [name, "task_id"]), ["tasks", "id"]]) {
    const sql = `SELECT count(*) AS n FROM ${table} WHERE ${column} = ?`;
    const n = db.$client.query<{ n: number }, [string]>(sql).get(id)?.n ?? 0;
    if (n > 0) left[table ?? ""] = n;
  }
  const orphans = db.$client
    .query<{ n: number }, []>(
      "SELECT count(*) AS n FROM commands WHERE sandbox_id NOT IN (SELECT id FROM sandboxes)",
    )
    .get()?.n;
  if (orphans) left["commands"] = orphans;
  close();
  return left;
}

const quick = { roundMs: 20, rows: 4, pauseMs: 1 };
const logged: string[] = [];
const log: Log = {
  info() {},
  warn() {},
  error: (message, fields) => logged.push(`${message}: ${fields?.["reason"]}`),
};

function sweep(store: Store, folder: string, belongings?: TaskBelongings[], now: () => number = ids.now) {
  const own: TaskBelongings = {
    remove: (id) => rm(join(folder, "snapshots", id), { recursive: true, force: true }),
  };
  const deletions = createDeletions({ store, belongings: belongings ?? [own], log, now }, quick);
  closers.push(() => deletions.close());
  deletions.start();
  return deletions;
}

test("what is archived leaves the list and its sandbox, and comes back with a word", async () => {
  const folder = freshFolder();
  const store = openIn(folder);
  const ada = store.people.ensure("ada");
  const id = fullTask(store, folder, ada);
  sweep(store, folder);
  archiveTask(store, id);
  expect(store.tasks.list({ limit: 10 })).toEqual([]);
  expect(store.tasks.list({ limit: 10, shelf: "archived" }).map((task) => task.id)).toEqual([id]);
  expect(store.tasks.list({ limit: 10, shelf: "all" })).toHaveLength(1);
  expect(store.tasks.get(id)?.state.kind).toBe("completed");
  await until("its sandbox is ended", () => store.sandboxes.current(id) === undefined);
  expect(store.snapshots.list(id)).toHaveLength(1);
  takeFromArchive(store, id);
  expect(store.tasks.list({ limit: 10 })).toHaveLength(1);
  archiveTask(store, id);
  addPrompt(store, ids, id, ada, { text: "once more" });
  expect(store.tasks.list({ limit: 10 })[0]).toMatchObject({
    id,
    archivedAt: undefined,
    state: { kind: "queued" },
  });
  expect(() => archiveTask(store, id)).toThrow(/only one that rests/);
});

test("a deleted task is gone at once, can be restored for a while, and is then removed with all that belongs to it", async () => {
  const folder = freshFolder();
  const store = openIn(folder);
  const ada = store.people.ensure("ada");
  const kept = fullTask(store, folder, ada, "spared");
  const id = fullTask(store, folder, ada);
  const spared = leftOf(folder, kept);
  let now = ids.now();
  sweep(store, folder, undefined, () => now);

  deleteTask(store, id, now + 1000);
  expect(store.tasks.get(id)).toBeUndefined();
  expect(store.tasks.list({ limit: 10, shelf: "all" }).map((task) => task.id)).toEqual([kept]);
  expect(store.tasks.list({ limit: 10, shelf: "deleted" }).map((task) => task.id)).toEqual([id]);
  expect(store.search.find({ text: "doomed", limit: 10 }).results).toEqual([]);
  expect(() => addPrompt(store, ids, id, ada, { text: "hello" })).toThrow(/There is no task/);
  await Bun.sleep(60);
  restoreTask(store, id, now);
  expect(store.tasks.get(id)?.deletion).toBeUndefined();
  expect(store.search.find({ text: "doomed", limit: 10 }).results).toHaveLength(1);
  expect(() => restoreTask(store, id, now)).toThrow(/nothing to restore/);

  deleteTask(store, id, now + 1000);
  now += 2000;
  expect(() => restoreTask(store, id, now)).toThrow(/cannot be restored any more/);
  await until("it is removed", () => store.deletions.get(id) === undefined);
  expect(leftOf(folder, id)).toEqual({ usage_days: 1 });
  expect(existsSync(join(folder, "snapshots", id))).toBe(false);
  expect(leftOf(folder, kept)).toMatchObject({
    events: spared["events"],
    search_entries: spared["search_entries"],
  });
  expect(existsSync(join(folder, "snapshots", kept))).toBe(true);
  // What was used was used.
  expect(store.usage.total({ personId: ada.id }).costNano).toBe(14);
  expect(logged).toEqual([]);
});

test("a server that dies in the middle of a removal leaves the rest to the next one", async () => {
  const folder = freshFolder();
  const store = openIn(folder);
  const id = fullTask(store, folder, store.people.ensure("ada"));
  const all = leftOf(folder, id);
  const first = sweep(store, folder);
  deleteTask(store, id, 0);
  await until("some of it is gone", () => !existsSync(join(folder, "snapshots", id)));
  await first.close();
  const half = leftOf(folder, id);
  expect(half["tasks"]).toBe(1);
  expect(half["events"]).toBeGreaterThanOrEqual(all["events"] as number);

  // Between two portions and in the middle of one, as a kill would have it.
  store.deletions.removePortion(id, 4);
  expect(() =>
    store.atomically(() => {
      store.deletions.removePortion(id, 4);
      throw new Error("killed");
    }),
  ).toThrow("killed");
  store.close();
  const next = openIn(folder);
  sweep(next, folder);
  await until("it is removed", () => next.deletions.get(id) === undefined);
  expect(leftOf(folder, id)).toEqual({ usage_days: 1 });
});

test("what cannot be removed is tried again, and nothing behind it waits", async () => {
  const folder = freshFolder();
  const store = openIn(folder);
  const ada = store.people.ensure("ada");
  const stuck = fullTask(store, folder, ada, "stuck");
  const easy = fullTask(store, folder, ada, "easy");
  let tries = 0;
  const belongings: TaskBelongings[] = [
    {
      remove: async (id) => {
        if (id === stuck && ++tries < 3) throw new Error("the disk is busy");
      },
    },
  ];
  deleteTask(store, stuck, 0);
  deleteTask(store, easy, 0);
  sweep(store, folder, belongings);
  await until("the easy one is removed", () => store.deletions.get(easy) === undefined);
  await until("the other one too", () => store.deletions.get(stuck) === undefined);
  expect(tries).toBe(3);
  expect(logged.splice(0)[0]).toContain("the disk is busy");
});

test("work that another task is still to begin with is not removed", async () => {
  const folder = freshFolder();
  const store = openIn(folder);
  const ada = store.people.ensure("ada");
  const origin = fullTask(store, folder, ada, "origin");
  const fork = fullTask(store, folder, ada, "fork");
  store.tasks.update(fork, { restore: { taskId: origin, turn: 1 } });
  deleteTask(store, origin, 0);
  sweep(store, folder);
  await Bun.sleep(80);
  expect(store.deletions.get(origin)).toBeDefined();
  store.tasks.update(fork, { restore: undefined });
  await until("it is removed", () => store.deletions.get(origin) === undefined);
});

test("a task that works, or waits to, is neither archived nor deleted; one that is paused does not go on by itself", () => {
  const folder = freshFolder();
  const store = openIn(folder);
  const id = newId("TaskId", ids);
  store.tasks.create({
    ...{ id, title: "t", person: store.people.ensure("ada"), agent: "claude", model: "", repositories: [] },
    environment: environmentSchema.parse({ name: "default" }),
    prompt: { id: newId("PromptId", ids), text: "t" },
  });
  expect(() => deleteTask(store, id, 0)).toThrow(/is queued: only one that rests/);
  store.tasks.move(id, { kind: "paused", why: "usage_limit", reason: "r", hint: "", until: 5 });
  expect(store.tasks.duePauses(10)).toEqual([id]);
  archiveTask(store, id);
  expect(store.tasks.duePauses(10)).toEqual([]);
  takeFromArchive(store, id);
  deleteTask(store, id, 9e15);
  expect(store.tasks.duePauses(10)).toEqual([]);
});
