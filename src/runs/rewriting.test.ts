import { afterEach, expect, test } from "bun:test";
import { closeHouses, createHouse, submit } from "./house.fixture.ts";
import { rewriteOnce, rewritingOf } from "./rewriting.ts";

afterEach(closeHouses);

const [over, other, fresh, next] = ["a", "b", "c", "d"].map((digit) => digit.repeat(40)) as [
  string,
  string,
  string,
  string,
];

/** A task with two repositories that a person has rolled back. */
function rolledBack() {
  const { store } = createHouse();
  const id = submit(store, {}, ["demo", "docs"]);
  const task = store.tasks.get(id);
  if (task === undefined) throw new Error("no task");
  const rollBack = () => void store.events.append(id, { kind: "rolled_back", person: "ada", turn: 1 });
  /** What a server has that was just started. */
  const server = () => {
    const underWay = new Set<string>();
    return (name: string) => rewriteOnce(store, task, { name, workBranch: "claude/t" }, underWay);
  };
  return { store, id, rollBack, server };
}

test("only after a roll back a push may rewrite the branch, and the first one that is taken ends that", () => {
  const { store, id, rollBack, server } = rolledBack();
  const grant = server();
  expect(grant("demo")).toBeUndefined();
  rollBack();
  const before = grant("demo");
  before?.begin({ oldId: over, newId: fresh })?.(true);
  expect(grant("demo")).toBeUndefined();
  // A request that was let in before that push had ended.
  expect(before?.begin({ oldId: fresh, newId: next })).toBeUndefined();
  expect(store.events.last(id, "rolled_back_push")?.body).toMatchObject({ over, commit: fresh, taken: true });
  // The other repository has had no push yet; and whoever rolls back again may push again.
  expect(grant("docs")?.begin({ oldId: over, newId: fresh })).toBeDefined();
  rollBack();
  expect(grant("demo")?.begin({ oldId: fresh, newId: next })).toBeDefined();
});

test("a push that was not taken is made again, over what stood there before the first one and nothing else", () => {
  const { store, id, rollBack, server } = rolledBack();
  rollBack();
  const grant = server();
  for (let tries = 0; tries < 5; tries++) grant("demo")?.begin({ oldId: over, newId: fresh })?.(false);
  expect(grant("demo")?.begin({ oldId: other, newId: fresh })).toBeUndefined();
  expect(store.events.ofKinds(id, ["rolled_back_push"])).toHaveLength(1);
  grant("demo")?.begin({ oldId: over, newId: next })?.(true);
  expect(rewritingOf(store, id, "demo")).toEqual({ kind: "none" });
});

test("a server that dies in the middle of that push leaves no other right than to make it again", () => {
  const { rollBack, server } = rolledBack();
  rollBack();
  server()("demo")?.begin({ oldId: over, newId: fresh });
  const grant = server();
  // It was taken: what stands there now is not what was taken back.
  expect(grant("demo")?.begin({ oldId: fresh, newId: next })).toBeUndefined();
  // It was not.
  grant("demo")?.begin({ oldId: over, newId: fresh })?.(true);
  expect(grant("demo")).toBeUndefined();
});

test("of pushes that go on at the same time one may rewrite", () => {
  const { rollBack, server } = rolledBack();
  rollBack();
  const grant = server();
  const first = grant("demo")?.begin({ oldId: over, newId: fresh });
  expect(first).toBeDefined();
  expect(grant("demo")?.begin({ oldId: over, newId: next })).toBeUndefined();
  first?.(false);
  expect(grant("demo")?.begin({ oldId: over, newId: next })).toBeDefined();
});
