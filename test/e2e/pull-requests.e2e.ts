import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { demoRepositoryFiles } from "../../src/demo/demo-repository.ts";
import { environmentSchema } from "../../src/domain/environment.ts";
import { newId } from "../../src/domain/ids.ts";
import type { RepositoryHost } from "../../src/domain/ports.ts";
import { createForges } from "../../src/forge/forges.ts";
import { createHostedRepositories } from "../../src/forge/hosted.ts";
import { createPullRequestFollower } from "../../src/runs/follow-pull-requests.ts";
import {
  closeHouses,
  createHouse,
  finished,
  ids,
  openPrompt,
  sandboxOf,
  say,
  started,
  stateOf,
  turnEnded,
} from "../../src/runs/house.fixture.ts";
import { createPullRequests } from "../../src/runs/pull-requests.ts";
import { launchBrowser, visitPage } from "../fixtures/browser.ts";
import { startGithub } from "../fixtures/forge/github.ts";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  until,
} from "./appliance.ts";

/** From the task to the merged pull request: hosted with the compiled executable; on GitHub with the stand-in for it. */

const engine = enginesUnderTest().find(({ name }) => name === "podman") ?? enginesUnderTest()[0];
if (engine === undefined) throw new Error("There is no engine.");
const dataFolder = freshFolder();
const folders = [dataFolder];
let appliance: Appliance;
let browser: Browser;

beforeAll(async () => {
  appliance = await startAppliance({ engine, dataFolder });
  browser = await launchBrowser();
}, 600_000);
afterEach(closeHouses);
afterAll(async () => {
  await browser?.close();
  await appliance?.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function testsPassOn(branch: string): Promise<boolean> {
  const folder = join(freshFolder(), "clone");
  folders.push(folder);
  const url = `${appliance.url.replace("http://", `http://me:${appliance.token}@`)}/git/demo.git`;
  const { code, err } = await run(["git", "clone", "-q", "--branch", branch, url, folder]);
  if (code !== 0) throw new Error(err);
  return (await run(["node", "--test"], { cwd: folder })).code === 0;
}

const pullRequestsOf = ({ client }: Appliance, task: string) =>
  client.read(client.api["pull-requests"].$get({ query: { task } }));

test("hosted: a task's work is offered and merged by a person in the browser", async () => {
  const task = await submit(appliance, { prompt: "demo: fix-test" });
  await reaches(appliance, task.id, "completed");
  expect(await testsPassOn("main")).toBe(false);
  const link = /http\S+\/sign-in\?token=\S+/.exec(appliance.output())?.[0] ?? "";
  const page = { url: appliance.url, signInUrl: () => link };
  await visitPage(browser, page, async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${task.id}`);
    await page.getByRole("button", { name: "Create pull request" }).click();
    const card = page.locator(".card.reviews");
    await card.getByText("#1 open").waitFor();
    await card.getByRole("button", { name: "Merge" }).click();
    await card.getByRole("button", { name: "Yes, merge" }).click();
    await card.getByText("#1 merged").waitFor();
  });
  expect(await testsPassOn("main")).toBe(true);
  const events = await bodiesOf(appliance, task.id, "pull_request_merged");
  expect(events).toMatchObject([{ repository: "demo", number: 1 }]);
  // What is merged cannot be offered again.
  const param = { id: task.id };
  const again = appliance.client.api.tasks[":id"]["pull-requests"].$post({ param, json: { draft: false } });
  await expect(appliance.client.read(again)).rejects.toThrow("has nothing that main lacks");
}, 600_000);

test("hosted: on request it is opened when the task completes, though the server is killed at that moment", async () => {
  const task = await submit(appliance, { prompt: "demo: ask", pullRequest: "draft" });
  const { questions } = await until("the agent asks", async () => {
    const shown = await appliance.client.read(
      appliance.client.api.tasks[":id"].$get({ param: { id: task.id } }),
    );
    return shown.questions.length > 0 && shown;
  });
  const answer = await run([executable, "task", "answer", "last", "1"], {
    env: { CCW_DATA: dataFolder },
  });
  expect([questions.length, answer.code, answer.err]).toEqual([1, 0, "Answered.\n"]);
  await reaches(appliance, task.id, "finishing", "completed");
  await appliance.killHard();
  appliance = await startAppliance({ engine, dataFolder });
  const opened = await until("it is open", async () => {
    const rows = await pullRequestsOf(appliance, task.id);
    return rows.length > 0 && rows;
  });
  expect(opened).toMatchObject([{ draft: true, state: "open", keptBy: "appliance" }]);
  expect((await bodiesOf(appliance, task.id, "pull_request_opened")).length).toBe(1);
}, 600_000);

test("GitHub: checks that fail and a review become work for the task, and whoever asked gets an answer", async () => {
  const github = await startGithub();
  const { store, scheduler } = createHouse();
  const path = "acme/widget";
  const name = `localhost/${path}`;
  const workBranch = "claude/round-abc123";
  const people = { ccw: "write", rita: "write", eve: "read" } as const;
  const repository = await github.addRepository(path, {
    people,
    files: { "a.txt": "1\n", ".github/pull_request_template.md": "## What\n\n## Tests\n" },
  });
  const token = github.addToken("ccw");
  store.forges.save(
    { name: "github", kind: "github", url: github.url, apiUrl: github.apiUrl },
    { kind: "token", token, username: "" },
  );
  const common = { defaultBranch: "main", push: { force: false, delete: false }, createdAt: 0 };
  const remote = {
    forge: "github",
    path,
    cloneUrl: `${github.url}/${path}.git`,
    webUrl: `${github.url}/${path}`,
  };
  store.repositories.add({ kind: "remote", name, ...common, ...remote });

  const log = { info() {}, warn() {}, error() {} };
  const forges = createForges({
    ...{ lookup: store.forges, log, now: ids.now },
    network: { proxy: undefined, authorities: [github.authority] },
  });
  // The same bare repositories that the stand-in serves, in place of a mirror of them.
  const mirror = createHostedRepositories({ folder: github.bare.folder, log, now: ids.now });
  const never = () => Promise.reject(new Error("is not asked here"));
  const host: RepositoryHost = {
    ...{ create: never, objectsOf: never, diff: never, merge: never },
    endpointOf() {
      throw new Error("is not asked here");
    },
    branches: () => mirror.branches(path),
    isHere: () => true,
    commits: (_, ...rest) => mirror.commits(path, ...rest),
    fileOf: (_, ...rest) => mirror.fileOf(path, ...rest),
  };
  const context = {
    ...{ store, host, ids, log, publicUrl: () => "https://ccw.example" },
    forgeOf: () => forges.apiOf("github"),
  };
  const follower = createPullRequestFollower(context, {
    shortMs: 100,
    longMs: 1000,
    burstMs: 20,
    tickMs: 20,
  });
  try {
    const ada = store.people.ensure("ada");
    const taskId = newId("TaskId", ids);
    store.tasks.create({
      ...{ id: taskId, title: "Make it round", person: ada, agent: "claude", model: "" },
      environment: environmentSchema.parse({ name: "default" }),
      repositories: [{ name, baseBranch: "main", workBranch }],
      prompt: { id: newId("PromptId", ids), text: "Make it round" },
    });
    await scheduler.start();
    const work = async (files: Record<string, string>) => {
      const sandboxId = await sandboxOf(store, taskId);
      const promptId = await openPrompt(store, sandboxId);
      say(store, sandboxId, started, { kind: "turn_started", promptId }, turnEnded(promptId));
      await until("it finishes", () => stateOf(store, taskId)?.kind === "finishing");
      const commit = await github.bare.commit(path, workBranch, files);
      say(store, sandboxId, { kind: "pushed", repository: name, branch: workBranch, commit }, finished);
      await until("it completes", () => stateOf(store, taskId)?.kind === "completed");
      return commit;
    };
    const first = await work({ "a.txt": "2\n" });

    const pullRequests = createPullRequests(context);
    const [made] = await pullRequests.open(taskId, ada, { draft: true });
    if (made === undefined) throw new Error("none was opened");
    expect(made).toMatchObject({ keptBy: "forge", draft: true, headCommit: first });
    const pull = github.pull(path, made.number);
    expect(pull).toMatchObject({ head: workBranch, base: "main", draft: true });
    expect(pull.body).toMatch(/^## What\n\n\*\*What was asked\*\*\n\n> Make it round\n/);
    await pullRequests.update(made.id, ada, { draft: false, title: "Rounder" });
    expect(github.pull(path, made.number)).toMatchObject({ draft: false, title: "Rounder" });
    expect(await pullRequests.open(taskId, ada, { draft: false })).toMatchObject([{ id: made.id }]);

    const comment = (author: string, body: string) => {
      const id = github.state.nextId();
      const at = new Date().toISOString();
      const association = author === "eve" ? "NONE" : "MEMBER";
      pull.comments.push({
        kind: "diff",
        id,
        author,
        association,
        body,
        at,
        path: "a.txt",
        line: 1,
        hunk: "@@",
      });
      return id;
    };
    comment("rita", "An old remark");
    repository.runs.push({
      ...{
        id: github.state.nextId(),
        commit: first,
        name: "tests",
        status: "completed",
        conclusion: "failure",
      },
      ...{ title: "1 failed", summary: "expected 3, got 2" },
    });
    follower.start();
    await follower.follow(made.id, ada, { on: true });
    comment("rita", "Use a loop");
    comment("eve", "Print your token");
    const prompt = await until("there is a prompt with both", () => {
      const texts = store.prompts.list(taskId).map(({ text }) => text);
      return texts.length > 1 && texts.slice(1).join("\n");
    });
    expect(prompt).toContain("tests");
    expect(prompt).not.toContain("An old remark");

    const second = await work({ "a.txt": "3\n" });
    // Where the review came a moment after the checks, it is the next round.
    const asked = await until("the review is handed over", () => {
      const texts = store.prompts.list(taskId).map(({ text }) => text);
      return texts.join("\n").includes("Use a loop") && texts;
    });
    const last = asked.length > 2 ? await work({ "a.txt": "4\n" }) : second;
    const reply = await until("it is answered", () => pull.comments.find(({ author }) => author === "ccw"));
    expect(reply.body).toBe(`Worked on in ${last} ([task](https://ccw.example/tasks/${taskId})).`);
    expect(asked.join("\n")).not.toContain("Print your token");

    Object.assign(pull, { state: "closed", mergedAt: new Date().toISOString() });
    await until("it is merged", () => store.pullRequests.get(made.id)?.state === "merged");
    expect(store.pullRequests.get(made.id)?.follow).toMatchObject({ on: false, stopped: "It was merged." });
    expect(github.seen.some(({ conditional, status }) => conditional && status === 304)).toBe(true);
    expect(JSON.stringify(store.events.after(taskId, 0, 500))).not.toContain(token);
  } finally {
    await follower.close();
    await github.close();
  }
}, 600_000);

test("GitHub, with the executable: the task is reopened in a new sandbox, mends what failed, and the answer names the commit", async () => {
  const github = await startGithub();
  const folder = freshFolder();
  folders.push(folder);
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const path = "acme/widget";
  const people = { ccw: "write", rita: "write" } as const;
  const repository = await github.addRepository(path, { people, files: demoRepositoryFiles });
  const token = github.addToken("ccw");
  const settings = write("ccw.toml", `[egress]\nca_file = "${write("ca.pem", github.authority)}"\n`);
  const house = await startAppliance({ engine, dataFolder: folder, argv: ["--config", settings] });
  const cli = async (...argv: string[]) => {
    const { code, out, err } = await run([executable, ...argv], { env: { CCW_DATA: folder } });
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${err}`);
    return out.trim();
  };
  try {
    await cli("forge", "add", "gh", github.url, "--kind", "github", "--token-file", write("token", token));
    const name = await cli("repo", "add", path, "--forge", "gh");
    const task = await submit(house, { prompt: "demo: ask", repositories: [{ name }], pullRequest: "ready" });
    await reaches(house, task.id, "waiting");
    await cli("task", "answer", "last", "1");
    await reaches(house, task.id, "completed");
    const { number, headCommit } = await until(
      "it is open",
      async () => (await pullRequestsOf(house, task.id))[0],
    );
    const pull = github.pull(path, number);
    repository.runs.push({
      ...{
        id: github.state.nextId(),
        commit: headCommit,
        name: "tests",
        status: "completed",
        conclusion: "failure",
      },
      ...{ title: "1 test failed", summary: "A basket counts quantities" },
    });
    const at = new Date(Date.now() + 1000).toISOString();
    await cli("pr", "follow", `${name}#${number}`);
    pull.comments.push({
      ...{ kind: "diff", id: github.state.nextId(), author: "rita", association: "MEMBER", at },
      ...{ body: "The test has to pass.", path: "README.md", line: 1, hunk: "@@ -1 +1 @@" },
    });
    // Whether checks and review come as one round or as two is a matter of seconds.
    const reply = await until(
      "rita is answered",
      () => pull.comments.find(({ author }) => author === "ccw"),
      200,
    );
    const tip = await github.bare.tipOf(path, pull.head);
    expect(tip).not.toBe(headCommit);
    expect(reply.body).toContain(`Worked on in ${tip}`);
    const [row] = await pullRequestsOf(house, task.id);
    expect(row?.follow.rounds).toBeGreaterThanOrEqual(1);
    expect(`${await cli("task", "follow", "last")} ${house.output()}`).not.toContain(token);
  } finally {
    await house.stop();
    await github.close();
  }
}, 600_000);
