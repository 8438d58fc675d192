import { readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { commandLines } from "../machine.ts";
import { cpuSeconds, median, type Report, type Row, residentMiB, rounded } from "./figures.ts";
import {
  createNoise,
  type GitStage,
  git,
  gitEnvironment,
  startPlainRelay,
  withGitStage,
} from "./git-relay-stage.ts";

/**
 * What the git door costs: git's own client against git's own http-backend behind nginx, directly and through
 * `ccw-server git-proxy`, in turns. Clones are bare, so that the checkout, which is the same, does not hide it. Large
 * ones go through a second nginx, too, which passes everything on and knows nothing of git: what any relay costs here.
 */
export async function benchGitRelay(): Promise<Report> {
  const executable = process.env["CCW_TEST_EXECUTABLE"];
  if (executable === undefined) throw new Error("CCW_TEST_EXECUTABLE is not set");
  return withGitStage(async (stage) => {
    const relay = await startRelay(stage, executable, ["--policy", "allow-all"]);
    const task = await startRelay(stage, executable, ["--branch", "bench"]);
    const ways: Ways = { direct: { url: stage.origin }, relay };
    const withPeer: Ways = { ...ways, nginx: await startPlainRelay(stage) };
    const idleMiB = await residentMiB(relay.pid);
    const work = await workToPush(stage);

    const clone =
      (...options: string[]) =>
      async (url: string) => {
        const target = join(stage.folder, "clone.git");
        const ms = await timed(() =>
          git(stage.folder, "clone", "-q", "--bare", ...options, `${url}/large.git`, target),
        );
        await rm(target, { recursive: true, force: true });
        return ms;
      };
    const push = async (url: string) => {
      const ms = await timed(() => git(work, "push", "-q", `${url}/large.git`, "HEAD:refs/heads/bench"));
      await git(stage.repository, "update-ref", "-d", "refs/heads/bench");
      await git(stage.repository, "prune", "--expire=now");
      await git(stage.repository, "prune-packed");
      await dropSecondPack(stage.repository);
      return ms;
    };
    const lsRemote = (url: string) => timed(() => git(stage.folder, "ls-remote", `${url}/large.git`));

    const found = [
      await compare("ls-remote", 15, ways, lsRemote),
      await compare("full clone", 5, withPeer, clone()),
      await compare("clone --depth 1", 5, withPeer, clone("--depth=1")),
      await compare("clone --filter=blob:none", 5, ways, clone("--filter=blob:none")),
      await compare("push of 100 MB", 5, { ...ways, task }, push),
    ];
    const peakMiB = Math.max(await peakOf(relay.pid), await peakOf(task.pid));
    const aborts = { direct: await abortMs(stage, stage.origin), relay: await abortMs(stage, relay.url) };

    return {
      name: "git through the door, beside git's http-backend behind nginx",
      tables: [
        { caption: "a repository of 500 MB and 20k files; medians, ms", rows: found.map(({ row }) => row) },
        {
          caption: "the relay's process, and a client that goes away in the middle of a clone",
          rows: [
            { what: "memory before, MiB", figure: rounded(idleMiB) },
            { what: "memory at its highest, MiB", figure: rounded(peakMiB) },
            { what: "client's end to upload-pack's end, directly, ms", figure: rounded(aborts.direct) },
            {
              what: "client's end to upload-pack's end, through the relay, ms",
              figure: rounded(aborts.relay),
            },
          ],
        },
      ],
      promises: [
        ...found.flatMap(({ promises }) => promises),
        { what: "memory above idle", unit: "MiB", measured: rounded(peakMiB - idleMiB), limit: 64 },
        { what: "abort to upstream's end", unit: "ms", measured: rounded(aborts.relay), limit: 1000 },
      ],
    };
  });
}

/** What stands between the client and the server. */
interface Way {
  url: string;
  /** Of the process that passes the bytes on. */
  pid?: number;
}
type Ways = { direct: Way; relay: Way; task?: Way; nginx?: Way };

/** All ways in turns, so that what else the machine does meets each alike. */
async function compare(what: string, rounds: number, ways: Ways, measure: (url: string) => Promise<number>) {
  const names = Object.keys(ways) as (keyof Ways)[];
  const taken: Record<string, number[]> = {};
  const used: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) {
      const way = ways[name];
      if (way === undefined) continue;
      const before = await usedMs(way);
      taken[name] = [...(taken[name] ?? []), await measure(way.url)];
      used[name] = [...(used[name] ?? []), (await usedMs(way)) - before];
    }
  }
  const of = (name: keyof Ways) => median(taken[name] ?? []);
  const processor = (name: keyof Ways) => rounded(median(used[name] ?? []));
  const direct = of("direct");
  const row: Row = {
    what,
    rounds,
    direct: rounded(direct),
    relay: rounded(of("relay")),
    ratio: rounded(of("relay") / direct, 3),
    "relay's processor": processor("relay"),
    "under a task's rules": ways.task === undefined ? "" : rounded(of("task")),
    "nginx as relay": ways.nginx === undefined ? "" : rounded(of("nginx")),
    "its processor": ways.nginx === undefined ? "" : processor("nginx"),
  };
  console.error(`    ${JSON.stringify(row)}`);
  const promises = names
    .filter((name) => name !== "direct" && name !== "nginx")
    .map((name) => ({
      what: `${what}, ${name}: overhead`,
      unit: "ms",
      measured: rounded(of(name) - direct),
      limit: rounded(Math.max(10, direct * 0.05)),
    }));
  return { row, promises };
}

async function usedMs({ pid }: Way): Promise<number> {
  return pid === undefined ? 0 : (await cpuSeconds(pid)) * 1000;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function startRelay(stage: GitStage, executable: string, policy: string[]) {
  const argv = [executable, "git-proxy", "--listen", "127.0.0.1:0", "--upstream", stage.origin, ...policy];
  const child = stage.start(argv);
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const url = /Listening at (\S+)/.exec(text)?.[1];
    if (url !== undefined) return { url, pid: child.pid };
  }
  throw new Error("the relay has ended");
}

/** A shallow checkout with one commit of 100 MB on top. */
async function workToPush({ folder, origin }: GitStage): Promise<string> {
  const work = join(folder, "work");
  await git(
    folder,
    "clone",
    "-q",
    "--depth=1",
    "--no-checkout",
    "--filter=blob:none",
    `${origin}/large.git`,
    work,
  );
  const noise = createNoise(7);
  for (let file = 0; file < 25; file++) await Bun.write(join(work, `big${file}`), noise(4_000_000));
  // The client neither compresses nor compares: that is the same each time, and would hide the way.
  await git(work, "config", "core.compression", "0");
  await git(work, "config", "core.bigFileThreshold", "1m");
  await git(work, "read-tree", "HEAD");
  await git(work, "add", ".");
  await git(work, "commit", "-q", "-m", "100 MB");
  return work;
}

/** receive-pack keeps what was pushed as a pack of its own; the largest one is the repository's. */
async function dropSecondPack(repository: string): Promise<void> {
  const packs = await Array.fromAsync(new Bun.Glob("*.pack").scan(join(repository, "objects/pack")));
  const sized = packs.map((name) => ({ name, size: Bun.file(join(repository, "objects/pack", name)).size }));
  for (const { name } of sized.sort((a, b) => b.size - a.size).slice(1)) {
    for (const ending of [".pack", ".idx", ".rev"])
      await rm(join(repository, "objects/pack", name.replace(/\.pack$/, ending)), { force: true });
  }
}

async function peakOf(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

async function abortMs({ folder, repository }: GitStage, url: string): Promise<number> {
  const target = join(folder, "aborted.git");
  const argv = ["git", "clone", "-q", "--bare", `${url}/large.git`, target];
  const child = Bun.spawn(argv, {
    env: gitEnvironment(folder),
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  });
  await Bun.sleep(1000);
  if ((await serving(repository)) === 0) throw new Error("the clone was over before it was ended");
  const began = performance.now();
  process.kill(-child.pid, "SIGKILL");
  while ((await serving(repository)) > 0 && performance.now() - began < 20_000) await Bun.sleep(5);
  const ms = performance.now() - began;
  await child.exited;
  await rm(target, { recursive: true, force: true });
  return ms;
}

/** Processes of git that serve the repository: http-backend runs them in its folder. */
async function serving(repository: string): Promise<number> {
  const folders = await Promise.all(
    commandLines().map(({ pid }) => readlink(`/proc/${pid}/cwd`).catch(() => "")),
  );
  return folders.filter((folder) => folder === repository).length;
}
