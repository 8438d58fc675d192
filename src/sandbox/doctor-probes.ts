import { mkdir, mkdtemp, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { limitsSchema } from "../domain/environment.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import { type IdSource, newId } from "../domain/ids.ts";
import { type ConnectOptions, connectEngine, type EngineConnection } from "./connect.ts";
import { containerSpec } from "./container-spec.ts";
import { type Check, type Findings, judge, type Trial } from "./doctor.ts";
import { engineError, engineWords, statusOf } from "./engine-errors.ts";
import { followEngine } from "./progress.ts";
import { imageReferenceOf } from "./recipe.ts";
import { ulimitsWithin } from "./traits.ts";

export interface DiagnoseOptions extends ConnectOptions {
  idSource: IdSource;
}

/** Looks at the machine and says how it stands. Never rejects for something that is missing: that is a check. */
export async function diagnose(options: DiagnoseOptions): Promise<Check[]> {
  const [disk, git, engine, status, limits] = await Promise.all([
    diskOf(options.dataFolder),
    gitOf(options.path),
    engineOf(options),
    readFile("/proc/self/status", "utf8").catch(() => ""),
    readFile("/proc/self/limits", "utf8").catch(() => ""),
  ]);
  const isInstalled = (command: string): boolean => Bun.which(command, { PATH: options.path }) !== null;
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return judge({
    engine,
    mayRaiseLimits: (capabilities & (1n << 24n)) !== 0n, // CAP_SYS_RESOURCE, linux/capability.h
    hardOpenFiles: ulimitsWithin(limits).nofile,
    commands: { mmdebstrap: isInstalled("mmdebstrap"), runc: isInstalled("runc") },
    git,
    disk,
  });
}

async function engineOf(options: DiagnoseOptions): Promise<Findings["engine"]> {
  let connection: EngineConnection;
  try {
    connection = await connectEngine(options);
  } catch (thrown) {
    const hint = thrown instanceof CcwError ? thrown.hint : "";
    return { kind: "absent", message: messageOf(thrown), hint };
  }
  try {
    const { docker, traits, socket } = connection;
    const image = await docker
      .getImage(imageReferenceOf("slim"))
      .inspect()
      .then(
        () => "present" as const,
        () => "missing" as const,
      );
    return { kind: "answers", socket, traits, image, trial: await tryStart(connection, options) };
  } finally {
    await connection.close();
  }
}

/**
 * Starts a container under a sandbox's own specification, from an image with nothing in it. A runtime that gets as
 * far as not finding the program has done all that a sandbox needs of it.
 */
async function tryStart({ docker, traits }: EngineConnection, options: DiagnoseOptions): Promise<Trial> {
  const name = `${traits.kind} ${traits.version}`;
  const reference = "localhost/ccw/nothing:1";
  const folder = await mkdtemp(resolve(options.dataFolder, "trial-"));
  const id = newId("SandboxId", options.idSource);
  const before = performance.now();
  try {
    const emptyTar = Readable.from([Buffer.alloc(10_240)]);
    await followEngine(
      Readable.from(await docker.importImage(emptyTar, { repo: reference })),
      () => undefined,
    );
    const guest = join(folder, "guest");
    await mkdir(join(folder, "door"));
    await writeFile(guest, "#!/nowhere\n", { mode: 0o755 });
    const spec = {
      id,
      taskId: newId("TaskId", options.idSource),
      image: reference,
      limits: limitsSchema.parse({}),
      doorFolder: join(folder, "door"),
      objectFolders: [],
    };
    const container = await docker.createContainer(containerSpec(spec, traits, "doctor", guest));
    await container.start();
    return { kind: "works", ms: performance.now() - before };
  } catch (thrown) {
    if (statusOf(thrown) !== undefined && /no such file|not found in/i.test(engineWords(thrown))) {
      return { kind: "works", ms: performance.now() - before };
    }
    const { message, hint } = engineError(thrown, name, "start a container");
    return { kind: "failed", message, hint };
  } finally {
    await docker
      .getContainer(`ccw-${id}`)
      .remove({ force: true })
      .catch(() => undefined);
    await docker
      .getImage(reference)
      .remove()
      .catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

async function gitOf(path: string): Promise<Findings["git"]> {
  const git = Bun.which("git", { PATH: path });
  if (git === null) return { kind: "absent" };
  const version = await outputOf([git, "--version"]);
  const folder = await outputOf([git, "--exec-path"]);
  const hasBackend = await Bun.file(join(folder, "git-http-backend")).exists();
  return { kind: hasBackend ? "works" : "no_backend", version };
}

async function diskOf(folder: string): Promise<Findings["disk"]> {
  try {
    await mkdir(folder, { recursive: true });
    const { bavail, bsize } = await statfs(folder);
    return { kind: "known", folder, freeBytes: bavail * bsize };
  } catch (thrown) {
    return { kind: "unknown", folder, reason: messageOf(thrown) };
  }
}

async function outputOf(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  return (await new Response(child.stdout).text()).trim();
}
