import { afterEach, expect, test } from "bun:test";
import { closeHouses, createHouse, sandboxOf, submit } from "./house.fixture.ts";
import { createGitPort } from "./session.ts";

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
