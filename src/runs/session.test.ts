import { afterEach, expect, test } from "bun:test";
import { newId } from "../domain/ids.ts";
import { closeHouses, createHouse, ids, sandboxOf, submit } from "./house.fixture.ts";
import { attachmentOf, createGitPort, taskOf } from "./session.ts";
import { addPrompt } from "./steer.ts";

afterEach(closeHouses);

const neverAsked = () => {
  throw new Error("not asked here");
};

test("a sandbox that has pushes refused without end fills no transcript", async () => {
  const { store, scheduler } = createHouse();
  const taskId = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, taskId);
  const port = createGitPort({
    store,
    host: { endpointOf: neverAsked },
    kept: { endpointOf: neverAsked },
    snapshots: { endpointOf: neverAsked },
    lfs: neverAsked,
  });
  const shown = () => store.events.ofKinds(taskId, ["push_refused"]).length;
  for (let n = 0; n < 300; n++) port.refused(sandbox, "demo", `refs/heads/x-${n}`, "not permitted");
  expect(shown()).toBe(200);
});

test("a sandbox gets the attachments of its own task, while that is active, and of no other", async () => {
  const { store, scheduler } = createHouse();
  const ada = store.people.ensure("ada");
  const files = { find: async (id: string) => ({ path: `/files/${id}`, bytes: 1 }) };
  const attached = () => {
    const id = newId("AttachmentId", ids);
    store.attachments.add({ ...{ id, name: "a", mediaType: "text/plain", bytes: 1 }, person: ada.id });
    return id;
  };
  const [own, foreign, loose] = [attached(), attached(), attached()];
  const task = submit(store);
  const other = submit(store);
  addPrompt(store, ids, task, ada, { text: "look", attachments: [own] });
  addPrompt(store, ids, other, ada, { text: "look", attachments: [foreign] });
  await scheduler.start();
  const sandbox = await sandboxOf(store, task);
  const attachment = attachmentOf({ store, attachments: files });
  expect(await attachment(sandbox, own)).toEqual({ path: `/files/${own}`, bytes: 1 });
  for (const id of [foreign, loose, "../../ccw.sqlite", ""])
    expect(await attachment(sandbox, id)).toBeUndefined();
  store.tasks.move(task, { kind: "cancelled", by: "ada" });
  expect(await attachment(sandbox, own)).toBeUndefined();
});

test("a task that waits for its place again serves the sandbox that it has, and no other", () => {
  const { store } = createHouse();
  const task = submit(store);
  const [first, next] = [newId("SandboxId", ids), newId("SandboxId", ids)];
  store.sandboxes.create(first, task);
  expect(taskOf(store, first)).toMatchObject({ id: task, state: { kind: "queued" } });
  store.sandboxes.create(next, task);
  expect(taskOf(store, first)).toBeUndefined();
  store.sandboxes.update(next, { endedAt: 1 });
  expect(taskOf(store, next)).toBeUndefined();
});

test("a task's own branch moves forward only, but for the one push after a roll back", async () => {
  const { store, scheduler } = createHouse();
  store.repositories.add({
    ...{ kind: "hosted", name: "demo", defaultBranch: "main", createdAt: 0 },
    push: { force: false, delete: false },
  });
  const taskId = submit(store, {}, ["demo"]);
  await scheduler.start();
  const sandbox = await sandboxOf(store, taskId);
  const endpoint = { serve: neverAsked, isSymbolicRef: neverAsked };
  const port = createGitPort({
    ...{ store, host: { endpointOf: () => endpoint }, kept: { endpointOf: neverAsked } },
    ...{ snapshots: { endpointOf: neverAsked }, lfs: () => undefined },
  });
  const grant = () => port.grantFor(sandbox, "demo");
  expect(grant()).toMatchObject({ right: { force: false }, rewrite: undefined });
  store.events.append(taskId, { kind: "rolled_back", person: "ada", turn: 1 });
  expect(grant()?.right).toMatchObject({ force: false });
  grant()?.rewrite?.begin({ oldId: "a".repeat(40), newId: "b".repeat(40) })?.(true);
  expect(grant()).toMatchObject({ right: { force: false }, rewrite: undefined });
});
