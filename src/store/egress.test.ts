import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../test/until.ts";
import type { EgressEnd, EgressEntry } from "../domain/egress.ts";
import { environmentSchema } from "../domain/environment.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { Store } from "../domain/store.ts";
import type { StoreContext } from "./context.ts";
import { openDatabase } from "./database.ts";
import { createEgressStore, type EgressKeeping } from "./egress.ts";
import { environments } from "./schema/environments.ts";
import { createSeal } from "./seal.ts";
import { openStore } from "./store.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});
const ids: IdSource = { now: () => Date.now(), randomBytes: (n) => randomBytes(n) };
const seal = createSeal(new Uint8Array(32));

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ccw-egress-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function freshStore(path = ":memory:", keeping: Partial<EgressKeeping> = {}): Store {
  const store = openStore(path, seal, ids, keeping);
  closers.push(() => store.close());
  return store;
}

const taskId = newId("TaskId", ids);
const sandboxId = newId("SandboxId", ids);
const entry = (fields: Partial<EgressEntry> = {}): EgressEntry => ({
  taskId,
  sandboxId,
  at: Date.now(),
  kind: "tunnel",
  host: "registry.npmjs.org",
  port: 443,
  method: "CONNECT",
  path: "",
  address: "192.0.2.1",
  verdict: "allowed",
  reason: "registry.npmjs.org (default list)",
  status: 200,
  bytesUp: 0,
  bytesDown: 0,
  ms: 0,
  ...fields,
});
const end = (fields: Partial<EgressEnd> = {}): EgressEnd => ({
  address: "192.0.2.1",
  verdict: "allowed",
  reason: "registry.npmjs.org (default list)",
  status: 200,
  bytesUp: 10,
  bytesDown: 20,
  ms: 5,
  ...fields,
});
/** Once what was begun so far is written, with its end where it has one. */
const written = (egress: Pick<Store["egress"], "lastId">, id: number) =>
  until(`entry ${id} is written`, () => egress.lastId() >= id);

/** A sandbox of a task, as the budget of uploaded bytes needs one. */
function sandboxIn(store: Store): SandboxId {
  const id: TaskId = newId("TaskId", ids);
  const sandbox = newId("SandboxId", ids);
  store.tasks.create({
    id,
    title: "t",
    person: store.people.ensure("ada"),
    environment: environmentSchema.parse({ name: "default" }),
    agent: "claude",
    model: "",
    repositories: [],
    prompt: { id: newId("PromptId", ids), text: "t" },
  });
  store.sandboxes.create(sandbox, id);
  return sandbox;
}

/** The ledger alone, on a database that a test may break. */
function ledgerOn(db: StoreContext["db"], keeping: Partial<EgressKeeping>) {
  const logged: string[] = [];
  const log = {
    info() {},
    warn: (text: string) => logged.push(text),
    error: (text: string) => logged.push(text),
  };
  const context: StoreContext = { db, seal, ids, wakeAfterCommit() {} };
  const ledger = createEgressStore(context, {
    log,
    keepDays: 30,
    keepRows: 1e6,
    maxQueue: 20_000,
    ...keeping,
  });
  return { ...ledger, logged };
}

test("an entry is written soon after it began, and its end soon after that", async () => {
  const { egress } = freshStore();
  const close = egress.ledger.open(entry());
  expect(egress.list({ limit: 10 })).toEqual([]);
  await written(egress, 1);
  expect(egress.list({ limit: 10 })).toMatchObject([
    { id: 1, host: "registry.npmjs.org", open: true, bytesUp: 0 },
  ]);
  close(end({ verdict: "cut", reason: "upload-budget", bytesUp: 7 }));
  close(end({ bytesUp: 999 }));
  await until("it has ended", () => egress.list({ limit: 1 })[0]?.open === false);
  expect(egress.list({ limit: 10 })).toMatchObject([
    { id: 1, open: false, verdict: "cut", reason: "upload-budget", bytesUp: 7 },
  ]);
});

test("what ends before it was written is there once, whole", async () => {
  const { egress } = freshStore();
  for (let i = 0; i < 1200; i++) egress.ledger.open(entry({ path: `/${i}` }))(end({ bytesDown: i }));
  await written(egress, 1200);
  const rows = egress.after(0, { limit: 5000 });
  expect(rows.map(({ id, path, bytesDown, open }) => [id, path, bytesDown, open])).toEqual(
    Array.from({ length: 1200 }, (_, i) => [i + 1, `/${i}`, i, false]),
  );
});

test("closing the store writes what waits", () => {
  const path = join(freshFolder(), "db");
  const first = openStore(path, seal, ids);
  for (let i = 0; i < 1100; i++) first.egress.ledger.open(entry())(end());
  first.close();
  expect(freshStore(path).egress.lastId()).toBe(1100);
});

test("what was under way when the server was killed is marked so, and ids go on", async () => {
  const folder = freshFolder();
  const store = freshStore(join(folder, "db"));
  store.egress.ledger.open(entry({ host: "open.example" }));
  store.egress.ledger.open(entry({ host: "ended.example" }))(end());
  await written(store.egress, 2);
  for (const suffix of ["", "-wal"])
    copyFileSync(join(folder, `db${suffix}`), join(folder, `after${suffix}`));
  const { egress } = freshStore(join(folder, "after"));
  egress.ledger.open(entry({ host: "next.example" }))(end());
  await written(egress, 3);
  expect(
    egress
      .list({ limit: 10 })
      .map(({ id, host, verdict, reason, open }) => [id, host, verdict, reason, open]),
  ).toEqual([
    [3, "next.example", "allowed", "registry.npmjs.org (default list)", false],
    [2, "ended.example", "allowed", "registry.npmjs.org (default list)", false],
    [1, "open.example", "failed", "server-stopped", false],
  ]);
});

test("uploaded bytes count at once, and a restart does not forget them", async () => {
  const path = join(freshFolder(), "db");
  const first = openStore(path, seal, ids);
  const sandbox = sandboxIn(first);
  first.egress.ledger.open(entry({ sandboxId: sandbox }));
  first.egress.ledger.sent(sandbox, 100);
  expect(first.egress.uploaded(sandbox)).toBe(100);
  await written(first.egress, 1);
  // Another server would know of them now, though the request is still under way.
  expect(freshStore(path).egress.uploaded(sandbox)).toBe(100);
  first.egress.ledger.sent(sandbox, 11);
  expect(first.egress.uploaded(sandbox)).toBe(111);
  first.close();
  expect(freshStore(path).egress.uploaded(sandbox)).toBe(111);
});

test("a full queue loses entries, counts them, and neither throws nor forgets the uploaded bytes", async () => {
  const store = freshStore(":memory:", { maxQueue: 10 });
  const sandbox = sandboxIn(store);
  for (let i = 0; i < 25; i++) {
    const close = store.egress.ledger.open(entry({ sandboxId: sandbox }));
    store.egress.ledger.sent(sandbox, 1);
    close(end({ bytesUp: 1 }));
  }
  await written(store.egress, 10);
  expect(store.egress.list({ limit: 100 })).toHaveLength(10);
  expect(await store.egress.stats({})).toMatchObject({ lost: 15, total: { requests: 10 } });
  expect(store.egress.uploaded(sandbox)).toBe(25);
});

test("a ledger that cannot be written slows and stops nothing, and goes on when it can", async () => {
  const { db, close } = openDatabase(":memory:");
  closers.push(close);
  const ledger = ledgerOn(db, { maxQueue: 600 });
  closers.push(() => ledger.close());
  db.run("ALTER TABLE egress_requests RENAME TO away");
  const ends = Array.from({ length: 605 }, () => ledger.store.ledger.open(entry()));
  await until("it was tried", () => ledger.logged.length > 0);
  for (const each of ends) each(end());
  ledger.store.ledger.open(entry());
  expect(ledger.logged[0]).toBe("the egress ledger cannot be written; trying again");
  db.run("ALTER TABLE away RENAME TO egress_requests");
  await written(ledger.store, 600);
  expect(await ledger.store.stats({})).toMatchObject({ lost: 6, total: { requests: 600, bytesUp: 6000 } });
});

test("while another process holds the database, nothing waits for the ledger; what came is written afterwards", async () => {
  const path = join(freshFolder(), "ccw.sqlite");
  const { db, close } = openDatabase(path);
  closers.push(close);
  const ledger = ledgerOn(db, {});
  closers.push(() => ledger.close());
  // How long a write would wait for another program, in milliseconds, each time that the ledger writes.
  const waits: unknown[] = [];
  const { transaction } = db;
  Object.assign(db, {
    transaction(...how: Parameters<typeof transaction>) {
      waits.push(db.$client.query("PRAGMA busy_timeout").get());
      return transaction.apply(db, how);
    },
  });
  const other = new Database(path);
  closers.push(() => other.close());
  other.run("BEGIN IMMEDIATE");
  ledger.store.ledger.open(entry())(end());
  await until("it was tried", () => ledger.logged.length > 0);
  expect(waits[0]).toEqual({ timeout: 0 });
  expect(ledger.logged[0]).toBe("the egress ledger cannot be written; trying again");
  other.run("ROLLBACK");
  await written(ledger.store, 1);
  expect(await ledger.store.stats({})).toMatchObject({ lost: 0, total: { requests: 1 } });
  // Who cannot do without its write waits for it as before.
  expect(db.$client.query("PRAGMA busy_timeout").get()).toEqual({ timeout: 1000 });
});

test("entries go by age and by number, the oldest first, a batch at a time", async () => {
  const { db, close } = openDatabase(":memory:");
  closers.push(close);
  const ledger = ledgerOn(db, { keepRows: 2500, keepDays: 1 });
  closers.push(() => ledger.close());
  const old = Date.now() - 25 * 3600 * 1000;
  for (let i = 0; i < 4000; i++) ledger.store.ledger.open(entry({ at: i < 300 ? old : Date.now() }))(end());
  await written(ledger.store, 4000);
  expect([ledger.prune(), ledger.prune(), ledger.prune()]).toEqual([1000, 500, 0]);
  expect(ledger.store.after(0, { limit: 1 })[0]?.id).toBe(1501);
  const aged = ledgerOn(db, { keepDays: 1 });
  closers.push(() => aged.close());
  db.run(`UPDATE egress_requests SET at = ${old} WHERE id <= 1700`);
  expect([aged.prune(), aged.prune()]).toEqual([200, 0]);
});

test("entries are found by task, host, verdict and time, with a cursor", async () => {
  const { egress } = freshStore();
  const other = newId("TaskId", ids);
  const refused = { verdict: "refused", reason: "host-not-allowed", status: 403 } as const;
  egress.ledger.open(entry({ at: 1000 }))(end());
  egress.ledger.open(entry({ at: 2000, host: "evil.example", ...refused }))(end(refused));
  egress.ledger.open(entry({ at: 3000, taskId: other }))(end());
  egress.ledger.open(entry({ at: 4000, host: "evil.example", taskId: other, ...refused }))(end(refused));
  await written(egress, 4);
  const found = (filter: Parameters<typeof egress.list>[0]) => egress.list(filter).map(({ id }) => id);
  expect(found({ limit: 2 })).toEqual([4, 3]);
  expect(found({ limit: 2, before: 3 })).toEqual([2, 1]);
  expect(found({ limit: 9, taskId })).toEqual([2, 1]);
  expect(found({ limit: 9, verdict: "refused" })).toEqual([4, 2]);
  expect(found({ limit: 9, host: "evil.example", taskId: other })).toEqual([4]);
  expect(found({ limit: 9, since: 3000 })).toEqual([4, 3]);
  expect(egress.after(2, { limit: 9, verdict: "allowed" }).map(({ id }) => id)).toEqual([3]);
  expect(await egress.stats({ taskId })).toEqual({
    lost: 0,
    total: { requests: 2, refused: 1, bytesUp: 20, bytesDown: 40 },
    hosts: [
      { host: "evil.example", requests: 1, refused: 1, bytesUp: 10, bytesDown: 20 },
      { host: "registry.npmjs.org", requests: 1, refused: 0, bytesUp: 10, bytesDown: 20 },
    ],
  });
});

test("an environment of before there was egress loads with nothing allowed and the usual limits", () => {
  const {
    egress: _,
    secrets: __,
    ...before
  } = environmentSchema.parse({ name: "old", variables: { A: "1" } });
  const folder = freshFolder();
  const { db, close } = openDatabase(join(folder, "db"));
  const sealed = seal.seal(JSON.stringify(before));
  db.insert(environments).values({ name: "old", sealed, createdAt: 0, updatedAt: 0 }).run();
  close();
  const loaded = freshStore(join(folder, "db")).environments.get("old");
  expect(loaded).toEqual({ ...before, secrets: {}, egress: environmentSchema.parse({ name: "x" }).egress });
  expect(loaded?.egress.limits.uploadBytes).toBe(1024 ** 3);
});

test("a task's copy of its environment holds no secrets", () => {
  const store = freshStore();
  const id = newId("TaskId", ids);
  store.tasks.create({
    id,
    title: "t",
    person: store.people.ensure("ada"),
    environment: environmentSchema.parse({ name: "default", secrets: { KEY: "0123456789" } }),
    agent: "claude",
    model: "",
    repositories: [],
    prompt: { id: newId("PromptId", ids), text: "t" },
  });
  expect(store.tasks.environmentOf(id).secrets).toEqual({});
});

test("after the store was closed, the ledger takes what still comes without a word", async () => {
  const logged: string[] = [];
  const log = {
    info() {},
    warn: (text: string) => logged.push(text),
    error: (text: string) => logged.push(text),
  };
  const store = openStore(":memory:", seal, ids, { log });
  const close = store.egress.ledger.open(entry());
  store.close();
  close(end());
  store.egress.ledger.open(entry())(end());
  await Bun.sleep(150);
  expect(logged).toEqual([]);
});

test("statistics over more than one portion miss nothing and count nothing twice", async () => {
  const { egress } = freshStore();
  for (let i = 0; i < 9001; i++) egress.ledger.open(entry({ at: i, host: `h${i % 3}.example` }))(end());
  await written(egress, 9001);
  const { total, hosts } = await egress.stats({});
  expect(total).toEqual({ requests: 9001, refused: 0, bytesUp: 90_010, bytesDown: 180_020 });
  expect(hosts.map(({ host, requests }) => [host, requests])).toEqual([
    ["h0.example", 3001],
    ["h1.example", 3000],
    ["h2.example", 3000],
  ]);
  expect((await egress.stats({ since: 9000 })).total.requests).toBe(1);
  expect((await egress.stats({ since: 9001 })).total.requests).toBe(0);
});

test("no field makes a row longer than it may be", async () => {
  const { egress } = freshStore();
  egress.ledger.open(entry({ path: `/${"x".repeat(100_000)}`, host: "h".repeat(5000) }))(end());
  await written(egress, 1);
  const [row] = egress.list({ limit: 1 });
  expect([row?.path.length, row?.host.length]).toEqual([1000, 1000]);
});
