import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environmentSchema } from "../domain/environment.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { Store } from "../domain/store.ts";
import { migrate, openDatabase } from "./database.ts";
import { migrations } from "./migrations.ts";
import { createSeal, loadSealKey } from "./seal.ts";
import { openStore } from "./store.ts";

let clock = 1_000_000;
const ids: IdSource = { now: () => clock++, randomBytes: (n) => randomBytes(n) };
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

function freshStore(path = ":memory:"): Store {
  const store = openStore(path, createSeal(new Uint8Array(32)), ids);
  closers.push(() => store.close());
  return store;
}

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ccw-store-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function submit(store: Store, person: string, text = "do it"): TaskId {
  const id = newId("TaskId", ids);
  store.tasks.create({
    id,
    title: text,
    person: store.people.ensure(person),
    environment: environmentSchema.parse({ name: "default", variables: { SECRET: "s3cret-value" } }),
    agent: "claude",
    model: "",
    repositories: [],
    prompt: { id: newId("PromptId", ids), text },
  });
  return id;
}

const lease = { owner: "me", until: 9e15 };
const claim = (store: Store, limit = 10) => store.tasks.claim(lease, newId("SandboxId", ids), limit);

function runningTask(store: Store): { taskId: TaskId; sandboxId: SandboxId } {
  const taskId = submit(store, "ada");
  const sandboxId = newId("SandboxId", ids);
  store.tasks.claim(lease, sandboxId, 10);
  return { taskId, sandboxId };
}
const note = (text: string) => ({ kind: "notice", level: "info", text }) as const;

test("people take turns, however many tasks one of them submits", () => {
  const store = freshStore();
  const flood = [1, 2, 3].map(() => submit(store, "flood"));
  const late = submit(store, "late");
  expect(store.tasks.get(late)?.queuePosition).toBe(2);
  expect([claim(store), claim(store), claim(store), claim(store)].map((task) => task?.id)).toEqual([
    flood[0],
    late,
    flood[1],
    flood[2],
  ] as TaskId[]);
});

test("no more tasks are claimed than may run", () => {
  const store = freshStore();
  submit(store, "ada");
  submit(store, "ada");
  expect(claim(store, 1)).toBeDefined();
  expect(claim(store, 1)).toBeUndefined();
});

test("an expired lease is taken up again, a live one is not", () => {
  const store = freshStore();
  const id = submit(store, "ada");
  store.tasks.claim({ owner: "a", until: ids.now() + 1000 }, newId("SandboxId", ids), 10);
  const mine = { owner: "b", until: 9e15 };
  expect(store.tasks.takeUp(mine, false)).toEqual([]);
  clock += 2000;
  expect(store.tasks.takeUp(mine, false).map((task) => task.id)).toEqual([id]);
  expect(store.tasks.takeUp(mine, true)).toEqual([]);
});

test("only legal moves are written", () => {
  const store = freshStore();
  const id = submit(store, "ada");
  expect(() => store.tasks.move(id, { kind: "completed", summary: "" })).toThrow("cannot become completed");
  store.tasks.move(id, { kind: "cancelled", by: "ada" });
  expect(() => store.tasks.move(id, { kind: "running", sandboxId: newId("SandboxId", ids) })).toThrow(
    "A task that is cancelled cannot become running",
  );
  expect(store.tasks.get(id)?.state).toEqual({ kind: "cancelled", by: "ada" });
});

test("guest events are held once, in order and without gaps", () => {
  const store = freshStore();
  const { taskId, sandboxId } = runningTask(store);
  const before = store.events.after(taskId, 0, 100).length;
  expect(
    store.sandboxes.appendEvents(
      sandboxId,
      [1, 2].map((n) => ({ n, event: note(`${n}`) })),
    ),
  ).toBe(2);
  expect(
    store.sandboxes.appendEvents(
      sandboxId,
      [1, 2, 3].map((n) => ({ n, event: note(`${n}`) })),
    ),
  ).toBe(3);
  expect(() => store.sandboxes.appendEvents(sandboxId, [{ n: 9, event: note("9") }])).toThrow(
    "Event 9 cannot follow event 3",
  );
  expect(
    store.events
      .after(taskId, 0, 100)
      .slice(before)
      .map((event) => event.body),
  ).toEqual(["1", "2", "3"].map(note));
});

test("events are read in portions that fit into memory, and none is left out", () => {
  const store = freshStore();
  const { taskId, sandboxId } = runningTask(store);
  const before = store.events.after(taskId, 0, 100).at(-1)?.seq ?? 0;
  const long = Array.from({ length: 30 }, (_, i) => ({ n: i + 1, event: note("x".repeat(200 * 1024)) }));
  store.sandboxes.appendEvents(sandboxId, long);
  const first = store.events.after(taskId, before, 500);
  expect(first.length).toBeGreaterThan(5);
  expect(first.length).toBeLessThan(15);
  let [cursor, read] = [before, 0];
  for (let page = first; page.length > 0; page = store.events.after(taskId, cursor, 500)) {
    cursor = page.at(-1)?.seq ?? cursor;
    read += page.length;
  }
  expect(read).toBe(30);
});

test("a transcript is read backwards from its end, in portions too, and none is left out", () => {
  const store = freshStore();
  const { taskId, sandboxId } = runningTask(store);
  const other = runningTask(store);
  const long = Array.from({ length: 30 }, (_, i) => ({ n: i + 1, event: note(`${i}`.repeat(100 * 1024)) }));
  store.sandboxes.appendEvents(sandboxId, long);
  store.sandboxes.appendEvents(other.sandboxId, [{ n: 1, event: note("of another") }]);
  const forwards = [];
  for (let page = store.events.after(taskId, 0, 7); page.length > 0; ) {
    forwards.push(...page);
    page = store.events.after(taskId, forwards.at(-1)?.seq ?? 0, 7);
  }
  expect(forwards.length).toBeGreaterThan(30);
  const backwards = [];
  for (let page = store.events.before(taskId, 9e15, 20); page.length > 0; ) {
    expect(page.length).toBeLessThan(15);
    backwards.unshift(...page);
    page = store.events.before(taskId, backwards[0]?.seq ?? 0, 20);
  }
  expect(backwards).toEqual(forwards);
  expect(store.events.before(taskId, 9e15, 1)).toEqual(forwards.slice(-1));
});

test("one event that is longer than a portion is read alone", () => {
  const store = freshStore();
  const { taskId, sandboxId } = runningTask(store);
  const seen = store.events.after(taskId, 0, 100).at(-1)?.seq ?? 0;
  const raw = "x".repeat(3 * 1024 * 1024);
  store.sandboxes.appendEvents(sandboxId, [
    { n: 1, event: { kind: "unknown", raw } },
    { n: 2, event: note("short") },
  ]);
  expect(store.events.after(taskId, seen, 100).map(({ body }) => body.kind)).toEqual(["unknown"]);
});

test("a batch with a gap in it leaves nothing behind", () => {
  const store = freshStore();
  const { taskId, sandboxId } = runningTask(store);
  const before = store.events.after(taskId, 0, 100).length;
  expect(() =>
    store.sandboxes.appendEvents(sandboxId, [
      { n: 1, event: note("1") },
      { n: 3, event: note("3") },
    ]),
  ).toThrow();
  expect(store.events.after(taskId, 0, 100).length).toBe(before);
});

test("watchers are woken after the commit and not by what was rolled back", () => {
  const store = freshStore();
  const { taskId } = runningTask(store);
  const seen: number[] = [];
  store.wakes.on(taskId, () => seen.push(store.events.after(taskId, 0, 100).length));
  const before = store.events.after(taskId, 0, 100).length;
  store.atomically(() => {
    store.events.append(taskId, { kind: "appliance_notice", level: "info", text: "a" });
    store.events.append(taskId, { kind: "appliance_notice", level: "info", text: "b" });
    expect(seen).toEqual([]);
  });
  expect(seen).toEqual([before + 2]);
  expect(() =>
    store.atomically(() => {
      store.events.append(taskId, { kind: "appliance_notice", level: "info", text: "c" });
      throw new Error("no");
    }),
  ).toThrow("no");
  expect(seen).toEqual([before + 2]);
  expect(store.events.after(taskId, 0, 100).length).toBe(before + 2);
});

test("commands are numbered from 1 for each sandbox", () => {
  const store = freshStore();
  const { sandboxId } = runningTask(store);
  store.sandboxes.appendCommand(sandboxId, { kind: "interrupt" });
  store.sandboxes.appendCommand(sandboxId, { kind: "finish" });
  expect(store.sandboxes.commandsAfter(sandboxId, 1, 10)).toEqual([{ n: 2, command: { kind: "finish" } }]);
});

test("a sign-in link works once, and an expired token not at all", () => {
  const store = freshStore();
  const person = store.people.ensure("ada").id;
  const link = store.tokens.create({ kind: "link", name: "sign-in", person });
  expect(store.tokens.use(link)?.person.name).toBe("ada");
  expect(store.tokens.use(link)).toBeUndefined();
  const short = store.tokens.create({ kind: "api", name: "short", person, expiresAt: ids.now() + 10 });
  clock += 100;
  expect(store.tokens.find(short)).toBeUndefined();
});

test("neither variables nor tokens stand readable in the database file", async () => {
  const path = join(freshFolder(), "ccw.sqlite");
  const store = openStore(path, createSeal(new Uint8Array(32)), ids);
  const id = submit(store, "ada");
  store.settings.set("model", "sk-very-secret");
  const token = store.tokens.create({ kind: "api", name: "cli", person: store.people.ensure("ada").id });
  expect(store.tasks.environmentOf(id).variables).toEqual({ SECRET: "s3cret-value" });
  store.close();
  const bytes = await Bun.file(path).text();
  for (const secret of ["s3cret-value", "sk-very-secret", token]) expect(bytes).not.toContain(secret);
});

test("the database is readable by its owner alone, its side files too", () => {
  const folder = freshFolder();
  const store = freshStore(join(folder, "ccw.sqlite"));
  submit(store, "ada");
  const files = readdirSync(folder);
  expect(files).toContain("ccw.sqlite-wal");
  for (const file of files) expect([file, statSync(join(folder, file)).mode & 0o077]).toEqual([file, 0]);
});

test("a damaged database and a file that is none are refused in words, and left as they are", async () => {
  const folder = freshFolder();
  const garbage = join(folder, "garbage.sqlite");
  writeFileSync(garbage, "this is not a database, not at all, by no means ".repeat(100));
  expect(() => openDatabase(garbage)).toThrow("is damaged");
  expect(await Bun.file(garbage).text()).toStartWith("this is not a database");

  const torn = join(folder, "torn.sqlite");
  const store = openStore(torn, createSeal(new Uint8Array(32)), ids);
  for (let i = 0; i < 50; i++) submit(store, "ada", "x".repeat(2000));
  store.close();
  const bytes = Buffer.from(await Bun.file(torn).arrayBuffer());
  bytes.fill(0x5a, 4096 * 3, 4096 * 12);
  writeFileSync(torn, bytes);
  expect(() => openDatabase(torn)).toThrow("is damaged");
});

test("a database of a newer version is refused", () => {
  const path = join(freshFolder(), "newer.sqlite");
  openStore(path, createSeal(new Uint8Array(32)), ids).close();
  const sqlite = new Database(path);
  sqlite.run("INSERT INTO migrations VALUES ('9999_future', 'x', 1)");
  sqlite.close();
  expect(() => openDatabase(path)).toThrow("written by a newer version");
});

test("a migration that ran may not change its wording", () => {
  const sqlite = new Database(":memory:");
  migrate(sqlite, [{ name: "1", sql: "CREATE TABLE a (b)" }]);
  expect(() => migrate(sqlite, [{ name: "1", sql: "CREATE TABLE a (c)" }])).toThrow("another wording");
});

test("a database of the version before is brought up to date with what it holds", () => {
  const sqlite = new Database(":memory:");
  migrate(sqlite, migrations.slice(0, -1));
  sqlite.run("INSERT INTO people (id, name, created_at) VALUES ('per_1', 'ada', 1)");
  migrate(sqlite);
  expect(sqlite.query("SELECT name FROM people").all()).toEqual([{ name: "ada" }]);
  expect(sqlite.query("SELECT event_bytes FROM sandboxes").all()).toEqual([]);
});

test("the column of a sandbox's start goes, and what stands beside it stays", () => {
  const sqlite = new Database(":memory:");
  sqlite.run("PRAGMA foreign_keys = ON");
  const before = migrations.findIndex(({ name }) => name === "0011_sandbox-start");
  migrate(sqlite, migrations.slice(0, before));
  sqlite.run("INSERT INTO people (id, name, created_at) VALUES ('per_1', 'ada', 1)");
  sqlite.run(
    `INSERT INTO tasks (id, title, person_id, environment, sealed_environment, agent, model, repositories, state_kind, state, created_at, updated_at)
     VALUES ('tsk_1', '', 'per_1', 'default', '', 'claude', '', '[]', 'running', '{}', 1, 1)`,
  );
  sqlite.run(
    "INSERT INTO sandboxes (id, task_id, started_at, awake_ms, acked, cursor) VALUES ('sbx_1', 'tsk_1', 77, 5, 3, 9)",
  );
  sqlite.run(
    "INSERT INTO commands (sandbox_id, n, at, body) VALUES ('sbx_1', 1, 1, '{\"kind\":\"interrupt\"}')",
  );
  migrate(sqlite);
  expect(sqlite.query("SELECT id, task_id, awake_ms, acked, cursor FROM sandboxes").values()).toEqual([
    ["sbx_1", "tsk_1", 5, 3, 9],
  ]);
  expect(sqlite.query("SELECT name FROM pragma_table_info('sandboxes')").values()).not.toContainEqual([
    "started_at",
  ]);
  expect(sqlite.query("SELECT count(*) FROM commands").values()).toEqual([[1]]);
});

test("requests for access of tasks that ended under an earlier version expire", () => {
  const sqlite = new Database(":memory:");
  migrate(sqlite, migrations.slice(0, 3));
  sqlite.run("INSERT INTO people VALUES ('per_1', 'ada', 1)");
  for (const [id, kind] of [
    ["done", "completed"],
    ["busy", "running"],
  ])
    sqlite.run(
      `INSERT INTO tasks (id, title, person_id, environment, sealed_environment, agent, model, repositories, state_kind, state, created_at, updated_at)
       VALUES (?, '', 'per_1', 'default', '', 'claude', '', '[]', ?, '{}', 1, 77)`,
      [String(id), String(kind)],
    );
  const states = ["pending", "denied"];
  for (const task of ["done", "busy"])
    for (const [port, state] of states.entries())
      sqlite.run(
        `INSERT INTO access_requests (task_id, host, port, reason, count, first_at, last_at, state_kind, state)
         VALUES (?, 'a.example', ?, 'host-not-allowed', 1, 1, 1, ?, json_object('kind', ?))`,
        [task, port + 1, state, state],
      );
  migrate(sqlite);
  expect(sqlite.query("SELECT state_kind, state FROM access_requests ORDER BY id").values()).toEqual([
    ["expired", '{"kind":"expired","at":77}'],
    ["denied", '{"kind":"denied"}'],
    ["pending", '{"kind":"pending"}'],
    ["denied", '{"kind":"denied"}'],
  ]);
});

test("every migration file is embedded, in order", async () => {
  const folder = join(import.meta.dir, "../../migrations");
  const files = readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .sort();
  expect(migrations.map(({ name }) => `${name}.sql`)).toEqual(files);
});

test("the key file is readable by its owner alone, and stays the same", () => {
  const folder = freshFolder();
  const key = loadSealKey(folder);
  chmodSync(join(folder, "secret.key"), 0o644);
  expect(loadSealKey(folder)).toEqual(key);
  expect(() => createSeal(new Uint8Array(32).fill(1)).open(createSeal(key).seal("x"))).toThrow(
    "cannot be decrypted",
  );
});

test("what rests is reopened and keeps its sandbox, which sleeps meanwhile; what is active is not", () => {
  const store = freshStore();
  const { taskId, sandboxId } = runningTask(store);
  expect(() => store.tasks.reopen(taskId)).toThrow("cannot become queued");
  store.tasks.move(taskId, { kind: "running", sandboxId });
  store.tasks.move(taskId, { kind: "finishing", sandboxId });
  store.tasks.move(taskId, { kind: "idle", sandboxId, summary: "", interrupted: false });
  expect(store.sandboxes.current(taskId)?.asleepAt).toBeUndefined();
  store.tasks.move(taskId, { kind: "completed", summary: "" });
  expect(store.sandboxes.asleepSince(9e15).map(({ id }) => id)).toEqual([sandboxId]);
  // The last words of its guest, on the way to sleep.
  expect(store.sandboxes.appendEvents(sandboxId, [{ n: 1, event: note("still here") }])).toBe(1);
  store.tasks.reopen(taskId);
  expect(claim(store)?.state).toEqual({ kind: "starting", sandboxId });
  expect(store.sandboxes.current(taskId)?.asleepAt).toBeUndefined();
  store.sandboxes.update(sandboxId, { endedAt: 1 });
  expect(store.sandboxes.current(taskId)).toBeUndefined();
  expect(() => store.sandboxes.appendEvents(sandboxId, [{ n: 2, event: note("late") }])).toThrow("has ended");
});

test("prompts that wait are edited, put elsewhere and sent at once; one that is put back comes first", () => {
  const store = freshStore();
  const taskId = submit(store, "ada", "a");
  const person = { name: "ada" };
  const [b, c, d] = ["b", "c", "d"].map((text) => {
    const id = newId("PromptId", ids);
    store.prompts.add({ id, taskId, person, text });
    return id;
  });
  if (b === undefined || c === undefined || d === undefined) throw new Error("three were made");
  const waiting = () =>
    store.prompts
      .list(taskId)
      .filter(({ state }) => state === "queued")
      .map(({ text }) => text)
      .join("");
  store.prompts.place(d, 1);
  expect(waiting()).toBe("dabc");
  store.prompts.place(d, 3);
  expect(waiting()).toBe("abdc");
  store.prompts.place(b, 99);
  expect(waiting()).toBe("adcb");
  store.prompts.edit(c, "C");
  store.prompts.add({ id: newId("PromptId", ids), taskId, person, text: "0", first: true });
  expect(waiting()).toBe("0adCb");
  store.prompts.mark(d, "sent");
  store.prompts.sendNow(c);
  expect(store.prompts.underway(taskId).map(({ text }) => text)).toEqual(["C"]);
  expect(waiting()).toBe("0ab");
  store.prompts.mark(c, "queued");
  expect(waiting()).toBe("C0ab");
  expect(store.prompts.underway(taskId)).toEqual([]);
  expect(store.prompts.list(taskId).map(({ text }) => text)).toEqual(["d", "C", "0", "a", "b"]);
});
