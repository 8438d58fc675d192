import { afterEach, expect, test } from "bun:test";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import type { PullRequestJson } from "../client.ts";
import { newId } from "../domain/ids.ts";
import { notFollowed } from "../domain/pull-request.ts";
import { exitCodes } from "./exit-codes.ts";
import { beginCli } from "./wiring.fixture.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The command line against a real server, and a task that has pushed its work. */
function serve() {
  const house = startAppServer();
  closers.push(() => house.close());
  const workBranch = "claude/work-abc123";
  const taskId = house.submit({
    title: "Make it round",
    repositories: [{ name: "demo", baseBranch: "main", workBranch }],
  });
  house.play(taskId)({ kind: "pushed", repository: "demo", branch: workBranch, commit: "0" });
  const run = (...argv: string[]) => beginCli(house.dataFolder, argv).ended;
  return { ...house, taskId, run };
}

test("a pull request is opened, listed, shown, marked as ready, and merged", async () => {
  const { run, taskId } = serve();
  const opened = await run("task", "pr", "last", "--draft", "--title", "Round \u001b[31mthings");
  expect(opened).toMatchObject({ code: 0, out: "demo#1\n" });
  expect((await run("task", "pr", "last")).out).toBe("demo#1\n");
  expect((await run("pr", "list")).out).toMatch(/demo#1 +draft +Round things/);
  const [row] = JSON.parse((await run("pr", "list", "--json", "--task", "last")).out) as PullRequestJson[];
  expect(row).toMatchObject({ taskId, keptBy: "appliance", number: 1 });
  expect((await run("task", "show", "last")).out).toContain("demo#1: draft");

  expect(await run("pr", "merge", "demo#1")).toMatchObject({ code: exitCodes.conflict });
  expect((await run("pr", "ready", "#1")).err).toBe("Ready for review.\n");
  const last = row?.id.slice(-6) ?? "";
  const other = await run("pr", "merge", last, "--commit", "abcdef0123");
  expect(other).toMatchObject({ code: exitCodes.conflict });
  expect(other.err).toContain("not at abcdef0123");
  expect((await run("pr", "merge", last)).err).toMatch(/^Merged [0-9a-f]{10} into main\.\n$/);
  const shown = (await run("pr", "show", "demo#1")).out;
  expect(shown).toMatch(/State +merged, kept by the appliance/);
  expect(shown).toContain("> Make it round");
  expect(shown).not.toContain("\u001b");
});

test("what cannot be done is refused with a reason and its exit code", async () => {
  const { run } = serve();
  expect(await run("pr", "show", "demo#7")).toMatchObject({ code: exitCodes.notFound });
  expect(await run("task", "pr", "last", "--repo", "other")).toMatchObject({ code: exitCodes.notFound });
  await run("task", "pr", "last");
  const followed = await run("pr", "follow", "demo#1");
  expect(followed).toMatchObject({ code: exitCodes.conflict });
  expect(followed.err).toContain("is kept by the appliance");
  expect((await run("pr", "close", "demo#1")).err).toContain("stays");
  expect(await run("pr", "close", "demo#1")).toMatchObject({ code: exitCodes.conflict });
});

test("of a forge's own the checks, the comments and what became of following are shown", async () => {
  const { run, store, taskId, ids } = serve();
  store.pullRequests.add({
    ...{ id: newId("PullRequestId", ids), taskId, repository: "forge.test/acme/widget", keptBy: "forge" },
    ...{ number: 12, webUrl: "https://forge.test/acme/widget/pull/12", title: "t", body: "", draft: false },
    ...{ state: "open", base: "main", head: "claude/x", headCommit: "abc", trouble: "The forge is away." },
    checks: [{ id: "1", name: "tests", state: "failed", webUrl: "", summary: "" }],
    comments: [
      {
        ...{
          id: "1",
          author: "rita",
          authorMayWrite: true,
          own: false,
          body: "Why?",
          thread: "1",
          webUrl: "",
          at: 0,
        },
        place: { path: "a.txt", line: undefined, diffHunk: "" },
      },
    ],
    follow: { ...notFollowed, stopped: "It was closed." },
  });
  const { out } = await run("pr", "show", "forge.test/acme/widget#12");
  for (const words of ["failed: tests", "> rita on a.txt", "  Why?", "stopped: It was closed.", "is away"])
    expect(out).toContain(words);
});
