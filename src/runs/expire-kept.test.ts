import { afterEach, expect, test } from "bun:test";
import type { KeptBranch, KeptWork } from "../domain/ports.ts";
import { expireKeptWork } from "./expire-kept.ts";
import { closeHouses, createHouse, submit } from "./house.fixture.ts";

afterEach(closeHouses);

test("kept work goes when its time is over, with a word to whoever reads the task; what has time, stays", async () => {
  const { store } = createHouse();
  const over = submit(store, {}, ["a", "b", "c"]);
  store.tasks.move(over, { kind: "cancelled", by: "ada" });
  const active = submit(store, {}, ["a"]);
  const branch = (repository: string, until: number | undefined): KeptBranch => ({
    ...{ repository, until },
    ...{ branch: "claude/t", commit: "0123456789abcdef" },
  });
  const removed: string[] = [];
  const kept: Pick<KeptWork, "of" | "tasks" | "remove"> = {
    tasks: () => [over, active],
    of: () => [branch("a", 100), branch("b", undefined)],
    async remove(id, repository) {
      removed.push(`${id} ${repository}`);
      return true;
    },
  };
  const lines: unknown[] = [];
  const log = { info() {}, warn: (_: string, fields?: unknown) => lines.push(fields), error() {} };
  const at = (now: number) => expireKeptWork({ store, kept, log, now: () => now });

  await at(99);
  // Of a place in which there is nothing nobody is told.
  expect([removed, lines]).toEqual([[`${over} c`], []]);
  await at(100);
  expect(removed).toEqual([`${over} c`, `${over} a`, `${over} c`]);
  expect(lines).toEqual([{ task: over, repository: "a", branch: "claude/t", commit: "0123456789abcdef" }]);
  expect(store.events.last(over, "appliance_notice")?.body).toMatchObject({
    level: "warning",
    text: expect.stringMatching(/^The work in a .*0123456789, was removed: nobody had it pushed in time\.$/),
  });
});
