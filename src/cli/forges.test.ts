import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { startGithub } from "../../test/fixtures/forge/github.ts";
import { exitCodes } from "./exit-codes.ts";
import { beginCli } from "./wiring.fixture.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The command line against a real server, and that against a forge with two repositories. */
async function serve() {
  const github = await startGithub();
  await github.addRepository("acme/Widget", { people: { ada: "admin" } });
  await github.addRepository("acme/tool", { people: { ada: "read" } });
  const house = startAppServer({ branches: {}, forgeAuthority: github.authority });
  const folder = mkdtempSync(join(tmpdir(), "ccw-forge-cli-"));
  closers.push(
    () => github.close(),
    () => house.close(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const run = (argv: string[], stdin = "") => beginCli(house.dataFolder, argv, stdin).ended;
  return { github, ...house, folder, run };
}

const kind = ["--kind", "github"];
const workflowNote =
  "It has the scope workflow: a task may change what GitHub Actions run, and they have the repository's secrets.";

test("a forge is connected by a token from standard input, tested, listed and forgotten", async () => {
  const { github, run, store } = await serve();
  const token = github.addToken("ada", ["repo", "workflow"]);
  const added = await run(["forge", "add", "work", ...kind, `${github.url}/`, "--token-stdin"], `${token}\n`);
  expect(added).toMatchObject({ code: 0, out: "" });
  expect(added.err).toBe(
    `Connected work, ${github.url}.\nIt knows the credential as ada.\nscopes repo, workflow\n${workflowNote}\n`,
  );
  expect(store.forges.credentialOf("work")).toEqual({ kind: "token", token, username: "" });
  const listed = await run(["forge", "list", "--json"]);
  expect(JSON.parse(listed.out)).toMatchObject([{ name: "work", kind: "github", credential: "token" }]);
  const tested = await run(["forge", "test", "work"]);
  expect([tested.code, tested.err]).toEqual([0, expect.stringContaining("as ada.")]);
  for (const { out, err } of [added, listed, tested]) expect(out + err).not.toContain(token);
  expect((await run(["forge", "remove", "work"])).code).toBe(0);
  expect(store.forges.list()).toEqual([]);
});

test("a credential that the forge does not take is not kept, and is not said to be the person's own", async () => {
  const { github, run, store, folder } = await serve();
  const file = join(folder, "token");
  writeFileSync(file, "ghp_wrong\n");
  const wrong = await run(["forge", "add", "work", ...kind, github.url, "--token-file", file]);
  expect(wrong.code).toBe(exitCodes.denied);
  expect(wrong.err).toContain("does not take the credential");
  expect(wrong.err).not.toContain("ghp_wrong");
  expect(store.forges.list()).toEqual([]);
  const none = await run(["forge", "add", "work", ...kind, github.url, "--token-stdin"], " \n");
  expect(none.err).toContain("There is no secret in it.");
  const both = await run(["forge", "add", "work", ...kind, github.url, "--app-id", "1"]);
  expect(both.err).toContain("--app-id and --key-file together");
  expect((await run(["forge", "add", "work", "--kind", "gitea"])).err).toContain("Where is the gitea?");
});

test("a repository is added by its address or its path, found by search, and forgotten", async () => {
  const { github, run, store, synced } = await serve();
  const unknown = await run(["repo", "add", `${github.url}/acme/widget`]);
  expect([unknown.code, unknown.err]).toEqual([
    exitCodes.notFound,
    `error: No forge is connected at ${github.url}.\nhint: Connect it first: ccw-server forge add NAME ${github.url} --kind KIND (with --token-stdin for more than reading what is public).\n`,
  ]);
  await run(["forge", "add", "work", ...kind, github.url, "--token-stdin"], github.addToken("ada"));
  const { host } = new URL(github.url);

  const added = await run(["repo", "add", `${github.url}/acme/widget.git`]);
  expect(added.out).toBe(`${host}/acme/Widget\n`);
  expect(store.repositories.get(`${host}/acme/Widget`)).toMatchObject({
    ...{ kind: "remote", forge: "work", path: "acme/Widget", defaultBranch: "main" },
    ...{ cloneUrl: `${github.url}/acme/Widget.git`, webUrl: `${github.url}/acme/Widget` },
  });
  const again = await run(["repo", "add", "--forge", "work", "acme/widget"]);
  expect([again.code, again.err]).toEqual([exitCodes.conflict, expect.stringContaining("already")]);
  expect((await run(["repo", "add", "--forge", "work", "acme/nothing"])).code).toBe(exitCodes.notFound);
  expect((await run(["repo", "add", "--forge", "work", "../x"])).code).not.toBe(0);
  expect((await run(["repo", "add", "git@github.com:acme/widget.git"])).err).toContain("not by ssh");
  const secret = await run(["repo", "add", "https://ada:s3cret@github.com/acme/widget"]);
  expect(secret.err).toContain("user or a password in it");
  expect(secret.err).not.toContain("s3cret");

  const found = await run(["repo", "search", "--forge", "work"]);
  expect(found.out.split("\n").slice(1, 3)).toEqual([
    "acme/Widget  main    private  write  yes",
    "acme/tool    main    private  read   no",
  ]);
  await github.bare.commit("acme/Widget", "next", { "a.txt": "a" });
  expect((await run(["repo", "branches", `${host}/acme/Widget`])).out).toBe("main\nnext\n");
  expect((await run(["repo", "sync", `${host}/acme/Widget`])).code).toBe(0);
  expect(synced).toEqual([`${host}/acme/Widget`]);
  expect((await run(["repo", "list"])).out).toContain("remote");
  expect((await run(["forge", "remove", "work"])).err).toContain("has repositories here");
  expect((await run(["repo", "remove", `${host}/acme/Widget`])).code).toBe(0);
  expect(store.repositories.list()).toEqual([]);
});

test("a public repository needs no credential", async () => {
  const { github, run } = await serve();
  await github.addRepository("open/source", { private: false });
  expect((await run(["forge", "add", "public", ...kind, github.url])).err).toContain("no credential");
  expect((await run(["repo", "add", `${github.url}/open/source`])).code).toBe(0);
  expect((await run(["repo", "add", `${github.url}/acme/widget`])).code).toBe(exitCodes.notFound);
});

test("a hosted repository is made as ever, and is never removed", async () => {
  const { run, url } = await serve();
  expect((await run(["repo", "add", "demo"])).out).toBe(`${url}/git/demo.git\n`);
  const removed = await run(["repo", "remove", "demo"]);
  expect([removed.code, removed.err]).toEqual([exitCodes.conflict, expect.stringContaining("nowhere else")]);
});

test("what tasks may do to their own branches is said for each repository, one thing at a time", async () => {
  const { run, store } = await serve();
  await run(["repo", "add", "demo"]);
  expect(store.repositories.get("demo")?.push).toEqual({ force: false, delete: false });
  const forced = await run(["repo", "edit", "demo", "--force", "yes"]);
  expect(forced.err).toBe(
    "Tasks may make their own branches in demo and move them forward, and rewrite them.\n",
  );
  await run(["repo", "edit", "demo", "--delete", "yes"]);
  expect(store.repositories.get("demo")?.push).toEqual({ force: true, delete: true });
  await run(["repo", "edit", "demo", "--force", "no"]);
  expect(store.repositories.get("demo")?.push).toEqual({ force: false, delete: true });
  expect((await run(["repo", "edit", "none", "--force", "no"])).code).toBe(exitCodes.notFound);
});

test("a GitHub App is made by the browser: the page posts to that forge alone, the code is good once", async () => {
  const { github, run, url, token, store } = await serve();
  const begun = await run(["forge", "add", "work", ...kind, github.url, "--app"]);
  const page = begun.out.trim();
  expect(page).toStartWith(`${url}/settings/forges/work/app?state=`);
  const visit = (address: string) =>
    fetch(address, { headers: { authorization: `Bearer ${token}` }, redirect: "manual" });
  expect((await fetch(page)).status).toBe(401);

  const shown = await visit(page);
  expect(shown.headers.get("content-security-policy")).toContain(`form-action ${github.url};`);
  const text = await shown.text();
  const state = new URL(page).searchParams.get("state") ?? "";
  expect(text).toContain(`action="${github.url}/settings/apps/new?state=${state}"`);
  const manifest = JSON.parse((/value="(.*?)"/.exec(text)?.[1] ?? "").replaceAll("&quot;", '"'));
  expect(manifest).toMatchObject({
    ...{ redirect_url: `${url}/settings/forges/work/app/callback`, public: false },
    hook_attributes: { active: false },
    default_permissions: { contents: "write", pull_requests: "write", issues: "write", checks: "read" },
  });

  github.state.codes.set("c0de", { name: manifest.name, url: manifest.url });
  const back = `${url}/settings/forges/work/app/callback?code=c0de&state=`;
  expect((await visit(`${back}stolen`)).status).toBe(404);
  expect((await visit(`${back.replace("/work/", "/other/")}${state}`)).status).toBe(404);
  const done = await visit(`${back}${state}`);
  expect(done.status).toBe(200);
  const app = github.state.apps[0];
  expect(await done.text()).toContain(`${github.url}/github-apps/${app?.slug}/installations/new`);
  expect(store.forges.credentialOf("work")).toMatchObject({ kind: "app", appId: app?.id, slug: app?.slug });
  expect((await visit(`${back}${state}`)).status).toBe(404);
  expect((await visit(page)).status).toBe(404);

  if (app !== undefined) github.install(app, "acme", ["acme/Widget"]);
  expect((await run(["forge", "test", "work"])).err).toContain("installed at acme");
  expect((await run(["repo", "add", "--forge", "work", "acme/widget"])).code).toBe(0);
});
