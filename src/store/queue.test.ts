import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { environmentSchema } from "../domain/environment.ts";
import { type IdSource, newId, type TaskId } from "../domain/ids.ts";
import { openDatabase } from "./database.ts";
import { createSeal } from "./seal.ts";
import { openStore } from "./store.ts";

let clock = 1_000_000;
const ids: IdSource = { now: () => clock++, randomBytes: (n) => randomBytes(n) };
const environment = environmentSchema.parse({ name: "default" });
const lease = { owner: "me", until: 9e15 };

function freshQueue() {
  const store = openStore(":memory:", createSeal(new Uint8Array(32)), ids);
  const submit = (person: string, ...names: string[]): TaskId => {
    const id = newId("TaskId", ids);
    store.tasks.create({
      ...{ id, title: id, person: store.people.ensure(person), environment, agent: "claude", model: "" },
      repositories: names.map((name) => ({ name, baseBranch: "main", workBranch: "claude/x" })),
      ...{ prompt: { id: newId("PromptId", ids), text: "do it" } },
    });
    return id;
  };
  const claim = (...tasks: TaskId[]) => {
    const next = store.tasks.next({ tasks: new Set(tasks), repositories: new Set() });
    return next && store.tasks.claim(lease, newId("SandboxId", ids), 1000, next.id)?.id;
  };
  return { store, submit, claim };
}

test("the places that are shown are the order in which tasks start", () => {
  const { store, submit, claim } = freshQueue();
  const all = Array.from({ length: 120 }, (_, i) =>
    submit(["flood", "ada", "flood", `p${i % 7}`][i % 4] ?? ""),
  );
  for (let i = 0; i < 9; i++) claim();
  // Gaps, for people change their minds.
  for (const id of all.filter((id, i) => i % 5 === 3 && store.tasks.stateOf(id)?.kind === "queued"))
    store.tasks.move(id, { kind: "cancelled", by: "ada" });
  const placeOf = (id: TaskId) => store.tasks.get(id)?.queuePosition;
  const waiting = store.tasks.list({ limit: 500, states: ["queued"] });
  expect(waiting.length).toBeGreaterThan(80);
  // One alone, and among others.
  expect(waiting.map(({ id }) => placeOf(id))).toEqual(waiting.map(({ queuePosition }) => queuePosition));
  const order = waiting.toSorted((a, b) => (a.queuePosition ?? 0) - (b.queuePosition ?? 0));
  expect(order.map(({ queuePosition }) => queuePosition)).toEqual(order.map((_, i) => i + 1));
  expect(order.map(() => claim())).toEqual(order.map(({ id }) => id));
  expect(claim()).toBeUndefined();
});

test("what cannot start now stands in nobody's way", () => {
  const { submit, claim } = freshQueue();
  const [first, second, other] = [submit("ada"), submit("ada"), submit("bob")];
  expect(claim(first)).toBe(second);
  expect(claim(first, other)).toBeUndefined();
  expect(claim(first)).toBe(other);
  expect(claim()).toBe(first);
});

test("who needs what is not here yet is left out, unless a sandbox of its sleeps; nobody else waits for it", () => {
  const { store, submit, claim } = freshQueue();
  const without = (...names: string[]) =>
    store.tasks.next({ tasks: new Set(), repositories: new Set(names) })?.id;
  const slept = submit("ada", "local", "new");
  expect(claim()).toBe(slept);
  store.tasks.move(slept, { kind: "paused", why: "interrupted", reason: "", hint: "" });
  const [needy, fine] = [submit("ada", "new", "local"), submit("ada", "local")];
  expect(store.tasks.next()).toMatchObject({ id: needy, repositories: ["new", "local"] });
  expect(without("new", "other")).toBe(fine);
  expect(without("new", "local")).toBeUndefined();
  expect(store.tasks.needing("new")).toEqual([needy]);
  store.tasks.reopen(slept);
  expect(store.tasks.next()).toMatchObject({ id: slept, repositories: [] });
  expect(without("new", "local")).toBe(slept);
  expect(store.tasks.needing("new")).toEqual([needy]);

  const bobs = submit("bob", "local");
  for (let i = 0; i < 200; i++) submit("ada", "new");
  store.tasks.move(fine, { kind: "cancelled", by: "ada" });
  expect(claim()).toBe(slept);
  submit("ada", "local");
  // So far behind is not looked for one that could start; the others' are served as ever.
  expect(without("new")).toBe(bobs);
  expect(store.tasks.needing("new").length).toBeGreaterThan(50);
});

test("neither claims nor places go through the whole queue for one task", () => {
  const { db, close } = openDatabase(":memory:");
  const plans = [
    "SELECT t.rowid FROM tasks t WHERE t.state_kind = 'queued' AND t.person_id = 'p' ORDER BY t.rowid LIMIT 1",
    "SELECT count(*) FROM tasks t WHERE t.state_kind = 'queued' AND t.person_id = 'p' AND t.rowid > 1 AND t.rowid <= 9",
  ].map((query) => db.$client.query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${query}`).all());
  for (const plan of plans)
    expect(plan.map(({ detail }) => detail)).toEqual([
      expect.stringContaining("SEARCH t USING COVERING INDEX tasks_queued (person_id=?"),
    ]);
  close();
});
