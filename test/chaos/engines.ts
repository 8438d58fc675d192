import { closeSync, existsSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { type EngineUnderTest, executable, run, until } from "../e2e/appliance.ts";
import { endNow, mountsBelow, pidsWith } from "../machine.ts";

/** An engine's service of the suite's own, which may die. Paths lie in `folder`. */
export interface OwnEngine {
  engine: EngineUnderTest;
  /** SIGKILL, as a crash does it; containers are left to the engine's ways. */
  kill(): Promise<void>;
  /** What a reboot ends besides: whatever watches over containers. */
  killRest(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Podman's API service; it shares the machine's storage with the engine that was given. */
export async function ownPodman(folder: string): Promise<OwnEngine> {
  const socket = join(folder, "podman.sock");
  const runtime = Bun.which("runc") === null ? [] : ["--runtime", "runc"];
  const command = ["podman", ...runtime, "system", "service", "--time", "0", `unix://${socket}`];
  const service = ownService(command, socket);
  await service.start();
  return {
    engine: { name: "podman", socket, docker: new Docker({ socketPath: socket }) },
    ...service,
    // Podman knows of a reboot by the machine's /run, which is not ours to empty.
    killRest: async () => {},
    close: service.kill,
  };
}

/**
 * A Docker of its own, whose image comes from the one that was given. Every other start is with `--live-restore`: containers
 * go on while the daemon is away; without, the daemon that comes back ends them.
 */
export async function ownDocker(folder: string, given: EngineUnderTest): Promise<OwnEngine> {
  const socket = join(folder, "docker.sock");
  const execRoot = join(folder, "docker-exec");
  const pidFile = join(folder, "dockerd.pid");
  const dataRoot = join(folder, "docker-data");
  const docker = new Docker({ socketPath: socket });
  let starts = 0;
  const command = () => [
    ...["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "-H", `unix://${socket}`],
    ...["--data-root", dataRoot, "--exec-root", execRoot, "-p", pidFile],
    ...["--default-ulimit", "nofile=20000:20000"],
    ...(++starts % 2 === 0 ? ["--live-restore"] : []),
  ];
  const service = ownService(command, socket);
  const kill = async () => {
    await service.kill();
    // Its containerd dies with it, a moment later; the next daemon takes a process of that number for a living one.
    await until(
      "its containerd has ended",
      () => pidsWith(`${execRoot}/containerd/containerd.toml`).length === 0,
    );
    for (const file of [pidFile, join(execRoot, "containerd/containerd.pid")]) rmSync(file, { force: true });
  };
  const killRest = async () => {
    // A container that was being made waits in a process which its variables alone lead to.
    const rest = () => [...pidsWith(execRoot), ...pidsWith(`=${execRoot}/`, "environ")];
    for (const pid of rest()) endNow(pid);
    await until("nothing watches over containers", () => rest().length === 0);
    for (const point of mountsBelow(execRoot)) await run(["umount", "--lazy", point]);
    rmSync(execRoot, { recursive: true, force: true });
  };
  const close = async () => {
    await service.kill();
    await killRest();
    for (const point of mountsBelow(folder).filter((each) => each !== join(folder, "data")))
      await run(["umount", "--lazy", point]);
    // Some files of layers take a moment to be let go.
    await run(["rm", "-rf", dataRoot]);
  };
  try {
    await service.start();
    await copyImage(given, docker, folder);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return { engine: { name: "docker", socket, docker }, kill, killRest, start: service.start, close };
}

function ownService(command: string[] | (() => string[]), socket: string) {
  let child: Bun.Subprocess | undefined;
  return {
    async start() {
      const log = openSync(`${socket}.log`, "a");
      const argv = typeof command === "function" ? command() : command;
      const spawn = () => Bun.spawn(argv, { stdio: ["ignore", "ignore", log] });
      child = spawn();
      const answers = () =>
        fetch("http://engine/_ping", { unix: socket, signal: AbortSignal.timeout(5000) }).then(
          ({ ok }) => ok,
          async () => {
            // Docker ends where its containerd is not up in time; whoever runs it tries again.
            if (child?.exitCode !== null) child = spawn();
            await Bun.sleep(500);
            return false;
          },
        );
      try {
        await until(`the engine answers (${socket}.log)`, answers, 180);
      } finally {
        closeSync(log);
      }
    },
    async kill() {
      child?.kill("SIGKILL");
      await child?.exited;
      rmSync(socket, { force: true });
    },
  };
}

async function copyImage(from: EngineUnderTest, to: Docker, folder: string): Promise<void> {
  const scratch = join(folder, "image");
  mkdirSync(scratch);
  const built = await run([executable, "image", "build", "slim", "--if-missing", "--data", scratch], {
    env: { CCW_ENGINE_SOCKET: from.socket },
  });
  const reference = /\S*ccw\/slim:\S+/.exec(built.out)?.[0];
  if (reference === undefined) throw new Error(`the image is not known: ${built.out}${built.err}`);
  const answer = await to.loadImage(await from.docker.getImage(reference).get());
  for await (const _ of answer);
  await to.getImage(reference).inspect();
  if (existsSync(scratch)) rmSync(scratch, { recursive: true });
}
