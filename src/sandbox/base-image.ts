import { Readable } from "node:stream";
import type Docker from "dockerode";
import { CcwError, messageOf } from "../domain/errors.ts";
import { EngineFailure, followEngine, linesOf } from "./progress.ts";

/** Debian stable, as the recipes are written for it. */
const suite = "trixie";
const published = `docker.io/library/debian:${suite}-slim`;
const bootstrapped = `localhost/ccw/base:${suite}`;

/** A registry that has not begun to answer by then is treated as out of reach. */
const registryMs = 5000;
/** A pull that has begun may pause this long between two words of the engine. */
const pullStallMs = 60_000;

export interface BaseOptions {
  docker: Docker;
  /** Where mmdebstrap is looked for, like the environment's PATH. */
  path: string;
  /** A Debian mirror for mmdebstrap; empty for Debian's own. */
  debianMirror: string;
  onProgress(line: string): void;
  signal: AbortSignal;
}

/** The image that recipes build on: Debian's official one, or the same made here from Debian's packages. */
export async function baseImage(options: BaseOptions): Promise<string> {
  const { docker, onProgress } = options;
  for (const reference of [published, bootstrapped]) {
    if (await has(docker, reference)) return reference;
  }
  onProgress(`fetching ${published}`);
  try {
    await pull(options);
    return published;
  } catch (thrown) {
    options.signal.throwIfAborted();
    onProgress(
      `no registry in reach (${messageOf(thrown).slice(0, 200)}); building the base from Debian packages`,
    );
  }
  await bootstrap(options);
  return bootstrapped;
}

async function pull({ docker, onProgress, signal }: BaseOptions): Promise<void> {
  const late = new AbortController();
  let timer = setTimeout(() => late.abort(new Error(`no answer within ${registryMs / 1000} s`)), registryMs);
  const both = AbortSignal.any([signal, late.signal]);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  both.addEventListener("abort", () => reject(both.reason), { once: true });
  const pulled = (async () => {
    const answer = Readable.from(await docker.pull(published, { abortSignal: both }));
    await followEngine(answer, (line) => {
      // The first word may be only that the engine tries; whatever follows comes from the registry.
      if (!/^Trying to pull/.test(line)) {
        clearTimeout(timer);
        timer = setTimeout(() => late.abort(new Error("the registry stalled")), pullStallMs);
      }
      onProgress(line);
    });
  })();
  pulled.catch(() => undefined); // after an abort nobody waits for it any more
  try {
    await Promise.race([pulled, aborted]);
  } finally {
    clearTimeout(timer);
  }
}

async function bootstrap({ docker, path, debianMirror, onProgress, signal }: BaseOptions): Promise<void> {
  const mmdebstrap = Bun.which("mmdebstrap", { PATH: path });
  if (mmdebstrap === null) {
    throw new CcwError(
      "unavailable",
      "No image registry is in reach, and mmdebstrap, which builds the base from Debian packages, is not installed.",
      "Run `apt-get install -y mmdebstrap debian-archive-keyring`, or load an image with `ccw-server image import FILE`.",
    );
  }
  const command = [
    mmdebstrap,
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    suite,
    "-",
    ...(debianMirror === "" ? [] : [debianMirror]),
  ];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe", signal });
  const said: string[] = [];
  const listening = (async () => {
    for await (const line of linesOf(child.stderr)) {
      said.push(line.slice(0, 500));
      if (said.length > 10) said.shift();
      if (/^[IWE]: /.test(line)) onProgress(line.slice(3, 300));
    }
  })();
  try {
    // The tag stands in `repo`, since Podman 4 does not read the parameter `tag`.
    const source = { repo: bootstrapped, abortSignal: signal };
    const answer = await docker.importImage(Readable.from(child.stdout), source);
    await followEngine(Readable.from(answer), onProgress);
    await listening;
    const code = await child.exited;
    if (code !== 0) throw new EngineFailure(`mmdebstrap ended with exit code ${code}`, said);
  } catch (thrown) {
    child.kill();
    await docker
      .getImage(bootstrapped)
      .remove()
      .catch(() => undefined);
    signal.throwIfAborted();
    await listening;
    throw new CcwError(
      "unavailable",
      `The base image could not be built from Debian packages: ${messageOf(thrown)}.`,
      `mmdebstrap's last words: ${said.slice(-3).join(" / ").slice(0, 800)}`,
      { cause: thrown },
    );
  }
}

async function has(docker: Docker, reference: string): Promise<boolean> {
  return await docker
    .getImage(reference)
    .inspect()
    .then(
      () => true,
      () => false,
    );
}
