import { expect, test } from "bun:test";
import { answerFrom } from "./forge-fetch.ts";
import { createGitea } from "./gitea.ts";
import { createGithub } from "./github.ts";
import { createGitlab } from "./gitlab.ts";

/** Anybody may fork what is public, name a branch there like a task's, and offer it: that is nobody's work here. */
const sha = "c".repeat(40);
const common = { title: "Mine", body: "", description: "", state: "open", draft: false, node_id: "n" };
const links = { html_url: "https://forge.example/1", web_url: "https://forge.example/1" };

/** As each of them lists it; the last one is ours. */
function pulls(ours: boolean) {
  return [false, false, ...(ours ? [true] : [])].map((own, index) => ({
    ...{ ...common, ...links, number: index + 1, iid: index + 1, sha },
    ...{ source_branch: "claude/fix", target_branch: "main" },
    ...{ source_project_id: own ? 1 : 2, target_project_id: 1 },
    head: {
      ref: "claude/fix",
      sha,
      repo_id: own ? 1 : 2,
      repo: own ? { id: 1 } : index === 0 ? null : { id: 2 },
    },
    base: { ref: "main", sha, repo_id: 1, repo: { id: 1 } },
  }));
}

test.each([
  ["GitHub", createGithub],
  ["GitLab", createGitlab],
  ["Gitea", createGitea],
])(
  "a pull request of a fork at %s is not taken for the task's own, though its branch has the same name",
  async (_, create) => {
    let ours = false;
    const forge = create({
      forge: { name: "work", url: "https://forge.example", apiUrl: "https://forge.example/api" },
      credential: { kind: "none" },
      fetch: async (url) => answerFrom(url.toString(), Response.json(pulls(ours))),
      patience: {},
      now: Date.now,
    });
    expect(await forge.findPullRequest("acme/widget", "claude/fix", "main")).toBeUndefined();
    ours = true;
    expect((await forge.findPullRequest("acme/widget", "claude/fix", "main"))?.number).toBe(3);
  },
);

test("what is no commit is none of a merge request either", async () => {
  const forge = createGitlab({
    forge: { name: "work", url: "https://forge.example", apiUrl: "https://forge.example/api" },
    credential: { kind: "none" },
    fetch: async (url) => answerFrom(url.toString(), Response.json({ ...pulls(true)[2], sha: "\u001b]0;x" })),
    patience: {},
    now: Date.now,
  });
  await expect(forge.pullRequest("acme/widget", 3)).rejects.toMatchObject({ code: "unavailable" });
});
