import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { CcwError, messageOf } from "../domain/errors.ts";
import { engineError } from "./engine-errors.ts";
import { EngineFailure, followEngine, linesOf } from "./progress.ts";

/**
 * Gives a tar archive to the engine: what `podman save` or `docker save` wrote is loaded under its own names, a
 * root file system becomes the image `localhost/ccw/imported:<file's name>`. Streams; returns the references.
 */
export async function loadArchive(
  docker: Docker,
  engine: string,
  file: string,
  { onProgress, signal }: { onProgress(line: string): void; signal: AbortSignal },
): Promise<string[]> {
  const kind = await archiveKind(file);
  const loaded: string[] = [];
  try {
    if (kind === "rootfs") {
      const tag = basename(file)
        .replace(/\.tar(\.\w+)?$/, "")
        .replace(/[^A-Za-z0-9_.-]+/g, "-")
        .slice(0, 100);
      const repo = `localhost/ccw/imported:${tag}`; // Podman 4 does not read the parameter `tag`
      const answer = await docker.importImage(createReadStream(file), { repo, abortSignal: signal });
      await followEngine(Readable.from(answer), onProgress);
      return [repo];
    }
    const answer = await docker.loadImage(createReadStream(file), { abortSignal: signal });
    await followEngine(Readable.from(answer), (line) => {
      onProgress(line);
      for (const match of line.matchAll(/Loaded image(?: ID)?(?:\(s\))?: (\S+)/g))
        loaded.push(...(match[1] ?? "").split(","));
    });
    return loaded;
  } catch (thrown) {
    signal.throwIfAborted();
    if (!(thrown instanceof EngineFailure)) throw engineError(thrown, engine, `load ${file}`);
    throw new CcwError("invalid", `${engine} does not take ${file} as an image: ${messageOf(thrown)}`);
  }
}

/** Looks at the archive's table of contents, which tar reads without reading the files. */
async function archiveKind(file: string): Promise<"image" | "rootfs"> {
  await access(file).catch(() => {
    throw new CcwError("not_found", `There is no file ${file} that can be read.`);
  });
  const tar = Bun.spawn(["tar", "-tf", file], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  let hasSystem = false;
  let hasManifest = false;
  for await (const line of linesOf(tar.stdout)) {
    const name = line.replace(/^\.?\//, "");
    if (name === "manifest.json" || name === "oci-layout") hasManifest = true;
    if (/^(bin|etc|usr)\/?$/.test(name) || /^(bin|etc|usr)\//.test(name)) hasSystem = true;
  }
  await tar.exited;
  if (hasManifest) return "image";
  if (hasSystem) return "rootfs";
  throw new CcwError(
    "invalid",
    `${file} is neither an image archive nor a root file system.`,
    "Make one with `podman save -o FILE IMAGE` or `docker save -o FILE IMAGE`.",
  );
}
