import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { CcwError } from "../domain/errors.ts";
import { closeHouses } from "./house.fixture.ts";
import { createOwedPullRequests } from "./owed-pull-requests.ts";
import { createReviewHouse, remoteName, workBranch } from "./pull-requests.fixture.ts";
import { createPullRequests } from "./pull-requests.ts";

const removals: (() => void)[] = [];
afterEach(async () => {
  await closeHouses();
  for (const remove of removals.splice(0)) remove();
});
async function reviewHouse() {
  const house = await createReviewHouse();
  removals.push(house.remove);
  return house;
}
const ready = { draft: false };
const kinds = (house: Awaited<ReturnType<typeof reviewHouse>>, id: Parameters<typeof house.notices>[0]) =>
  house.store.events
    .after(id, 0, 500)
    .flatMap(({ body }) => (body.kind.startsWith("pull_request") ? [body] : []));

test("on a forge it is opened with words drafted from the work and the repository's template", async () => {
  const house = await reviewHouse();
  const { pullRequests, person, rows, commit } = house;
  await commit(remoteName, "main", {
    ".github/pull_request_template.md": "## What\n\n## How it was tested\n",
  });
  const id = await house.worked(remoteName);
  const [made] = await pullRequests.open(id, person, { draft: true });
  expect(made).toMatchObject({ keptBy: "forge", number: 1, draft: true, state: "open", title: "Round it" });
  expect(rows).toMatchObject([{ head: workBranch, base: "main", draft: true }]);
  const { body = "" } = rows[0] ?? {};
  expect(body).toMatch(/^## What\n\n\*\*What was asked\*\*\n\n> Make it round, @\u2060team\n/);
  expect(body).toContain("> I did it");
  expect(body).toContain(`https://ccw.test/tasks/${id}`);
  expect(body).toMatch(/## How it was tested$/);
  expect(kinds(house, id)).toMatchObject([
    { kind: "pull_request_opened", person: "ada", number: 1, draft: true },
  ]);
  expect(house.store.tasks.get(id)?.pullRequests).toMatchObject([{ number: 1, state: "open", draft: true }]);
});

test("one that is there from this branch already is taken over, with the words that a person gave", async () => {
  const { api, pullRequests, person, worked, rows } = await reviewHouse();
  const id = await worked(remoteName);
  await api.createPullRequest("acme/widget", {
    title: "t",
    body: "b",
    head: workBranch,
    base: "main",
    draft: false,
  });
  const [made] = await pullRequests.open(id, person, { draft: true, title: "Better" });
  expect(made).toMatchObject({ number: 1, title: "Better", body: "b", draft: false });
  expect(rows.length).toBe(1);
});

test("two clicks open one", async () => {
  const { pullRequests, person, worked, rows, store } = await reviewHouse();
  const id = await worked(remoteName, "demo");
  const both = await Promise.all([
    pullRequests.open(id, person, ready),
    pullRequests.open(id, person, ready),
  ]);
  expect(both[0].map((each) => each.id)).toEqual(both[1].map((each) => each.id));
  expect([rows.length, store.pullRequests.list({ limit: 10 }).length]).toEqual([1, 2]);
});

test("an answer of the forge that was lost leaves no second one", async () => {
  const { forge, pullRequests, person, worked, rows } = await reviewHouse();
  const id = await worked(remoteName);
  forge.loseAnswer = true;
  expect(await pullRequests.open(id, person, ready)).toMatchObject([{ number: 1 }]);
  expect(rows.length).toBe(1);
});

test("whatever a forge answers is told of in the task, and trying again works", async () => {
  const house = await reviewHouse();
  const { forge, pullRequests, person, worked, store } = house;
  const id = await worked(remoteName);
  const answers = [
    ...([
      [401, "unauthenticated"],
      [403, "forbidden"],
      [404, "not_found"],
    ] as const),
    ...([
      [422, "conflict"],
      [429, "rate_limited"],
      [503, "unavailable"],
    ] as const),
  ];
  for (const [status, code] of answers) {
    forge.failures.set("create", new CcwError(code, `The forge said ${status}.`, "Do this."));
    // Tried twice, told once.
    for (let i = 0; i < 2; i++)
      await expect(pullRequests.open(id, person, ready)).rejects.toThrow(`The forge said ${status}.`);
  }
  expect(house.notices(id)).toEqual(
    answers.map(
      ([status]) =>
        `The pull request for ${remoteName} could not be opened: The forge said ${status}. Do this.`,
    ),
  );
  expect(store.pullRequests.list({ limit: 9 })).toEqual([]);
  forge.failures.clear();
  expect(await pullRequests.open(id, person, ready)).toMatchObject([{ state: "open" }]);
});

test("what cannot be offered is said clearly: nothing pushed, a branch that was deleted, nothing new", async () => {
  const { pullRequests, person, worked, gitIn, submit, complete, commit } = await reviewHouse();
  const id = await worked("demo");
  const open = (repository = "demo") => pullRequests.open(id, person, { ...ready, repository });
  gitIn("demo", "branch", "-f", workBranch, "main");
  await expect(open()).rejects.toThrow("has nothing that main lacks");
  gitIn("demo", "branch", "-D", workBranch);
  await expect(open()).rejects.toThrow("The task has pushed nothing");
  await expect(open("other")).rejects.toThrow('no repository named "other"');
  const other = submit(["demo"]);
  await complete(other, async () => ({
    repository: "demo",
    commit: await commit("demo", workBranch, { b: "1" }),
  }));
  gitIn("demo", "branch", "-D", workBranch);
  await expect(pullRequests.open(other, person, ready)).rejects.toThrow("was deleted in demo");
});

test("of several repositories those that changed are offered, and the others are no news", async () => {
  const house = await reviewHouse();
  const id = await house.worked("demo", remoteName);
  house.gitIn(remoteName, "branch", "-D", workBranch);
  expect(await house.pullRequests.open(id, house.person, ready)).toMatchObject([{ repository: "demo" }]);
  expect(house.notices(id)).toEqual([]);
});

test("a hosted repository's is kept by the appliance, changed, and merged by a person", async () => {
  const house = await reviewHouse();
  const { pullRequests, person, gitIn } = house;
  const id = await house.worked("demo");
  const [made] = await pullRequests.open(id, person, { draft: true });
  if (made === undefined) throw new Error("none was opened");
  expect(made).toMatchObject({ keptBy: "appliance", number: 1, webUrl: "" });
  expect((await pullRequests.look(made.id)).commits).toMatchObject([{ subject: "Round it" }]);
  await expect(pullRequests.merge(made.id, person, made)).rejects.toThrow("It is a draft.");
  await pullRequests.update(made.id, person, { draft: false, title: "All round" });
  expect(await pullRequests.merge(made.id, person, made)).toMatchObject({ state: "merged" });
  expect(gitIn("demo", "log", "-1", "--format=%an|%s|%b", "main")).toBe(
    `ada|Merge pull request #1 from ${workBranch}|All round`,
  );
  await expect(pullRequests.merge(made.id, person, made)).rejects.toThrow("demo#1 is merged already");
  expect(kinds(house, id).map(({ kind }) => kind)).toEqual([
    ...(["pull_request_opened", "pull_request_updated", "pull_request_merged"] as const),
  ]);
});

test("conflicts are named, what was not looked at is not merged, and closing changes no branch", async () => {
  const { pullRequests, person, worked, commit, gitIn } = await reviewHouse();
  const id = await worked("demo");
  const [made] = await pullRequests.open(id, person, ready);
  if (made === undefined) throw new Error("none was opened");
  const newer = await commit("demo", workBranch, { "a.txt": "3\n" });
  await expect(pullRequests.merge(made.id, person, { headCommit: made.headCommit })).rejects.toThrow(
    "was pushed to since",
  );
  expect((await pullRequests.look(made.id)).pullRequest.headCommit).toBe(newer);
  const base = await commit("demo", "main", { "a.txt": "4\n" });
  await expect(pullRequests.merge(made.id, person, { headCommit: newer })).rejects.toThrow(
    "change the same lines: a.txt.",
  );
  expect(await pullRequests.close(made.id, person)).toMatchObject({ state: "closed" });
  expect([gitIn("demo", "rev-parse", "main"), gitIn("demo", "rev-parse", workBranch)]).toEqual([base, newer]);
  // A closed one makes place for another.
  expect(await pullRequests.open(id, person, ready)).toMatchObject([{ number: 2 }]);
});

test("a forge's own is merged and closed there alone", async () => {
  const { pullRequests, person, worked } = await reviewHouse();
  const [made] = await pullRequests.open(await worked(remoteName), person, ready);
  if (made === undefined) throw new Error("none was opened");
  for (const change of [
    () => pullRequests.merge(made.id, person, made),
    () => pullRequests.close(made.id, person),
  ])
    await expect(change()).rejects.toThrow("is kept by its forge");
});

test("on request it is opened when the task completes, once, and by the next server where this one died", async () => {
  const house = await reviewHouse();
  const { store, context, submit, complete, commit, rows, forge, scheduler } = house;
  await scheduler.start();
  const id = submit([remoteName], "draft");
  const push = async () => ({
    repository: remoteName,
    commit: await commit(remoteName, workBranch, { b: "1" }),
  });
  // Completed while nobody was there to open it.
  await complete(id, push);
  expect(store.tasks.owingPullRequests(9).map((task) => task.id)).toEqual([id]);
  const next = () =>
    createOwedPullRequests(
      { store, pullRequests: createPullRequests(context), log: context.log, now: context.ids.now },
      { pauseMs: 40 },
    );
  forge.loseAnswer = true;
  forge.failures.set("find", new CcwError("unavailable", "The forge is away."));
  const dying = next();
  dying.start();
  await until("it was tried", () => house.notices(id).length > 0);
  await dying.close();
  forge.loseAnswer = false;
  forge.failures.clear();
  const owed = next();
  owed.start();
  await until("it is open", () => store.pullRequests.list({ taskId: id, limit: 9 })[0]);
  await until("it is settled", () => store.tasks.get(id)?.pullRequest === "none");
  expect(rows).toMatchObject([{ draft: true }]);

  // A task that has nothing to offer is not asked for ever.
  const empty = submit(["demo"], "ready");
  await complete(empty);
  await until("it is given up", () => store.tasks.get(empty)?.pullRequest === "none");
  expect(house.notices(empty)[0]).toContain("nothing to offer");
  await owed.close();
});
