import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../test/until.ts";
import { environmentSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import type { ForgeApi, ForgeCheck, ForgeComment, ForgePullRequest } from "../domain/forge.ts";
import { newId, type TaskId } from "../domain/ids.ts";
import type { Log, RepositoryHost } from "../domain/ports.ts";
import type { PullRequestWish } from "../domain/task.ts";
import { createGitServer } from "../forge/git-server.ts";
import { createHostedRepositories } from "../forge/hosted.ts";
import { endpointAt } from "../forge/repositories.ts";
import {
  createHouse,
  finished,
  ids,
  openPrompt,
  sandboxOf,
  say,
  started,
  stateOf,
  turnEnded,
} from "./house.fixture.ts";
import { createPullRequests } from "./pull-requests.ts";

/**
 * Pull requests on a real database and real git. The forge is a table; the stand-in that is checked against GitHub's own
 * description plays the same stories in test/e2e.
 */
function createTableForge() {
  const rows: ForgePullRequest[] = [];
  const checks: ForgeCheck[] = [];
  const comments: ForgeComment[] = [];
  const replies: { thread: string; body: string }[] = [];
  const asked = new Map<string, string>();
  const calls: string[] = [];
  /** Unchanged since this was asked last. */
  const conditional = <Value>(key: string, value: Value) => {
    const text = JSON.stringify(value);
    const changed = asked.get(key) !== text;
    asked.set(key, text);
    return changed ? { changed, value: structuredClone(value) } : { changed };
  };
  const row = (number: number) => {
    const found = rows.find((each) => each.number === number);
    if (found === undefined) throw new CcwError("not_found", "The forge knows no such pull request.");
    return found;
  };
  const forge = {
    rows,
    checks,
    comments,
    replies,
    calls,
    /** What the next calls of a name answer with. */
    failures: new Map<string, unknown>(),
    /** An answer that is lost on its way: the forge has done what it was asked. */
    loseAnswer: false,
    tip: "",
    comment(change: Partial<ForgeComment> = {}): ForgeComment {
      const made: ForgeComment = {
        ...{ id: `c${comments.length + 1}`, author: "rita", authorMayWrite: true, own: false, body: "Why?" },
        ...{
          place: undefined,
          thread: `t${comments.length + 1}`,
          webUrl: "https://forge.test/c",
          at: comments.length,
        },
        ...change,
      };
      comments.push(made);
      return made;
    },
    check(change: Partial<ForgeCheck> = {}): ForgeCheck {
      const id = `k${checks.length + 1}`;
      const made: ForgeCheck = {
        id,
        name: "tests",
        state: "failed",
        webUrl: "",
        summary: "1 failed",
        ...change,
      };
      checks.push(made);
      return made;
    },
  };
  const answer = async <Value>(name: string, work: () => Value): Promise<Value> => {
    calls.push(name);
    const failure = forge.failures.get(name);
    if (failure !== undefined) throw failure;
    return work();
  };
  const never = () => Promise.reject(new Error("is not asked here"));
  const api: ForgeApi = {
    ...{ check: never, repositories: never, repository: never, branches: never },
    findPullRequest: (_, head, base) =>
      answer("find", () =>
        rows.find((each) => each.head === head && each.base === base && each.state === "open"),
      ),
    createPullRequest: (_, draft) =>
      answer("create", () => {
        const number = rows.length + 1;
        const webUrl = `https://forge.test/acme/widget/pull/${number}`;
        const made: ForgePullRequest = { ...draft, number, webUrl, state: "open", headCommit: forge.tip };
        rows.push(made);
        if (forge.loseAnswer) throw new CcwError("unavailable", "The forge's answer ended in the middle.");
        return { ...made };
      }),
    updatePullRequest: (_, number, change) =>
      answer("update", () => {
        Object.assign(row(number), change);
        return { ...row(number) };
      }),
    pullRequest: (_, number) => answer("get", () => conditional(`pr ${number}`, row(number))),
    checks: (_, commit) => answer("checks", () => conditional(`checks ${commit}`, checks)),
    comments: (_, number) => answer("comments", () => conditional(`comments ${number}`, comments)),
    reply: (_, __, thread, body) =>
      answer("reply", () => {
        replies.push({ thread, body });
        forge.comment({ own: true, author: "ccw", thread, body });
      }),
  };
  return { ...forge, forge, api };
}

export const remoteName = "forge.test/acme/widget";
export const workBranch = "claude/round-abc123";

/** A house with a hosted repository `demo` and a remote one, of one history, and everything of pull requests. */
export async function createReviewHouse() {
  const folder = mkdtempSync(join(tmpdir(), "ccw-pull-requests-"));
  const log: Log = { info() {}, warn() {}, error() {} };
  const hosted = createHostedRepositories({ folder: join(folder, "repositories"), log, now: ids.now });
  const git = await createGitServer({ folder: join(folder, "git"), log });
  const house = createHouse();
  const { store } = house;
  // Of the remote one this folder is what git reaches.
  const local = (name: string) => (name === remoteName ? "widget" : name);
  const host: RepositoryHost = {
    endpointOf: (name) => endpointAt(git, hosted.pathOf(local(name))),
    create: (name, options) => hosted.create(name, options),
    objectsOf: (name) => hosted.folderOf(local(name)),
    branches: (name) => hosted.branches(local(name)),
    isHere: () => true,
    diff: (name, ...rest) => hosted.diff(local(name), ...rest),
    commits: (name, ...rest) => hosted.commits(local(name), ...rest),
    fileOf: (name, ...rest) => hosted.fileOf(local(name), ...rest),
    merge: (name, request) => hosted.merge(local(name), request),
  };
  const author = { name: "a", email: "a@b.invalid" };
  const commit = async (
    name: string,
    branch: string,
    files: Record<string, string>,
    message = "A commit",
  ) => {
    const from = await hosted.branchExists(local(name), branch);
    if (!from && branch !== "main") gitIn(name, "branch", branch, "main");
    const id = await hosted.commitFiles(local(name), {
      ...{ branch, message, author },
      files: Object.entries(files).map(([path, content]) => ({ path, content })),
    });
    if (name === remoteName) {
      forge.forge.tip = id;
      for (const row of forge.rows) if (row.head === branch && row.state === "open") row.headCommit = id;
    }
    return id;
  };
  const gitIn = (name: string, ...args: string[]) => {
    const result = Bun.spawnSync(["git", `--git-dir=${hosted.pathOf(local(name))}`, ...args]);
    if (result.exitCode !== 0) throw new Error(result.stderr.toString());
    return result.stdout.toString().trim();
  };
  const forge = createTableForge();
  for (const name of ["demo", "widget"]) {
    await hosted.create(name);
    await commit(name, "main", { "a.txt": "1\n" });
  }
  const common = { defaultBranch: "main", push: { force: false, delete: false }, createdAt: 0 };
  store.repositories.add({ kind: "hosted", name: "demo", ...common });
  store.forges.save(
    { name: "test", kind: "github", url: "https://forge.test", apiUrl: "https://forge.test/api" },
    { kind: "none" },
  );
  store.repositories.add({
    ...{ kind: "remote", name: remoteName, forge: "test", path: "acme/widget", ...common },
    ...{ cloneUrl: "https://forge.test/acme/widget.git", webUrl: "https://forge.test/acme/widget" },
  });
  const context = {
    ...{ store, host, ids, log, publicUrl: () => "https://ccw.test" },
    forgeOf: (repository: { kind: string }) => (repository.kind === "remote" ? forge.api : undefined),
  };
  const person = store.people.ensure("ada");
  const submit = (names: string[], pullRequest: PullRequestWish = "none"): TaskId => {
    const id = newId("TaskId", ids);
    store.tasks.create({
      ...{ id, title: "Make it round", person, agent: "claude", model: "", pullRequest },
      environment: environmentSchema.parse({ name: "default" }),
      repositories: names.map((name) => ({ name, baseBranch: "main", workBranch })),
      prompt: { id: newId("PromptId", ids), text: "Make it round, @team" },
    });
    return id;
  };
  /** Plays the sandbox of a task that was claimed: its next prompt is taken, worked on and pushed. */
  const complete = async (id: TaskId, push?: () => Promise<{ repository: string; commit: string }>) => {
    const sandboxId = await sandboxOf(store, id);
    const promptId = await openPrompt(store, sandboxId);
    say(store, sandboxId, started, { kind: "turn_started", promptId }, turnEnded(promptId));
    await until("it finishes", () => stateOf(store, id)?.kind === "finishing");
    const pushed = await push?.();
    if (pushed !== undefined) say(store, sandboxId, { kind: "pushed", branch: workBranch, ...pushed });
    say(store, sandboxId, finished);
    await until("it completes", () => stateOf(store, id)?.kind === "completed");
    return promptId;
  };
  /** A task that has completed, with one commit on its branch in each of its repositories. */
  const worked = async (...names: string[]) => {
    await house.scheduler.start();
    const id = submit(names);
    await complete(id);
    for (const name of names) await commit(name, workBranch, { "a.txt": "2\n" }, "Round it");
    return id;
  };
  const notices = (id: TaskId) =>
    store.events
      .ofKinds(id, ["appliance_notice"])
      .map(({ body }) => (body.kind === "appliance_notice" ? body.text : ""));
  return {
    ...{
      ...house,
      ...forge,
      context,
      person,
      host,
      hosted,
      commit,
      gitIn,
      submit,
      complete,
      worked,
      notices,
    },
    pullRequests: createPullRequests(context),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
