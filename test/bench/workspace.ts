import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxId, TaskId } from "../../src/domain/ids.ts";
import type { RemoteRepository } from "../../src/domain/repository.ts";
import type { SessionStart } from "../../src/domain/session.ts";
import { createGitServer } from "../../src/forge/git-server.ts";
import { remoteFrom } from "../../src/forge/mirror-remote.fixture.ts";
import { createMirrors } from "../../src/forge/mirrors.ts";
import { authorization, startRemoteServer } from "../../src/forge/remote-server.fixture.ts";
import { endpointAt } from "../../src/forge/repositories.ts";
import { createGitDoor } from "../../src/gateway/git/git-door.ts";
import { type CommandRunner, createCommandRunner } from "../../src/guest/commands.ts";
import { writeGitConfig } from "../../src/guest/git-config.ts";
import { createProcesses } from "../../src/guest/processes.ts";
import { type Checkout, cloneCheckout } from "../../src/guest/workspace.ts";
import { median, type Report, rounded } from "./figures.ts";
import { listening, makeLargeRepository } from "./workspace-repository.ts";

const name = "acme/large";
const quiet = { info() {}, warn() {}, error() {} };
const sandbox = { id: "sbx_0000000000aaaaaaaaaa" as SandboxId, taskId: "tsk_0000000000aaaaaaaaaa" as TaskId };
const { signal } = new AbortController();

/**
 * h. What a new workspace of a large repository costs beyond writing its files: the guest's own clone, through the
 * appliance's git door, with and without the mirror's objects; and how far an overlay over a warm checkout would get.
 */
export async function benchWorkspace({ rounds }: { rounds: number }): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), "ccw-bench-workspace-"));
  const closers: (() => Promise<unknown> | unknown)[] = [
    () => rmSync(folder, { recursive: true, force: true }),
  ];
  try {
    const bare = join(folder, "forge/acme/large.git");
    const made = await makeLargeRepository(bare);
    const forge = await startRemoteServer({
      folder: join(folder, "forge"),
      workFolder: join(folder, "work"),
    });
    closers.push(() => forge.close());
    const repository: RemoteRepository = {
      ...{
        kind: "remote",
        name: `git.example/${name}`,
        forge: "f",
        path: "acme/large",
        cloneUrl: `${forge.url}/acme/large.git`,
      },
      ...{ webUrl: "", defaultBranch: "main", push: { force: false, delete: false }, createdAt: 1 },
    };
    const mirrors = createMirrors({
      folder: join(folder, "mirrors"),
      remote: remoteFrom(join(folder, "remote"), {
        authorizationFor: async () => authorization,
        refused() {},
      }),
      ...{ log: quiet, now: Date.now, borrowed: () => [], repositories: () => [repository], changed() {} },
    });
    const refresh = () => mirrors.refresh(repository, signal);
    const first = await timed(refresh);
    const mirror = (await refresh()).folder;

    const git = await createGitServer({ folder: join(folder, "git"), log: quiet });
    const door = createGitDoor({
      log: quiet,
      tokens: { tokenFor: () => "scoped", matches: (_id, _purpose, given) => given === "scoped" },
      port: {
        grantFor: () => ({
          name,
          right: { kind: "branch", branch: "claude/w", force: false, delete: false },
          endpoint: endpointAt(git, bare),
        }),
        refused() {},
      },
    });
    const server = createServer((request, response) => {
      door(sandbox, request, response, (request.url ?? "").slice("/git".length)).catch(() =>
        response.destroy(),
      );
    });
    const port = await listening(server);
    closers.push(() => server.close());
    const workspace = workspaceOn(folder, `http://127.0.0.1:${port}/git`);

    const rows: Record<string, number[]> = {};
    const note = (what: string, ms: number) => {
      rows[what] ??= [];
      rows[what].push(ms);
      return ms;
    };
    const beyond: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const fresh = note("mirror: refresh with nothing new", await timed(refresh));
      const borrowed = await workspace.clone(mirror);
      note("borrowing from the mirror: all of it", borrowed.total);
      note("borrowing: of this, writing the files", borrowed.checkout);
      const rest = fresh + borrowed.total - borrowed.checkout;
      beyond.push(note("refresh and borrowing clone, beyond writing the files", rest));
      if (round < 2) {
        const plain = await workspace.clone(undefined);
        note("no mirror: all of it", plain.total);
        note("no mirror: beyond writing the files", plain.total - plain.checkout);
      }
      if (process.getuid?.() === 0) {
        for (const [what, ms] of Object.entries(await workspace.overlay(mirror))) note(what, ms);
      }
    }
    return {
      name: "h. New workspace of a large repository",
      tables: [
        {
          caption: `${made.files} files, pack of ${made.packMiB} MiB; the mirror's first fetch took ${Math.round(first)} ms; medians of ${rounds}`,
          rows: [
            ...Object.entries(rows).map(([what, figures]) => ({
              what,
              ms: rounded(median(figures)),
              worst: rounded(Math.max(...figures)),
            })),
          ],
        },
      ],
      promises: [
        {
          what: "new workspace from a mirror, beyond its checkout",
          unit: "ms",
          measured: rounded(median(beyond)),
          limit: 300,
        },
      ],
    };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

function workspaceOn(folder: string, doorBase: string) {
  const commands = createCommandRunner(createProcesses());
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, GIT_CONFIG_SYSTEM: join(folder, "gitconfig") };
  const repository = {
    name,
    url: `http://appliance.example/git/${name}.git`,
    baseBranch: "main",
    workBranch: "claude/w",
  };
  const start: SessionStart = {
    ...{
      sandboxId: sandbox.id,
      taskId: sandbox.taskId,
      acked: 0,
      variables: {},
      setupScript: "",
      trailers: [],
    },
    repositories: [repository],
    author: { name: "Ann", email: "ann@example.org" },
    agent: { kind: "claude", model: "", sessionId: "" },
    tokens: { model: "m", git: "scoped" },
  };
  writeGitConfig(env.GIT_CONFIG_SYSTEM, start, { base: doorBase });
  const place = join(folder, "checkout");
  const options = { commands, env, signal, trailers: [], emit: async () => {} };
  const run = async (cwd: string, ...argv: string[]) => {
    const { code, output } = await commands.run(argv, { cwd, env });
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${output}`);
    return output;
  };
  const checkout = (into: string, objects: string | undefined): Checkout => ({
    ...repository,
    ...(objects !== undefined && { objects }),
    folder: into,
  });
  let template: string | undefined;

  return {
    /** What writes the files is timed by itself: on a shared disk it varies by more than all else takes. */
    async clone(objects: string | undefined): Promise<{ total: number; checkout: number }> {
      rmSync(place, { recursive: true, force: true });
      let ms = 0;
      const watched: CommandRunner = {
        ...commands,
        async run(argv, how) {
          const began = performance.now();
          const result = await commands.run(argv, how);
          if (argv.includes("checkout")) ms += performance.now() - began;
          return result;
        },
      };
      const total = await timed(() =>
        cloneCheckout(checkout(place, objects), { ...options, commands: watched }, async () => {}),
      );
      return { total, checkout: ms };
    },

    /** The working files come from a checkout that another workspace has made; only what is new is written. */
    async overlay(objects: string): Promise<Record<string, number>> {
      if (template === undefined) {
        template = join(folder, "template");
        await cloneCheckout(checkout(template, objects), options, async () => {});
        // Younger than its files, or git reads every one of them again.
        await Bun.sleep(1100);
        await run(template, "git", "update-index", "--refresh");
      }
      const layers = mkdtempSync(join(folder, "overlay-"));
      for (const part of ["upper", "work", "merged"]) mkdirSync(join(layers, part));
      const merged = join(layers, "merged");
      const lower = `lowerdir=${template},upperdir=${join(layers, "upper")},workdir=${join(layers, "work")}`;
      const mount = await timed(() => run("/", "mount", "-t", "overlay", "overlay", "-o", lower, merged));
      try {
        const fetch = await timed(() => run(merged, "git", "fetch", "--quiet", "origin"));
        const branch = await timed(() =>
          run(merged, "git", "checkout", "--quiet", "-B", "claude/x", "origin/main"),
        );
        const status = await timed(() => run(merged, "git", "status", "--porcelain"));
        return {
          "overlay over a warm checkout: mount": mount,
          "overlay: fetch through the door": fetch,
          "overlay: the branch": branch,
          "overlay: first status": status,
          "overlay: all of it": mount + fetch + branch + status,
        };
      } finally {
        await run("/", "umount", merged);
      }
    },
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
