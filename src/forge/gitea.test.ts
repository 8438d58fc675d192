import { afterEach, expect, test } from "bun:test";
import type { Comment, CommitStatus, PullRequest, PullReview, PullReviewComment, Repository } from "gitea-js";
import { type SmallRequest, startSmallForge } from "../../test/fixtures/forge/small-forge.ts";
import { createForgeFetch } from "./forge-fetch.ts";
import { createGitea } from "./gitea.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const sha = "b".repeat(40);

function world() {
  const pulls: PullRequest[] = [];
  const said: Comment[] = [];
  const tool: Repository = {
    ...{ full_name: "team/tool", default_branch: "main", private: true, archived: false },
    ...{ clone_url: "http://gitea.example/team/tool.git", html_url: "http://gitea.example/team/tool" },
    permissions: { admin: false, push: true, pull: true },
  };
  const here = (answer: (asked: SmallRequest) => unknown) => (asked: SmallRequest) =>
    asked.groups["repo"] === "tool" ? answer(asked) : undefined;
  const pullAt = ({ groups }: SmallRequest) => pulls.find(({ number }) => String(number) === groups["index"]);
  const at = "/repos/:owner/:repo";
  const review = {
    id: 5,
    user: { login: "dev" },
    body: "",
    comments_count: 1,
    submitted_at: "2026-01-01T00:00:03Z",
  };
  const inDiff: PullReviewComment = {
    ...{ id: 6, user: { login: "dev" }, body: "Why?", created_at: "2026-01-01T00:00:03Z", html_url: "" },
    ...{ path: "a.go", position: 4, diff_hunk: "@@ -1 +1 @@" },
  };
  const gitea = startSmallForge({
    root: "/api/v1",
    knows: (headers, token) => headers.get("authorization") === `Bearer ${token}`,
    routes: {
      "GET /user": () => ({ login: "agent" }),
      "GET /user/repos": () => [tool],
      "GET /repos/search": ({ query }) => ({ ok: true, data: query.get("q") === "too" ? [tool] : [] }),
      [`GET ${at}`]: here(() => tool),
      [`GET ${at}/branches`]: here(() => [{ name: "main" }, { name: "next" }]),
      [`GET ${at}/pulls`]: here(() => pulls),
      [`POST ${at}/pulls`]: here(({ body }) => {
        if (pulls.length > 0)
          return Response.json({ message: "pull request already exists for these targets" }, { status: 409 });
        const title = String(body["title"]);
        const made: PullRequest = {
          ...{
            number: 1,
            html_url: "http://gitea.example/team/tool/pulls/1",
            title,
            draft: title.startsWith("WIP:"),
          },
          ...{ body: String(body["body"]), state: "open", merged: false },
          ...{ head: { ref: String(body["head"]), sha }, base: { ref: String(body["base"]) } },
        };
        pulls.push(made);
        return made;
      }),
      [`GET ${at}/pulls/:index`]: here(pullAt),
      [`PATCH ${at}/pulls/:index`]: here((asked) => {
        const { title } = asked.body;
        const draft = typeof title === "string" ? { draft: title.startsWith("WIP:") } : {};
        return Object.assign(pullAt(asked) ?? {}, asked.body, draft);
      }),
      [`GET ${at}/commits/:ref/status`]: here(() => ({
        statuses: [
          { id: 1, context: "ci", status: "failure", description: "boom", target_url: "http://ci.example/1" },
          { id: 2, context: "lint", status: "success", description: "", target_url: "" },
        ] satisfies CommitStatus[],
      })),
      [`GET ${at}/issues/:index/comments`]: here(() => said),
      [`POST ${at}/issues/:index/comments`]: here(({ body }) => {
        const made: Comment = { ...words, id: 9, user: { login: "agent" }, body: String(body["body"]) };
        said.push(made);
        return made;
      }),
      [`GET ${at}/pulls/:index/reviews`]: here(() => [review] satisfies PullReview[]),
      [`GET ${at}/pulls/:index/reviews/:id/comments`]: here(() => [inDiff]),
      [`GET ${at}/collaborators/:name/permission`]: here(({ groups }) =>
        groups["name"] === "eve" ? { permission: "read" } : { permission: "write" },
      ),
    },
  });
  closers.push(() => gitea.close());
  const apiUrl = `${gitea.url}/api/v1`;
  const api = createGitea({
    forge: { name: "work", url: gitea.url, apiUrl },
    credential: { kind: "token", token: gitea.token, username: "" },
    ...{ now: Date.now, patience: {} },
    fetch: createForgeFetch({ origin: apiUrl, network: { proxy: undefined, authorities: undefined } }),
  });
  return { api, gitea, said };
}

const words = { created_at: "2026-01-01T00:00:02Z", html_url: "http://gitea.example/c" };

test("a pull request is made, found, changed and made ready", async () => {
  const { api } = world();
  expect(await api.check()).toEqual({ account: "agent", notes: [] });
  const draft = { title: "Fix", body: "Because.", head: "claude/fix", base: "main", draft: true };
  const made = await api.createPullRequest("team/tool", draft);
  expect(made).toMatchObject({ ...draft, number: 1, state: "open", headCommit: sha });
  expect(await api.findPullRequest("team/tool", "claude/fix", "main")).toEqual(made);
  await expect(api.createPullRequest("team/tool", draft)).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("already exists"),
  });
  expect(await api.updatePullRequest("team/tool", 1, { draft: false })).toMatchObject({
    title: "Fix",
    draft: false,
  });
  expect(await api.pullRequest("team/tool", 1)).toMatchObject({ changed: true, value: { draft: false } });
  expect(await api.pullRequest("team/tool", 1)).toEqual({ changed: false });
});

test("repositories, branches, statuses and comments are read as they are", async () => {
  const { api, said, gitea } = world();
  const tool = { path: "team/tool", private: true, writable: true };
  expect((await api.repositories({})).items).toMatchObject([tool]);
  expect((await api.repositories({ search: "too" })).items).toMatchObject([tool]);
  await expect(api.repository("team/other")).rejects.toMatchObject({ code: "not_found" });
  expect((await api.branches("team/tool", { search: "ex" })).items).toEqual(["next"]);
  const checks = await api.checks("team/tool", sha);
  expect(checks.changed && checks.value.map(({ name, state }) => [name, state])).toEqual([
    ["ci", "failed"],
    ["lint", "passed"],
  ]);
  said.push({ ...words, id: 1, user: { login: "eve" }, body: "Do it" });
  await api.reply("team/tool", 1, "issue", "Done.");
  const found = await api.comments("team/tool", 1);
  expect(
    found.changed && found.value.map(({ id, authorMayWrite, own }) => [id, authorMayWrite, own]),
  ).toEqual([
    ["issue:1", false, false],
    ["issue:9", true, true],
    ["review:6", true, false],
  ]);
  expect(found.changed && found.value[2]?.place).toEqual({ path: "a.go", line: 4, diffHunk: "@@ -1 +1 @@" });
  gitea.fail({ path: /team\/tool$/, fault: "half" });
  await expect(api.repository("team/tool")).rejects.toMatchObject({ code: "unavailable" });
});
