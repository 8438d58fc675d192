import { afterEach, expect, test } from "bun:test";
import type {
  CommitStatusSchema,
  ExpandedMergeRequestSchema,
  ExpandedUserSchema,
  MemberSchema,
  ProjectSchema,
} from "@gitbeaker/rest";
import { type SmallRequest, startSmallForge } from "../../test/fixtures/forge/small-forge.ts";
import type { ForgeCredential } from "../domain/forge.ts";
import { createForgeFetch } from "./forge-fetch.ts";
import { createGitlab } from "./gitlab.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const commit = "a".repeat(40);

function world() {
  const merges: Partial<ExpandedMergeRequestSchema>[] = [];
  const discussions: { id: string; notes: object[] }[] = [];
  const project: Partial<ProjectSchema> = {
    ...{
      path_with_namespace: "team/sub/tool",
      default_branch: "main",
      visibility: "private",
      archived: false,
    },
    ...{
      web_url: "http://gitlab.example/team/sub/tool",
      http_url_to_repo: "http://gitlab.example/team/sub/tool.git",
    },
    permissions: {
      project_access: { access_level: 40, notification_level: 3 },
      group_access: { access_level: 0, notification_level: 3 },
    },
  };
  const here = (answer: (asked: SmallRequest) => unknown) => (asked: SmallRequest) =>
    asked.groups["id"] === "team/sub/tool" ? answer(asked) : undefined;
  const mergeAt = ({ groups }: SmallRequest) => merges.find(({ iid }) => String(iid) === groups["iid"]);
  const withTitle = (title: string) => ({ title, draft: title.startsWith("Draft: ") });
  const gitlab = startSmallForge({
    root: "/api/v4",
    knows: (headers, token) => [token, null].includes(headers.get("private-token")),
    routes: {
      "GET /user": () => ({ id: 7, username: "agent" }) satisfies Partial<ExpandedUserSchema>,
      "GET /projects": ({ query }) => ((query.get("search") ?? "tool") === "tool" ? [project] : []),
      "GET /projects/:id": here(() => project),
      "GET /projects/:id/repository/branches": here(() => [{ name: "main" }, { name: "next" }]),
      "GET /projects/:id/merge_requests": here(({ query }) =>
        merges.filter(
          (each) =>
            each.source_branch === query.get("source_branch") &&
            each.target_branch === query.get("target_branch"),
        ),
      ),
      "POST /projects/:id/merge_requests": here(({ body }) => {
        if (merges.some((each) => each.source_branch === body["source_branch"]))
          return Response.json(
            { message: ["Another open merge request already exists for this source branch: !1"] },
            { status: 409 },
          );
        const made = {
          ...{
            iid: 1,
            web_url: "http://gitlab.example/x/1",
            ...withTitle(String(body["title"])),
            state: "opened",
          },
          ...{ description: String(body["description"]), sha: commit },
          ...{ source_branch: String(body["source_branch"]), target_branch: String(body["target_branch"]) },
        } satisfies Partial<ExpandedMergeRequestSchema>;
        merges.push(made);
        return made;
      }),
      "GET /projects/:id/merge_requests/:iid": here(mergeAt),
      "PUT /projects/:id/merge_requests/:iid": here((asked) => {
        const { title, description } = asked.body;
        return Object.assign(
          mergeAt(asked) ?? {},
          title === undefined ? {} : withTitle(String(title)),
          description === undefined ? {} : { description },
        );
      }),
      "GET /projects/:id/repository/commits/:sha/statuses": here(() => [
        { ...status, id: 1, name: "test", status: "failed", description: "2 failed" },
        { ...status, id: 2, name: "flaky", status: "failed", allow_failure: true },
        { ...status, id: 3, name: "build", status: "success" },
        { ...status, id: 4, name: "deploy", status: "running" },
      ]),
      "GET /projects/:id/merge_requests/:iid/discussions": here(() => discussions),
      "POST /projects/:id/merge_requests/:iid/discussions/:discussion/notes": here(({ groups, body }) => {
        const made = note(20, 7, "agent", String(body["body"]));
        discussions.find(({ id }) => id === groups["discussion"])?.notes.push(made);
        return made;
      }),
      "GET /projects/:id/members/all/:user": here(({ groups }) =>
        groups["user"] === "8" || groups["user"] === "7"
          ? ({ id: 8, access_level: 30 } satisfies Partial<MemberSchema>)
          : groups["user"] === "9"
            ? ({ id: 9, access_level: 20 } satisfies Partial<MemberSchema>)
            : undefined,
      ),
    },
  });
  closers.push(() => gitlab.close());
  const apiUrl = `${gitlab.url}/api/v4`;
  const waits: string[] = [];
  const apiWith = (credential: ForgeCredential) =>
    createGitlab({
      forge: { name: "work", url: gitlab.url, apiUrl },
      ...{ credential, now: Date.now },
      patience: { onWaiting: (text) => waits.push(text), maxWaitMs: 3000 },
      fetch: createForgeFetch({ origin: apiUrl, network: { proxy: undefined, authorities: undefined } }),
    });
  const api = apiWith({ kind: "token", token: gitlab.token, username: "" });
  return { gitlab, api, apiWith, discussions, waits };
}

const status: Partial<CommitStatusSchema> = {
  allow_failure: false,
  description: "",
  target_url: "http://g.example/j",
};
const note = (id: number, author: number, username: string, body: string, more: object = {}) =>
  ({
    ...{ id, body, created_at: `2026-01-01T00:00:${String(id).padStart(2, "0")}Z`, system: false },
    ...{ author: { id: author, username }, ...more },
  }) satisfies object;

test("a merge request is made, found, changed and made ready", async () => {
  const { api } = world();
  expect(await api.check()).toEqual({ account: "agent", notes: [] });
  const draft = { title: "Fix", body: "Because.", head: "claude/fix", base: "main", draft: true };
  const made = await api.createPullRequest("team/sub/tool", draft);
  expect(made).toEqual({
    ...{ ...draft, number: 1, state: "open", headCommit: commit, webUrl: "http://gitlab.example/x/1" },
  });
  expect(await api.findPullRequest("team/sub/tool", "claude/fix", "main")).toEqual(made);
  await expect(api.createPullRequest("team/sub/tool", draft)).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("Another open merge request already exists"),
  });
  expect(await api.updatePullRequest("team/sub/tool", 1, { draft: false })).toMatchObject({
    title: "Fix",
    draft: false,
  });
  expect(await api.updatePullRequest("team/sub/tool", 1, { body: "More." })).toMatchObject({
    ...{ title: "Fix", body: "More.", draft: false },
  });
  expect(await api.pullRequest("team/sub/tool", 1)).toMatchObject({ changed: true });
  expect(await api.pullRequest("team/sub/tool", 1)).toEqual({ changed: false });
});

test("projects, branches and jobs are read as they are", async () => {
  const { api } = world();
  const tool = { path: "team/sub/tool", private: true, writable: true, defaultBranch: "main" };
  expect((await api.repositories({})).items).toMatchObject([tool]);
  expect((await api.repositories({ search: "other" })).items).toEqual([]);
  expect(await api.repository("team/sub/tool")).toMatchObject(tool);
  await expect(api.repository("team/other")).rejects.toMatchObject({ code: "not_found" });
  expect((await api.branches("team/sub/tool", {})).items).toEqual(["main", "next"]);
  const checks = await api.checks("team/sub/tool", commit);
  expect(checks.changed && checks.value.map(({ name, state, summary }) => [name, state, summary])).toEqual([
    ["test", "failed", "2 failed"],
    ["flaky", "neutral", ""],
    ["build", "passed", ""],
    ["deploy", "pending", ""],
  ]);
});

test("only developers' words count; answers go into the thread", async () => {
  const { api, discussions } = world();
  const position = { new_path: "a.ts", old_path: "a.ts", new_line: 3, old_line: null };
  discussions.push(
    { id: "abc1", notes: [note(1, 8, "dev", "Please test", { position })] },
    { id: "abc2", notes: [note(2, 9, "reporter", "Run this"), note(3, 99, "stranger", "And that")] },
    { id: "abc3", notes: [note(4, 8, "dev", "added 1 commit", { system: true })] },
  );
  const first = await api.comments("team/sub/tool", 1);
  expect(
    first.changed &&
      first.value.map(({ author, authorMayWrite, thread }) => [author, authorMayWrite, thread]),
  ).toEqual([
    ["dev", true, "discussion:abc1"],
    ["reporter", false, "discussion:abc2"],
    ["stranger", false, "discussion:abc2"],
  ]);
  expect(first.changed && first.value[0]?.place).toEqual({ path: "a.ts", line: 3, diffHunk: "" });
  await api.reply("team/sub/tool", 1, "discussion:abc1", "Done.");
  const after = await api.comments("team/sub/tool", 1);
  expect(after.changed && after.value.find(({ own }) => own)).toMatchObject({
    body: "Done.",
    thread: "discussion:abc1",
  });
});

test("refusals are told in words; limits and outages are waited out", async () => {
  const { api, apiWith, gitlab, waits } = world();
  const wrong = apiWith({ kind: "token", token: "glpat-wrong", username: "" });
  await expect(wrong.check()).rejects.toMatchObject({ code: "unauthenticated" });
  gitlab.fail({ path: /^\/projects\/team/, fault: "page" });
  await expect(api.repository("team/sub/tool")).rejects.toThrow("not its API");
  gitlab.fail({ path: /^\/projects\/team/, fault: { status: 429, headers: { "retry-after": "1" } } });
  gitlab.fail({ path: /^\/projects\/team/, fault: { status: 502 } });
  expect((await api.repository("team/sub/tool")).path).toBe("team/sub/tool");
  expect(waits.length).toBe(2);
  gitlab.fail({ path: /^\/projects\/team/, fault: { status: 429, headers: { "retry-after": "60" } } });
  await expect(api.repository("team/sub/tool")).rejects.toMatchObject({
    code: "rate_limited",
    hint: "Try again in 60 s.",
  });
}, 180_000);
