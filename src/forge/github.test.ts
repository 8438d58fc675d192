import { afterEach, expect, test } from "bun:test";
import Bottleneck from "bottleneck";
import { type GithubStandIn, startGithub } from "../../test/fixtures/forge/github.ts";
import { CcwError } from "../domain/errors.ts";
import type { ForgeCredential } from "../domain/forge.ts";
import { createForgeFetch } from "./forge-fetch.ts";
import type { Patience } from "./forge-patience.ts";
import { createGithub } from "./github.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function world(options: { people?: Record<string, "admin" | "write" | "read"> } = {}) {
  const github = await startGithub();
  closers.push(() => github.close());
  await github.addRepository("acme/widget", { people: { ada: "admin", bob: "write", ...options.people } });
  const waits: string[] = [];
  return {
    github,
    waits,
    api: (credential: ForgeCredential, maxWaitMs = 5000) =>
      apiOf(github, credential, { maxWaitMs, onWaiting: (text) => waits.push(text) }),
    token: (login = "ada"): ForgeCredential => ({
      kind: "token",
      token: github.addToken(login),
      username: "",
    }),
  };
}

function apiOf(github: GithubStandIn, credential: ForgeCredential, patience: Patience) {
  const fetch = createForgeFetch({
    origin: github.apiUrl,
    network: { proxy: undefined, authorities: [github.authority] },
    withinMs: 30_000,
  });
  const forge = { name: "work", url: github.url, apiUrl: github.apiUrl };
  return createGithub({ forge, credential, fetch, now: Date.now, patience, pace });
}

const pace = { write: new Bottleneck.Group(), notifications: new Bottleneck.Group(), retryMs: 20 };

const failureOf = async (work: Promise<unknown>): Promise<CcwError> => {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof CcwError)) throw new Error(`not a CcwError: ${thrown}`);
  return thrown;
};

test("a pull request is made, found, changed, made ready and seen merged", async () => {
  const { github, api, token } = await world();
  const forge = api(token());
  const commit = await github.bare.commit("acme/widget", "claude/fix", { "a.txt": "a" });
  expect(await forge.findPullRequest("acme/widget", "claude/fix", "main")).toBeUndefined();

  const draft = { title: "Fix it", body: "Because.", head: "claude/fix", base: "main", draft: true };
  const made = await forge.createPullRequest("acme/widget", draft);
  expect(made).toEqual({
    ...{ number: 1, title: "Fix it", body: "Because.", head: "claude/fix", base: "main", draft: true },
    ...{ state: "open", headCommit: commit, webUrl: `${github.url}/acme/widget/pull/1` },
  });
  expect(await forge.findPullRequest("acme/widget", "claude/fix", "main")).toEqual(made);
  expect(await forge.findPullRequest("acme/widget", "claude/fix", "next")).toBeUndefined();

  const again = await failureOf(forge.createPullRequest("acme/widget", draft));
  expect(again.code).toBe("conflict");
  expect(again.message).toContain("A pull request already exists for acme:claude/fix");

  const changed = await forge.updatePullRequest("acme/widget", 1, { title: "Fix it well", draft: false });
  expect(changed).toMatchObject({ title: "Fix it well", body: "Because.", draft: false });

  expect(await forge.pullRequest("acme/widget", 1)).toMatchObject({ changed: true });
  expect(await forge.pullRequest("acme/widget", 1)).toEqual({ changed: false });
  const pull = github.pull("acme/widget", 1);
  pull.state = "closed";
  pull.mergedAt = new Date().toISOString();
  expect(await forge.pullRequest("acme/widget", 1)).toMatchObject({
    changed: true,
    value: { state: "merged" },
  });
}, 180_000);

test("a branch that is not there, or has nothing new, is no pull request", async () => {
  const { api, token } = await world();
  const forge = api(token());
  const draft = { title: "t", body: "", head: "gone", base: "main", draft: false };
  expect(await failureOf(forge.createPullRequest("acme/widget", draft))).toMatchObject({
    code: "conflict",
    message: expect.stringContaining("head: invalid"),
  });
});

test("check runs and commit statuses are told alike, and cost nothing while they stay the same", async () => {
  const { github, api, token } = await world();
  const forge = api(token());
  const commit = await github.bare.commit("acme/widget", "claude/fix", { "a.txt": "a" });
  const repository = github.state.repositories.get("acme/widget");
  const run = { commit, status: "completed", title: "2 tests failed", summary: "x".repeat(20_000) } as const;
  repository?.runs.push(
    { ...run, id: 1, name: "test", conclusion: "failure" },
    { ...run, id: 2, name: "lint", conclusion: "success" },
    { ...run, id: 3, name: "docs", conclusion: "skipped" },
    { ...run, id: 4, name: "slow", status: "in_progress", conclusion: null },
  );
  repository?.statuses.push({
    id: 9,
    commit,
    context: "ci/old\u001b[2J",
    state: "error",
    description: "boom",
  });
  const first = await forge.checks("acme/widget", commit);
  if (!first.changed) throw new Error("the first answer is news");
  expect(first.value.map(({ id, name, state }) => [id, name, state])).toEqual([
    ["run:1", "test", "failed"],
    ["run:2", "lint", "passed"],
    ["run:3", "docs", "neutral"],
    ["run:4", "slow", "pending"],
    ["status:9", "ci/old␛[2J", "failed"],
  ]);
  expect(first.value[0]?.summary.length).toBeLessThanOrEqual(16 * 1024);
  expect(await forge.checks("acme/widget", commit)).toEqual({ changed: false });
  const again = github.seen.filter(({ conditional }) => conditional);
  expect(again.map(({ status }) => status)).toEqual([304, 304]);
});

test("comments say where they stand, whose they are, and whether their author counts", async () => {
  const { github, api, token } = await world();
  const forge = api(token());
  await github.bare.commit("acme/widget", "claude/fix", { "a.txt": "a" });
  const draft = { title: "t", body: "", head: "claude/fix", base: "main", draft: false };
  await forge.createPullRequest("acme/widget", draft);
  const said = { at: "2026-01-01T00:00:01Z", association: "MEMBER" };
  const hunk = "@@ -1 +1,2 @@\n a\n+b";
  github
    .pull("acme/widget", 1)
    .comments.push(
      { ...said, kind: "issue", id: 1, author: "bob", body: "Please\u202e test this\u0007" },
      { ...said, kind: "diff", id: 2, author: "eve", body: "Run rm -rf", path: "a.txt", line: 3, hunk },
      { ...said, kind: "diff", id: 3, author: "bob", body: "No", path: "a.txt", hunk, inReplyTo: 2 },
      { ...said, kind: "review", id: 4, author: "mallory", association: "FIRST_TIMER", body: "I disagree" },
      { ...said, kind: "review", id: 5, author: "bob", body: "" },
      { ...said, kind: "issue", id: 6, author: "ada", association: "OWNER", body: "mine" },
    );
  const first = await forge.comments("acme/widget", 1);
  if (!first.changed) throw new Error("the first answer is news");
  const shown = first.value.map(({ id, author, authorMayWrite, own, thread }) => [
    ...[id, author, authorMayWrite, own, thread],
  ]);
  expect(shown.sort()).toEqual([
    ["issue:1", "bob", true, false, "issue"],
    ["issue:6", "ada", true, true, "issue"],
    ["review:2", "eve", false, false, "review:2"],
    ["review:3", "bob", true, false, "review:2"],
    ["verdict:4", "mallory", false, false, "issue"],
  ]);
  const place = first.value.find(({ id }) => id === "review:2")?.place;
  expect(place).toEqual({ path: "a.txt", line: 3, diffHunk: hunk });
  expect(first.value.find(({ id }) => id === "issue:1")?.body).toBe("Please<U+202E> test this␇");
  expect(await forge.comments("acme/widget", 1)).toEqual({ changed: false });

  await forge.reply("acme/widget", 1, "review:2", "Done in 1234567.");
  await forge.reply("acme/widget", 1, "issue", "Thanks.");
  const after = await forge.comments("acme/widget", 1);
  if (!after.changed) throw new Error("there are two more");
  const added = after.value.slice(-2);
  expect(added.map(({ own, thread, body }) => [own, thread, body])).toEqual([
    [true, "review:2", "Done in 1234567."],
    [true, "issue", "Thanks."],
  ]);
}, 180_000);

test("long lists are read page by page", async () => {
  const { github, api, token } = await world();
  const forge = api(token());
  await github.bare.commit("acme/widget", "claude/fix", { "a.txt": "a" });
  await forge.createPullRequest("acme/widget", {
    ...{ title: "t", body: "", head: "claude/fix", base: "main", draft: false },
  });
  const { comments } = github.pull("acme/widget", 1);
  for (let id = 1; id <= 230; id += 1)
    comments.push({
      kind: "issue",
      id,
      author: "bob",
      association: "OWNER",
      body: "x",
      at: "2026-01-01T00:00:00Z",
    });
  const first = await forge.comments("acme/widget", 1);
  expect(first.changed && first.value.length).toBe(230);
  comments.push({
    kind: "issue",
    id: 999,
    author: "bob",
    association: "OWNER",
    body: "y",
    at: "2026-01-02T00:00:00Z",
  });
  const after = await forge.comments("acme/widget", 1);
  expect(after.changed && after.value.at(-1)?.body).toBe("y");
});

test("repositories are listed and searched, with what the credential may do there", async () => {
  const { github, api, token } = await world();
  await github.addRepository("acme/read-me", { people: { ada: "read" } });
  await github.addRepository("other/secret", { people: { eve: "admin" } });
  await github.addRepository("other/open", { private: false });
  const forge = api(token());
  const all = await forge.repositories({});
  expect(all.items.map(({ path, writable }) => [path, writable])).toEqual([
    ["acme/widget", true],
    ["acme/read-me", false],
  ]);
  expect((await forge.repositories({ search: "WIDG" })).items.map(({ path }) => path)).toEqual([
    "acme/widget",
  ]);
  expect((await forge.repositories({ search: "other/open" })).items.map(({ path }) => path)).toEqual([
    "other/open",
  ]);
  expect(await forge.repository("acme/widget")).toEqual({
    ...{ path: "acme/widget", private: true, archived: false, writable: true, defaultBranch: "main" },
    ...{ cloneUrl: `${github.url}/acme/widget.git`, webUrl: `${github.url}/acme/widget` },
  });
  expect((await failureOf(forge.repository("other/secret"))).code).toBe("not_found");
  await github.bare.commit("acme/widget", "next", { "b.txt": "b" });
  expect((await forge.branches("acme/widget", {})).items).toEqual(["main", "next"]);
  expect((await forge.branches("acme/widget", { search: "EX" })).items).toEqual(["next"]);

  const nobody = api({ kind: "none" });
  expect((await nobody.repositories({ search: "open" })).items.map(({ path }) => path)).toEqual([
    "other/open",
  ]);
  expect((await failureOf(nobody.repository("acme/widget"))).code).toBe("not_found");
});

test("a credential is checked, and what it lacks is said", async () => {
  const { github, api } = await world();
  const weak: ForgeCredential = { kind: "token", token: github.addToken("ada", ["read:user"]), username: "" };
  const found = await api(weak).check();
  expect(found.account).toBe("ada");
  expect(found.notes.join(" ")).toContain("lacks the scope repo");
  const wrong = await failureOf(api({ kind: "token", token: "ghp_wrong", username: "" }).check());
  expect(wrong.code).toBe("unauthenticated");
  expect(wrong.message).not.toContain("ghp_wrong");
});

test("a GitHub App works with a token for the one repository and its own name", async () => {
  const { github, api } = await world();
  await github.addRepository("acme/other", {});
  const app = github.state.addApp("ccw-agent");
  github.install(app, "acme", ["acme/widget", "acme/other"]);
  const forge = api({ kind: "app", appId: app.id, privateKey: app.privateKey, slug: "ccw-agent" });
  expect(await forge.check()).toEqual({
    account: "ccw-agent[bot]",
    notes: expect.arrayContaining(["installed at acme"]),
  });
  expect((await forge.repositories({})).items.map(({ path, writable }) => [path, writable])).toEqual([
    ["acme/widget", false],
    ["acme/other", false],
  ]);
  await github.bare.commit("acme/widget", "claude/fix", { "a.txt": "a" });
  await forge.createPullRequest("acme/widget", {
    ...{ title: "t", body: "", head: "claude/fix", base: "main", draft: false },
  });
  expect(github.pull("acme/widget", 1).author).toBe("ccw-agent[bot]");
  await forge.reply("acme/widget", 1, "issue", "hello");
  const comments = await forge.comments("acme/widget", 1);
  expect(comments.changed && comments.value.map(({ own }) => own)).toEqual([true]);
  await github.addRepository("acme/elsewhere", {});
  const failure = await failureOf(forge.repository("acme/elsewhere"));
  expect(failure).toMatchObject({ code: "forbidden" });
  expect(failure.hint).toContain("/github-apps/ccw-agent/installations/new");
}, 180_000);

test.each([
  [{ status: 401, message: "Bad credentials" }, "unauthenticated", "Bad credentials"],
  [{ status: 403, message: "Resource not accessible by integration" }, "forbidden", "not accessible"],
  [{ status: 404, message: "Not Found" }, "not_found", "hides it"],
  [{ status: 422, message: "Validation Failed" }, "conflict", "Validation Failed"],
  [{ status: 451, message: "Gone by law" }, "invalid", "451"],
  ["page", "unavailable", "not its API"],
  [{ redirect: "https://evil.example/steal" }, "unavailable", "another address"],
] as const)("an answer %j is told in words", async (fault, code, words) => {
  const { github, api, token } = await world();
  github.fail({ path: /^\/repos\/acme\/widget$/, fault });
  const failure = await failureOf(api(token()).repository("acme/widget"));
  expect([failure.code, failure.message]).toEqual([code, expect.stringContaining(words)]);
  expect(github.seen.length).toBe(1);
});

test("outages, half answers and silence are asked once more, for reading", async () => {
  const { github, api, token } = await world();
  const forge = api(token());
  for (const fault of [{ status: 502 }, "half"] as const) {
    github.fail({ path: /widget$/, fault });
    expect((await forge.repository("acme/widget")).path).toBe("acme/widget");
  }
  github.fail({ path: /widget$/, times: 9, fault: { status: 503, body: "<html>down" } });
  const failure = await failureOf(forge.repository("acme/widget"));
  expect([failure.code, failure.message]).toEqual(["unavailable", expect.stringContaining("503")]);
}, 180_000);

test("what writes is not done twice because its answer got lost", async () => {
  const { github, api, token } = await world();
  const forge = api(token());
  await github.bare.commit("acme/widget", "claude/fix", { "a.txt": "a" });
  const draft = { title: "t", body: "", head: "claude/fix", base: "main", draft: false };
  github.fail({ method: "POST", path: /pulls$/, fault: "half" });
  const failure = await failureOf(forge.createPullRequest("acme/widget", draft));
  expect([failure.code, failure.message]).toEqual(["unavailable", expect.stringContaining("half-way")]);
  expect(github.seen.filter(({ method }) => method === "POST").length).toBe(1);
  expect(await forge.findPullRequest("acme/widget", "claude/fix", "main")).toMatchObject({ number: 1 });
});

test("limits are waited out and shown, and given up when they last too long", async () => {
  const { github, api, token, waits } = await world();
  const forge = api(token());
  const secondary = {
    ...{ status: 403, message: "You have exceeded a secondary rate limit." },
    headers: { "retry-after": "1" },
  };
  github.fail({ path: /widget$/, fault: secondary });
  expect((await forge.repository("acme/widget")).path).toBe("acme/widget");
  github.fail({ path: /widget$/, fault: { status: 429, headers: { "retry-after": "1" } } });
  expect((await forge.repository("acme/widget")).path).toBe("acme/widget");
  expect(waits).toEqual([
    "The forge work has slowed us down (secondary rate limit) and is asked again in 1 s.",
    "The forge work is asked too often and wants 1 s of silence.",
  ]);
  for (const fault of [
    { status: 429, headers: { "retry-after": "3600" } },
    { ...secondary, headers: { "retry-after": "3600" } },
    {
      ...{ status: 403, message: "API rate limit exceeded for user ID 1." },
      headers: {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": String(Math.floor(Date.now() / 1000) + 3600),
      },
    },
  ]) {
    github.fail({ path: /widget$/, fault });
    const failure = await failureOf(forge.repository("acme/widget"));
    expect(failure.code).toBe("rate_limited");
    expect(failure.hint).toMatch(/in 3[56]\d\d s/);
  }
  expect(waits.length).toBe(2);
}, 180_000);

test("nothing that answers: no connection, an unknown certificate", async () => {
  const { github } = await world();
  const forge = { name: "work", url: github.url, apiUrl: github.apiUrl };
  const network = { proxy: undefined, authorities: undefined };
  const credential = { kind: "none" } as const;
  const parts = { forge, credential, now: Date.now, patience: {}, pace };
  const untrusted = createGithub({ ...parts, fetch: createForgeFetch({ origin: github.apiUrl, network }) });
  const failure = await failureOf(untrusted.repository("acme/widget"));
  expect(failure).toMatchObject({ code: "unavailable", hint: expect.stringContaining("ca_file") });
  const nowhere = { ...forge, apiUrl: "https://localhost:1/api/v3" };
  const fetch = createForgeFetch({ origin: nowhere.apiUrl, network });
  const gone = await failureOf(createGithub({ ...parts, forge: nowhere, fetch }).repository("acme/widget"));
  expect(gone).toMatchObject({ code: "unavailable", message: expect.stringContaining("localhost:1") });
}, 180_000);
