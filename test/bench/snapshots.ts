import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestEvent } from "../../src/domain/event.ts";
import { newId } from "../../src/domain/ids.ts";
import { snapshotRepository } from "../../src/domain/session.ts";
import { createGitServer } from "../../src/forge/git-server.ts";
import { createSnapshots as createSnapshotRepositories } from "../../src/forge/snapshots.ts";
import { createGitDoor } from "../../src/gateway/git/git-door.ts";
import { createRunGit } from "../../src/guest/git-process.ts";
import { createProcesses } from "../../src/guest/processes.ts";
import { createSnapshots } from "../../src/guest/snapshots.ts";
import { openStateFile } from "../../src/guest/state.ts";
import { idSource } from "../../src/server.ts";
import { median, quantile, type Report, rounded } from "./figures.ts";
import { listening } from "./workspace-repository.ts";

const files = 20_000;
const changedFiles = 10;
const maxMs = 300;
const quiet = { info() {}, warn() {}, error() {} };
const content = (seed: number) => `line ${seed}\n`.repeat(400) + crypto.randomUUID();

/**
 * The snapshot of a turn that changed ten of 20,000 files and went on with its conversation: the guest's own code, and git
 * through the real door into the appliance's repositories, all in one process but git. Both are pushed at once.
 */
export async function benchSnapshots({ turns = 30 } = {}): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), "ccw-bench-snapshots-"));
  const closers: (() => Promise<unknown> | unknown)[] = [
    () => rmSync(folder, { recursive: true, force: true }),
  ];
  const { signal } = new AbortController();
  const run = createRunGit(createProcesses());
  const env = {
    ...{ PATH: process.env["PATH"] ?? "", HOME: folder, GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" },
    ...{ GIT_AUTHOR_NAME: "Ada", GIT_AUTHOR_EMAIL: "a@example.org" },
    ...{ GIT_COMMITTER_NAME: "Ada", GIT_COMMITTER_EMAIL: "a@example.org" },
  };
  const git = async (cwd: string, ...args: string[]) => {
    const { code, out, err } = await run(args, { cwd, env, signal });
    if (code !== 0) throw new Error(`git ${args.join(" ")}: ${err}`);
    return out.toString("utf8").trim();
  };
  try {
    const work = join(folder, "work/demo");
    const mirror = join(folder, "mirror.git");
    const fileAt = (at: number) => join(work, `d${at % 200}/f${at}.ts`);
    for (let at = 0; at < 200; at++) mkdirSync(join(work, `d${at}`), { recursive: true });
    for (let at = 0; at < files; at++) writeFileSync(fileAt(at), content(at));
    await git(work, "init", "-q", "-b", "claude/w");
    await git(work, "add", "-A");
    await git(work, "commit", "-qm", "First");
    await git(folder, "clone", "-q", "--mirror", work, mirror);
    const home = join(folder, "home");
    mkdirSync(home);

    const taskId = newId("TaskId", idSource);
    const kept = createSnapshotRepositories({
      folder: join(folder, "snapshots"),
      git: await createGitServer({ folder: join(folder, "server"), log: quiet }),
      log: quiet,
    });
    closers.push(() => kept.close());
    const door = createGitDoor({
      log: quiet,
      tokens: { tokenFor: () => "t", matches: () => true },
      port: {
        grantFor: (_id, name) => ({
          ...{ name, right: { kind: "snapshots" } },
          endpoint: name.startsWith(snapshotRepository(0))
            ? kept.endpointOf(taskId, 0, mirror)
            : kept.endpointOf(taskId, "session", undefined),
        }),
        refused() {},
      },
    });
    const sandbox = { id: newId("SandboxId", idSource), taskId };
    const server = createServer((request, response) => {
      door(sandbox, request, response, (request.url ?? "").slice("/git".length)).catch(() =>
        response.destroy(),
      );
    });
    const port = await listening(server);
    closers.push(() => server.close());

    const events: GuestEvent[] = [];
    const snapshots = createSnapshots({
      checkouts: [{ name: "demo", url: "", baseBranch: "main", workBranch: "claude/w", folder: work }],
      session: {
        ...{ sandboxId: sandbox.id, workspace: join(folder, "work") },
        gitDir: join(folder, "session.git"),
        conversation: () => ({ folder: home, names: ["talk.jsonl"] }),
      },
      ...{ git: run, env, gitBase: `http://git:t@127.0.0.1:${port}/git`, ignored: false, signal },
      state: openStateFile(join(folder, "state.json")),
      emit: async (event) => void events.push(event),
    });
    const times: number[] = [];
    const processor: number[] = [];
    for (let turn = 0; turn <= turns; turn++) {
      for (let at = 0; at < changedFiles; at++)
        writeFileSync(fileAt((turn * changedFiles + at) % files), content(-turn));
      appendFileSync(join(home, "talk.jsonl"), `${JSON.stringify({ turn, text: content(turn) })}\n`);
      const used = processorOfAll();
      await snapshots.take(`prm_${turn}`);
      processor.push(processorOfAll() - used);
      const said = events.at(-1);
      if (said?.kind !== "snapshot" || said.repositories[0] === null || said.session === "")
        throw new Error(`no snapshot: ${JSON.stringify(events)}`);
      times.push(said.ms);
    }
    const [first = Number.NaN, ...later] = times;
    const held = await git(join(folder, "snapshots", taskId, "0.git"), "count-objects", "-v");
    const row = (what: string, list: readonly number[]) => ({
      what,
      "median ms": rounded(median(list), 0),
      "p95 ms": rounded(quantile(list, 0.95), 0),
      "least ms": rounded(Math.min(...list), 0),
    });
    return {
      name: "j. snapshot of a turn",
      tables: [
        {
          caption: `${changedFiles} of ${files} files, ${turns} turns; the task's repository holds ${held.replaceAll("\n", ", ")}`,
          rows: [
            row("all of it, as the guest tells it", later),
            row("processor: guest, door and git", processor.slice(1)),
            row("the first one", [first]),
          ],
        },
      ],
      promises: [
        { what: "snapshot of a turn, median", unit: "ms", measured: rounded(median(later), 0), limit: maxMs },
      ],
    };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Of this process and of its children that have ended, with theirs, in ms, as the kernel counts (1/100 s). */
function processorOfAll(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * 10, 0);
}
