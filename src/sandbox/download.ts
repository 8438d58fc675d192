import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { PinnedPackage } from "./recipe.ts";

export interface DownloadOptions {
  /** The npm registry, without a slash at the end. */
  registryUrl: string;
  /** Certificates to trust instead of the built-in ones, PEM; empty for the built-in ones. */
  ca: string;
  /** An HTTP proxy's URL, or empty. */
  proxy: string;
  /** Downloads stay here and are verified again before each use. */
  cacheFolder: string;
  onProgress(line: string): void;
  signal: AbortSignal;
}

/** No byte for this long ends a download. */
const stallMs = 30_000;
const abandonedMs = 3_600_000;

/**
 * The package's tarball as a file whose contents have the pinned hash. Streams to disk; a file with another hash
 * is removed and never returned. Rejects with `unavailable` when the registry cannot be reached or sent something else.
 */
export async function fetchPackage(wanted: PinnedPackage, options: DownloadOptions): Promise<string> {
  await mkdir(options.cacheFolder, { recursive: true });
  const file = join(options.cacheFolder, `${wanted.sha512.replace(/[^A-Za-z0-9]/g, "").slice(0, 24)}.tgz`);
  if ((await sha512Of(file)) === wanted.sha512) return file;
  const url = `${options.registryUrl}/${wanted.path}`;
  await removeAbandoned(options.cacheFolder);
  // Its own: a server and a command that build at the same time share the folder.
  const part = `${file}.${randomUUID()}.part`;
  let received: string;
  try {
    received = await download(url, part, wanted.file, options);
  } catch (thrown) {
    await rm(part, { force: true });
    options.signal.throwIfAborted();
    throw new CcwError(
      "unavailable",
      `${url} could not be downloaded: ${messageOf(thrown)}.`,
      "Check the machine's way to the npm registry (proxy, certificates), or name a mirror of it in the settings.",
      { cause: thrown },
    );
  }
  if (received !== wanted.sha512) {
    await rm(part, { force: true });
    throw new CcwError(
      "unavailable",
      `${url} is not the package that was pinned: its sha512 is ${received}.`,
      "A mirror or proxy may have changed it. Nothing of it was used.",
    );
  }
  await rename(part, file);
  return file;
}

/** Parts that nobody has written to for an hour, as a process that was killed leaves them. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".part")) continue;
    const path = join(folder, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (mtimeMs < Date.now() - abandonedMs) await rm(path, { force: true });
  }
}

async function download(url: string, part: string, label: string, options: DownloadOptions): Promise<string> {
  const stalled = new AbortController();
  const stall = (): void => stalled.abort(new Error(`no data for ${stallMs / 1000} s`));
  let timer = setTimeout(stall, stallMs);
  const file = await open(part, "w");
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([options.signal, stalled.signal]),
      ...(options.ca === "" ? {} : { tls: { ca: options.ca } }),
      ...(options.proxy === "" ? {} : { proxy: options.proxy }),
    });
    if (!response.ok || response.body === null) throw new Error(`the registry answered ${response.status}`);
    const total = Number(response.headers.get("content-length") ?? 0);
    const hash = createHash("sha512");
    const step = 16 * 1024 ** 2;
    let bytes = 0;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(stall, stallMs);
      hash.update(chunk);
      await file.writeFile(chunk);
      if (Math.floor((bytes + chunk.length) / step) > Math.floor(bytes / step)) {
        options.onProgress(
          `downloading ${label}: ${megabytes(bytes + chunk.length)} of ${megabytes(total)} MB`,
        );
      }
      bytes += chunk.length;
    }
    return hash.digest("base64");
  } finally {
    clearTimeout(timer);
    await file.close();
  }
}

/** Undefined where there is no such file. */
async function sha512Of(file: string): Promise<string | undefined> {
  const hash = createHash("sha512");
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk);
  } catch {
    return undefined;
  }
  return hash.digest("base64");
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e6);
