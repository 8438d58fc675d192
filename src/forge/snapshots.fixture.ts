import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TaskId } from "../domain/ids.ts";
import { snapshotRef } from "../domain/session.ts";
import type { SnapshotPlace, SnapshotRepositories } from "../domain/snapshots.ts";
import { createGitServer } from "./git-server.ts";
import { createSnapshots } from "./snapshots.ts";

/** Tasks' snapshots with real git: a bare repository that they borrow from, and working files that turns change. */
export interface SnapshotWorld {
  snapshots: SnapshotRepositories & { borrowed(): string[] };
  folder: string;
  /** The repository on the appliance, with `main`. */
  hosted: string;
  /** Where the agent works, on a branch of `main`. */
  work: string;
  git(cwd: string, ...args: string[]): Promise<string>;
  /** Changes these files (undefined removes one) and takes a snapshot of all, as the guest does. */
  take(
    taskId: TaskId,
    files: Record<string, string | Uint8Array | undefined>,
    index?: number,
  ): Promise<{ commit: string; head: string }>;
  /** A snapshot of the conversation; its commit. */
  takeSession(taskId: TaskId, text: string): Promise<string>;
  close(): Promise<void>;
}

const quiet = { info() {}, warn() {}, error() {} };

/** `files`: of `main`, by path. */
export async function createSnapshotWorld(
  files: Record<string, string | Uint8Array>,
): Promise<SnapshotWorld> {
  const folder = await mkdtemp(join(tmpdir(), "snapshots-"));
  const hosted = join(folder, "demo.git");
  const work = join(folder, "work");
  const snapshots = createSnapshots({
    folder: join(folder, "snapshots"),
    git: await createGitServer({ folder: join(folder, "server"), log: quiet }),
    log: quiet,
  });
  let taken = 0;

  async function git(cwd: string, ...args: string[]): Promise<string> {
    const child = Bun.spawn(["git", "-c", "user.name=Bea", "-c", "user.email=bea@example.org", ...args], {
      cwd,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, GIT_CONFIG_NOSYSTEM: "1" },
      ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`git ${args.join(" ")}: ${err}`);
    return out.trimEnd();
  }

  async function write(
    into: string,
    changed: Record<string, string | Uint8Array | undefined>,
  ): Promise<void> {
    for (const [path, content] of Object.entries(changed)) {
      if (content === undefined) await rm(join(into, path));
      else {
        await mkdir(dirname(join(into, path)), { recursive: true });
        await Bun.write(join(into, path), content);
      }
    }
  }

  async function push(taskId: TaskId, place: SnapshotPlace, from: string, commit: string): Promise<void> {
    const made = await snapshots.endpointOf(taskId, place, place === "session" ? undefined : hosted).serve({
      service: "git-upload-pack",
      body: undefined,
      headers: { contentType: undefined, contentEncoding: undefined, gitProtocol: undefined },
      right: { kind: "snapshots" },
      signal: new AbortController().signal,
    });
    for await (const _ of made.body);
    const to = join(folder, "snapshots", taskId, `${place}.git`);
    await git(from, "push", "-q", to, `${commit}:${snapshotRef(`at${++taken}`)}`);
  }

  await git(folder, "init", "-q", "--bare", "-b", "main", hosted);
  await git(folder, "init", "-q", "-b", "main", work);
  await write(work, files);
  await git(work, "add", "-A");
  await git(work, "commit", "-qm", "First");
  await git(work, "push", "-q", hosted, "main");
  await git(work, "checkout", "-qb", "claude/work");

  return {
    ...{ snapshots, folder, hosted, work, git },
    async take(taskId, changed, index = 0) {
      await write(work, changed);
      await git(work, "add", "-A");
      const tree = await git(work, "write-tree");
      const head = await git(work, "rev-parse", "HEAD");
      const commit = await git(work, "commit-tree", "-p", head, "-m", `Snapshot ${taken}`, tree);
      await push(taskId, index, work, commit);
      return { commit, head };
    },
    async takeSession(taskId, text) {
      const home = join(folder, `home-${++taken}`);
      await git(folder, "init", "-q", home);
      await Bun.write(join(home, "session.jsonl"), text);
      await git(home, "add", "-A");
      await git(home, "commit", "-qm", "Session");
      const commit = await git(home, "rev-parse", "HEAD");
      await push(taskId, "session", home, commit);
      return commit;
    },
    async close() {
      await snapshots.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
