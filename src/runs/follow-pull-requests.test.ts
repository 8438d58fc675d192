import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { CcwError } from "../domain/errors.ts";
import { newId } from "../domain/ids.ts";
import { createPullRequestFollower } from "./follow-pull-requests.ts";
import {
  closeHouses,
  commandsOf,
  ids,
  openPrompt,
  sandboxOf,
  say,
  started,
  stateOf,
  turnEnded,
} from "./house.fixture.ts";
import { createReviewHouse, remoteName, workBranch } from "./pull-requests.fixture.ts";

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await closeHouses();
});

const times = { shortMs: 15, longMs: 60, burstMs: 5, tickMs: 5 };

/** A completed task whose pull request is open on the forge, and a follower that runs. */
async function openHouse() {
  const house = await createReviewHouse();
  closers.push(house.remove);
  const { store, person, pullRequests } = house;
  const taskId = await house.worked(remoteName);
  const [made] = await pullRequests.open(taskId, person, { draft: false });
  if (made === undefined) throw new Error("none was opened");
  const begin = (change: Partial<typeof times> = {}) => {
    const follower = createPullRequestFollower(house.context, { ...times, ...change });
    closers.push(() => follower.close());
    follower.start();
    return follower;
  };
  const row = () => {
    const found = store.pullRequests.get(made.id);
    if (found === undefined) throw new Error("it is gone");
    return found;
  };
  const prompts = () => store.prompts.list(taskId).map(({ text }) => text);
  const details = () =>
    store.events
      .ofKinds(taskId, ["pull_request_updated"])
      .map(({ body }) => (body.kind === "pull_request_updated" ? body.detail : ""));
  /** Long enough for several looks. */
  const someLooks = async () => {
    const before = house.calls.length;
    await until("it is looked at", () => house.calls.length > before + 9);
  };
  const push = async () => ({
    repository: remoteName,
    commit: await house.commit(remoteName, workBranch, { "a.txt": `${house.calls.length}\n` }),
  });
  return { ...house, taskId, id: made.id, begin, row, prompts, details, someLooks, push };
}

test("state, checks and comments are kept as the forge has them, and its outage is shown and waited out", async () => {
  const house = await openHouse();
  const { forge, rows, row, store, taskId } = house;
  house.begin();
  house.check({ state: "pending" });
  house.comment({ body: "Nice" });
  await until("they are here", () => row().checks.length === 1 && row().comments.length === 1);
  forge.failures.set("get", new CcwError("rate_limited", "The forge wants to be left alone.", "Wait."));
  await until("it is shown", () => row().trouble.includes("left alone"));
  forge.failures.clear();
  await until("it is over", () => row().trouble === "");
  expect(row().checks).toMatchObject([{ state: "pending" }]);
  Object.assign(rows[0] ?? {}, { state: "merged" });
  await until("it is merged", () => row().state === "merged");
  expect(store.events.count(taskId, "pull_request_merged")).toBe(1);
  expect(house.prompts().length).toBe(1);
});

test("checks that fail are told of once for a commit, followed or not", async () => {
  const house = await openHouse();
  house.begin();
  house.check({ state: "failed" });
  await until("it is told", () => house.details().includes("has 1 failed check"));
  house.check({ state: "failed", id: "another" });
  await until("both are here", () => house.row().checks.length === 2);
  await house.someLooks();
  expect(house.details()).toEqual(["has 1 failed check"]);
});

test("a completed task is reopened by a failed check and a comment, and whoever asked gets an answer", async () => {
  const house = await openHouse();
  const { id, taskId, person, row, prompts, store, replies, complete, push, engine } = house;
  house.comment({ body: "An old remark" });
  const follower = house.begin();
  // Nothing is left that remembers what it did.
  const { id: sandboxId } = store.sandboxes.current(taskId) ?? {};
  if (sandboxId !== undefined) store.sandboxes.update(sandboxId, { endedAt: 1 });
  await follower.follow(id, person, { on: true, maxRounds: 3 });
  const asked = house.comment({
    body: "Use a loop",
    place: { path: "a.txt", line: 1, diffHunk: "@@ -1 +1 @@" },
  });
  house.check({ summary: "expected 2, got 1" });
  house.comment({ authorMayWrite: false, body: "me too" });
  await until("there is a prompt", () => prompts().length === 2);
  const text = prompts()[1] ?? "";
  expect(text).toContain("Use a loop");
  expect(text).toContain("rita on a.txt line 1");
  expect(text).toContain("You said at the end:\n\n> I did it");
  for (const absent of ["An old remark", "me too"]) expect(text).not.toContain(absent);
  expect(replies).toEqual([]);

  await complete(taskId, push);
  expect(engine.started).toBe(2);
  await until("it is answered", () => replies.length === 1);
  expect(replies[0]?.thread).toBe(asked.thread);
  expect(replies[0]?.body).toContain(row().headCommit);
  expect(replies[0]?.body).toContain(`https://ccw.test/tasks/${taskId}`);
  await until("the round is over", () => row().follow.round === undefined);
  // Neither the own answer nor what was handed over once becomes a prompt.
  await house.someLooks();
  expect([prompts().length, row().follow.rounds, replies.length]).toEqual([2, 1, 1]);
  expect(store.prompts.list(taskId).map((prompt) => prompt.person)).toContain("pull request #1");
});

test("an active task is steered, and what arrives meanwhile waits for the next round", async () => {
  const house = await openHouse();
  const { id, taskId, person, prompts, store, push, row } = house;
  const follower = house.begin();
  await follower.follow(id, person, { on: true });
  house.comment({ body: "first" });
  const sandboxId = await sandboxOf(store, taskId);
  const promptId = await openPrompt(store, sandboxId);
  say(store, sandboxId, started, { kind: "turn_started", promptId });
  for (const body of ["second", "third"]) house.comment({ body });
  await house.someLooks();
  expect(prompts().length).toBe(2);
  const { repository, commit } = await push();
  // Pushed by the agent itself, and the next prompt is there before the task can finish.
  store.prompts.add({ id: newId("PromptId", ids), taskId, person, text: "a person's own" });
  say(store, sandboxId, { kind: "pushed", repository, branch: workBranch, commit }, turnEnded(promptId));
  await until("both came as one", () => prompts().length === 4);
  expect(prompts()[3]).toContain("second");
  expect(prompts()[3]).toContain("third");
  expect(stateOf(store, taskId)?.kind).toBe("running");
  expect(commandsOf(store, sandboxId).at(-1)?.kind).toBe("prompt");
  expect(row().follow.rounds).toBe(2);
});

test("rounds are limited, and a person can stop it and start it anew", async () => {
  const house = await openHouse();
  const { id, taskId, person, prompts, row, complete, push } = house;
  const follower = house.begin();
  await follower.follow(id, person, { on: true, maxRounds: 2 });
  for (const round of [2, 3]) {
    house.check();
    await until("there is a prompt", () => prompts().length === round);
    await complete(taskId, push);
  }
  house.check();
  await until("it stopped", () => !row().follow.on);
  expect(row().follow.stopped).toBe("All 2 rounds are used up, and there is more: 1 failed check.");
  expect(house.details().at(-1)).toContain("is not followed any more: All 2 rounds");
  await follower.follow(id, person, { on: true });
  await until("it goes on", () => prompts().length === 4);
  expect(row().follow).toMatchObject({ rounds: 1, stopped: "" });
  await follower.follow(id, person, { on: false });
  await complete(taskId, push);
  house.check();
  await house.someLooks();
  expect(prompts().length).toBe(4);
});

test("it stops when the branch was deleted, when the task failed, and when it is closed", async () => {
  for (const [stop, reason] of [
    ["branch", `The branch ${workBranch} was deleted.`],
    ["close", "It was closed."],
    ["task", "The task is failed."],
  ] as const) {
    const house = await openHouse();
    const { id, taskId, person, row, rows, gitIn, prompts, store } = house;
    const follower = house.begin();
    await follower.follow(id, person, { on: true });
    if (stop === "branch") gitIn(remoteName, "branch", "-D", workBranch);
    if (stop === "close") Object.assign(rows[0] ?? {}, { state: "closed" });
    house.check();
    if (stop === "task") {
      const sandboxId = await sandboxOf(store, taskId);
      say(store, sandboxId, { kind: "finished", outcome: "failed", text: "It cannot be done.", hint: "" });
    }
    await until("it stopped", () => row().follow.stopped === reason);
    expect(prompts().length).toBe(stop === "task" ? 2 : 1);
    await follower.close();
  }
});

test("a server that dies in a round leaves it to the next one, which hands over and answers nothing twice", async () => {
  const house = await openHouse();
  const { id, taskId, person, prompts, replies, complete, push, forge, row } = house;
  const first = house.begin();
  await first.follow(id, person, { on: true });
  house.comment({ body: "Use a loop" });
  await until("there is a prompt", () => prompts().length === 2);
  await first.close();
  await complete(taskId, push);
  // It answers, and dies before it has written that down.
  await forge.comment({ own: true, thread: "t1", body: `Worked on in ${forge.tip}` });
  house.begin();
  await until("the round is over", () => row().follow.round === undefined);
  await house.someLooks();
  expect([replies.length, prompts().length]).toEqual([0, 2]);
});

test("what is there already while checks still run is taken together, and unchanged answers cost no write", async () => {
  const house = await openHouse();
  const { id, person, prompts, checks, row } = house;
  const follower = house.begin();
  await follower.follow(id, person, { on: true });
  house.check({ name: "lint" });
  house.check({ name: "tests", state: "pending" });
  await until("they are here", () => row().checks.length === 2);
  const { updatedAt } = row();
  await house.someLooks();
  expect([prompts().length, row().updatedAt]).toEqual([1, updatedAt]);
  Object.assign(checks[1] ?? {}, { state: "failed" });
  await until("there is a prompt", () => prompts().length === 2);
  expect(prompts()[1]).toMatch(/lint[\s\S]*tests/);
});

test("only what a forge keeps and is open can be followed, and not while it cannot be asked", async () => {
  const house = await openHouse();
  const { id, person, forge, pullRequests, worked, row } = house;
  const follower = house.begin();
  const [own] = await pullRequests.open(await worked("demo"), person, { draft: false });
  await expect(follower.follow(own?.id ?? id, person, { on: true })).rejects.toThrow(
    "is kept by the appliance",
  );
  forge.failures.set("get", new CcwError("unavailable", "The forge is away."));
  await expect(follower.follow(id, person, { on: true })).rejects.toThrow("The forge is away.");
  expect(row().follow.on).toBe(false);
});

test("what a forge says has happened is looked at soon, though its turn is far off", async () => {
  const house = await openHouse();
  const follower = house.begin({ shortMs: 3_600_000, longMs: 3_600_000 });
  await until("it was looked at once", () => house.calls.includes("comments"));
  await Bun.sleep(50);
  house.comment({ body: "News" });
  await Bun.sleep(50);
  expect(house.row().comments).toEqual([]);
  follower.changed("forge.test/another/repository");
  follower.changed(remoteName);
  await until("it is here", () => house.row().comments.length === 1);
});
