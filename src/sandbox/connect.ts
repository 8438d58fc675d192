import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import { withoutNamespaces } from "./seccomp.ts";
import { type EngineTraits, type HostFacts, readTraits } from "./traits.ts";

export interface ConnectOptions {
  /** The operator's setting: a socket's path. Nothing else is tried then. */
  socket?: string;
  /** DOCKER_HOST, where it is set. */
  dockerHost?: string;
  /** XDG_RUNTIME_DIR, where it is set. */
  runtimeFolder?: string;
  /** The appliance's data folder: the socket of an engine that is started here lies in it. */
  dataFolder: string;
  /** Where commands are looked for, like the environment's PATH. */
  path: string;
  log: Log;
}

export interface EngineConnection {
  docker: Docker;
  traits: EngineTraits;
  socket: string;
  /** Ends the Podman service if this appliance started it; containers go on. */
  close(): Promise<void>;
}

/** Plenty for a few facts on a socket of the same machine, where others are to be tried, too. */
const answerMs = 5000;
/** The only engine there may be: with all processors at work Podman was seen to take 5 s and more. */
const onlyAnswerMs = 30_000;

/**
 * The first engine that answers: the operator's setting alone if there is one; else Podman's sockets, Docker's, and last a
 * Podman service of our own where the command is installed. Rejects with `unavailable`, saying what was tried.
 */
export async function connectEngine(options: ConnectOptions): Promise<EngineConnection> {
  const tried: string[] = [];
  for (const socket of candidates(options)) {
    try {
      const found = await answering(socket, options.socket === undefined ? answerMs : onlyAnswerMs);
      return await withFilter({ ...found, close: async () => undefined }, options);
    } catch (thrown) {
      tried.push(`${socket}: ${reasonOf(thrown)}`);
    }
  }
  if (options.socket === undefined) {
    const podman = Bun.which("podman", { PATH: options.path });
    if (podman !== null) return await withFilter(await startPodman(podman, options), options);
    tried.push("podman: not installed");
  }
  throw new CcwError(
    "unavailable",
    `No container engine answers (${tried.join("; ")}).`,
    options.socket === undefined
      ? "Install one: `apt-get install -y podman runc uidmap`. `ccw-server doctor` says more."
      : "Start the engine that belongs to this socket, or take the setting out to have one found.",
  );
}

/** The facts about this machine that traits depend on. */
async function readHostFacts(): Promise<HostFacts> {
  const [limits = "", subuid = "", subgid = ""] = await Promise.all(
    ["/proc/self/limits", "/etc/subuid", "/etc/subgid"].map((file) => readFile(file, "utf8").catch(() => "")),
  );
  return { limits, subuid, subgid };
}

function candidates({ socket, dockerHost, runtimeFolder, dataFolder }: ConnectOptions): string[] {
  if (socket !== undefined) return [socket.replace(/^unix:\/\//, "")];
  const dockerSocket = /^unix:\/\/(\/.+)$/.exec(dockerHost ?? "")?.[1];
  return [
    "/run/podman/podman.sock",
    ...(runtimeFolder === undefined ? [] : [join(runtimeFolder, "podman/podman.sock")]),
    // An engine elsewhere cannot mount this machine's files, so no other form of DOCKER_HOST is of use.
    ...(dockerSocket === undefined ? [] : [dockerSocket]),
    "/var/run/docker.sock",
    // Left running by a server that was killed.
    ownSocket(dataFolder),
  ];
}

async function answering(
  socket: string,
  withinMs: number,
): Promise<{ docker: Docker; traits: EngineTraits; socket: string }> {
  const docker = new Docker({ socketPath: socket });
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${withinMs / 1000} s`)), withinMs);
  try {
    const traits = await Promise.race([readTraits(docker, await readHostFacts()), late]);
    return { docker, traits, socket };
  } finally {
    clearTimeout(timer);
  }
}

async function startPodman(podman: string, options: ConnectOptions): Promise<EngineConnection> {
  const socket = ownSocket(options.dataFolder);
  if (Buffer.byteLength(socket) > 107) {
    throw new CcwError(
      "invalid",
      `The data folder's path is too long for a socket in it: ${socket}.`,
      "Choose a data folder with a path of less than 80 bytes.",
    );
  }
  await mkdir(dirname(socket), { recursive: true, mode: 0o700 });
  // crun, Debian's default for Podman, does not run containers where cgroup v1 is in use; runc does.
  const unified = await Bun.file("/sys/fs/cgroup/cgroup.controllers").exists();
  const hasRunc = Bun.which("runc", { PATH: options.path }) !== null;
  return await startService(podman, !unified && hasRunc ? ["--runtime", "runc"] : [], socket);
}

async function startService(podman: string, settings: string[], socket: string): Promise<EngineConnection> {
  // Words go to a file: a pipe would break with this process, and take the service and its containers' monitors along.
  const words = Bun.file(`${socket}.log`);
  // A group of its own, so that Ctrl-C in a terminal ends the server and lets it end the service in its turn.
  const child = Bun.spawn([podman, ...settings, "system", "service", "--time", "0", `unix://${socket}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: words,
    detached: true,
  });
  child.unref();
  const close = async (): Promise<void> => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 5000);
    await child.exited;
    clearTimeout(late);
  };
  for (let waited = 0; child.exitCode === null && waited < 15_000; waited += 50) {
    await sleep(50);
    const found = await answering(socket, answerMs).catch(() => undefined);
    if (found !== undefined) return { ...found, close };
  }
  await close();
  const said = await words.text().catch(() => "");
  throw new CcwError(
    "unavailable",
    `Podman's service did not start: ${said.trim().slice(-600) || "it said nothing"}.`,
    "Run `podman info` as the same user to see what Podman lacks.",
  );
}

/** Gives Podman's sandboxes the stricter filter of seccomp.ts, made of the default that Podman itself would take. */
async function withFilter(connection: EngineConnection, options: ConnectOptions): Promise<EngineConnection> {
  if (connection.traits.kind !== "podman") return connection;
  for (const file of ["/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"]) {
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const seccompProfile = resolve(options.dataFolder, "engine", "seccomp.json");
    await mkdir(dirname(seccompProfile), { recursive: true, mode: 0o700 });
    await writeFile(seccompProfile, JSON.stringify(withoutNamespaces(JSON.parse(text))));
    return { ...connection, traits: { ...connection.traits, seccompProfile } };
  }
  options.log.warn("Podman's default system call filter was not found; sandboxes run under it unchanged");
  return connection;
}

const ownSocket = (dataFolder: string): string => resolve(dataFolder, "engine", "podman.sock");

function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error && "code" in thrown) {
    if (thrown.code === "ENOENT" || thrown.code === "FailedToOpenSocket") return "not there";
    if (thrown.code === "ECONNREFUSED") return "nobody answers there";
    if (thrown.code === "EACCES") return "this user may not use it";
  }
  return messageOf(thrown).slice(0, 200);
}
