import { expect, test } from "bun:test";
import { startGithub } from "./fixtures/forge/github.ts";
import { githubDescription } from "./fixtures/forge/openapi.ts";

const description = githubDescription();

test("a request that GitHub does not know is a violation, and fails whoever made it", async () => {
  const github = await startGithub();
  await github.addRepository("acme/widget", { people: { ada: "admin" } });
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${github.apiUrl}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${github.addToken("ada")}` },
      tls: { ca: github.authority },
    });
  await ask("/repos/acme/widget/pulls?state=merged");
  await ask("/repos/acme/widget/pulls?stat=open");
  await ask("/repos/acme/widget/pulls/1/merge_it", { method: "POST" });
  await ask("/repos/acme/widget/pulls", { method: "POST", body: JSON.stringify({ title: 1, haed: "x" }) });
  expect(github.violations).toEqual([
    "GET /repos/acme/widget/pulls: state: / must be equal to one of the allowed values",
    "GET /repos/acme/widget/pulls: GitHub knows no parameter stat here",
    "POST /repos/acme/widget/pulls/1/merge_it: GitHub has no such operation",
    "POST /repos/acme/widget/pulls: / must have required property 'head'",
    "POST /repos/acme/widget/pulls: / must have required property 'base'",
    "POST /repos/acme/widget/pulls: /title must be string",
    "POST /repos/acme/widget/pulls: GitHub knows no haed in this body",
  ]);
  await expect(github.close()).rejects.toThrow("Not as GitHub describes it");
});

test("an answer that GitHub would not give is a violation", () => {
  const operation = description.operationAt("GET", "/repos/acme/widget/pulls/1");
  if (operation === undefined) throw new Error("GitHub has pull requests");
  expect(operation.template).toBe("/repos/{owner}/{repo}/pulls/{pull_number}");
  const good = description.sample("pull-request");
  expect(description.whyNotAnswered(operation, 200, good)).toEqual([]);
  const { number: _, ...without } = good;
  expect(description.whyNotAnswered(operation, 200, without)).toEqual([
    "/ must have required property 'number'",
  ]);
  expect(description.whyNotAnswered(operation, 200, { ...good, title: null })).toEqual([
    "/title must be string",
  ]);
  expect(description.whyNotAnswered(operation, 200, { ...good, state: "merged" })).not.toEqual([]);
  expect(description.whyNotAnswered(operation, 402, good)).toEqual(["GitHub never answers 402 to this"]);
});

test("behind it is a real git server, which takes the tokens that it gave out", async () => {
  const github = await startGithub();
  await github.addRepository("acme/widget", { people: { ada: "admin", bob: "read" } });
  const git = async (login: string | undefined, ...argv: string[]) => {
    const { host } = new URL(github.url);
    const who = login === undefined ? "" : `x-access-token:${github.addToken(login)}@`;
    const child = Bun.spawn(["git", ...argv, `https://${who}${host}/acme/widget.git`], {
      env: { PATH: process.env["PATH"] ?? "", GIT_TERMINAL_PROMPT: "0", GIT_SSL_NO_VERIFY: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, text: out + err };
  };
  expect((await git("ada", "ls-remote")).text).toContain("refs/heads/main");
  expect((await git("bob", "ls-remote")).code).toBe(0);
  expect((await git("eve", "ls-remote")).text).toContain("not found");
  expect((await git(undefined, "ls-remote")).code).not.toBe(0);
  await github.close();
});
