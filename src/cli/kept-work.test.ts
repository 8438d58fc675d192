import { afterEach, expect, test } from "bun:test";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import type { TaskJson } from "../client.ts";
import { exitCodes } from "./exit-codes.ts";
import { beginCli } from "./wiring.fixture.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test("what a forge did not take is listed and shown, and is neither once it was pushed", async () => {
  const house = startAppServer();
  closers.push(() => house.close());
  const run = (...argv: string[]) => beginCli(house.dataFolder, argv).ended;
  const repositories = [{ name: "demo", baseBranch: "main", workBranch: "claude/a" }];
  house.submit({ title: "Another", repositories });
  const id = house.submit({ title: "Left behind", repositories });
  const work = { repository: "demo", branch: "claude/a", commit: "0123456789abcdef" };
  house.keep(id, { ...work, until: Date.now() + 3.5 * 86_400_000 });
  // A task at work has its own word to say about its branch.
  expect((await run("task", "list", "--kept")).err).toContain("no such tasks");
  house.store.tasks.move(id, { kind: "cancelled", by: "ada" });

  const [row, ...more] = JSON.parse((await run("task", "list", "--kept", "--json")).out) as TaskJson[];
  expect([row?.id, row?.kept, more]).toEqual([id, [{ ...work, until: expect.any(Number) }], []]);
  expect((await run("task", "list", "--kept", "--state", "failed")).out).toBe("");
  expect((await run("task", "show", id)).out).toMatch(
    new RegExp(`Kept +claude/a of demo at 0123456789,.*task push ${id}\\n +It is removed in 3d\\.`),
  );

  house.moveBranch("claude/a");
  expect(await run("task", "push", id)).toMatchObject({ code: exitCodes.conflict });
  expect((await run("task", "push", id, "--branch", "claude/b")).err).toContain(
    "is on claude/b, at 0123456789",
  );
  expect((await run("task", "list", "--kept")).out).toBe("");
  expect((await run("task", "show", id)).out).not.toContain("Kept");
});
