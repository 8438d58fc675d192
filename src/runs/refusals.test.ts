import { afterEach, expect, test } from "bun:test";
import { CcwError } from "../domain/errors.ts";
import { closeHouses, createHouse, sandboxOf, submit } from "./house.fixture.ts";
import { createRefusalRecord } from "./refusals.ts";

afterEach(closeHouses);

test("a refusal that cannot be written to the transcript is in the log, and the refusal goes on", async () => {
  const { store, scheduler } = createHouse();
  const taskId = submit(store);
  await scheduler.start();
  const sandbox = { id: await sandboxOf(store, taskId), taskId };
  const logged: string[] = [];
  const log = {
    info() {},
    warn() {},
    error: (text: string, fields?: object) => logged.push(`${text} ${JSON.stringify(fields)}`),
  };
  let broken = true;
  const append: typeof store.events.append = (...given) => {
    if (broken) throw new CcwError("no_space", "The appliance's disk is full: nothing was written.");
    return store.events.append(...given);
  };
  const record = createRefusalRecord({ ...store, events: { ...store.events, append } }, log);

  record(sandbox, "a.test:443", "read-only");
  expect(logged).toEqual([
    expect.stringMatching(/^the transcript lacks a refusal .*a\.test:443.*disk is full/),
  ]);
  broken = false;
  record(sandbox, "b.test:443", "read-only");
  const shown = store.events.after(taskId, 0, 100).map(({ body }) => body);
  expect(shown).toContainEqual({ kind: "egress_refused", target: "b.test:443", reason: "read-only" });
});
