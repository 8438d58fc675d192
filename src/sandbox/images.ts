import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { CcwError, messageOf } from "../domain/errors.ts";
import { baseImage } from "./base-image.ts";
import { fetchPackage } from "./download.ts";
import { engineError, statusOf } from "./engine-errors.ts";
import { loadArchive } from "./image-archive.ts";
import { EngineFailure, followEngine } from "./progress.ts";
import {
  type Architecture,
  builtInRecipes,
  imageReferenceOf,
  type Recipe,
  recipeNamed,
  referenceOf,
} from "./recipe.ts";
import type { EngineTraits } from "./traits.ts";

export interface ImagesOptions {
  docker: Docker;
  traits: EngineTraits;
  /** Folder for downloads and build contexts. */
  cacheFolder: string;
  /** Where commands are looked for, like the environment's PATH. */
  path: string;
  registryUrl?: string;
  debianMirror?: string;
  /** The machine's proxy settings, for downloads and within builds. */
  proxy?: { http?: string; https?: string; except?: string };
  /** PEM bundle to trust, for downloads and within builds; nothing where the file is missing. */
  caFile?: string;
}

export interface ImageSummary {
  reference: string;
  /** The built-in recipe whose current image this is. */
  recipe?: string;
  /** `missing`: a built-in recipe whose current image is not built. */
  state: { kind: "present"; bytes: number; createdAt: number } | { kind: "missing" };
}

export interface Running {
  /** One printable line at a time, at most 500 characters. */
  onProgress(line: string): void;
  signal: AbortSignal;
}

export interface Images {
  listImages(): Promise<ImageSummary[]>;
  /** Builds a recipe's image unless it is there (or `force`). Rejects with `not_found` for a name without a recipe. */
  buildImage(
    name: string,
    how: Running & { force?: boolean },
  ): Promise<{ reference: string; built: boolean }>;
  /** Loads an image archive, or a root file system as an image. Returns the references that it brought. */
  importImage(file: string, how: Running): Promise<string[]>;
  /** A built-in recipe's current tag, or the reference as it is. */
  resolveImage(image: string): string;
}

export function createImages(options: ImagesOptions): Images {
  const { docker, traits, cacheFolder } = options;
  const engine = `${traits.kind} ${traits.version}`;

  async function isPresent(reference: string): Promise<boolean> {
    try {
      await docker.getImage(reference).inspect();
      return true;
    } catch (thrown) {
      if (statusOf(thrown) === 404) return false;
      throw engineError(thrown, engine, "look for an image");
    }
  }

  async function build(recipe: Recipe, { onProgress, signal }: Running): Promise<void> {
    const ca = await readFile(options.caFile ?? "/etc/ssl/certs/ca-certificates.crt", "utf8").catch(() => "");
    await mkdir(cacheFolder, { recursive: true });
    const context = await mkdtemp(join(cacheFolder, "context-"));
    try {
      for (const wanted of recipe.packages[architectureOf(process.arch)]) {
        const file = await fetchPackage(wanted, {
          registryUrl: options.registryUrl ?? "https://registry.npmjs.org",
          ca,
          proxy: options.proxy?.https ?? "",
          cacheFolder,
          onProgress,
          signal,
        });
        await symlink(file, join(context, wanted.file));
      }
      await writeFile(join(context, "Containerfile"), recipe.text);
      await writeFile(join(context, "ca-certificates.crt"), ca);
      const base = await baseOf(recipe, { onProgress, signal });
      await runBuild(recipe, base, context, { onProgress, signal });
    } finally {
      await rm(context, { recursive: true, force: true });
    }
  }

  async function baseOf({ base }: Recipe, running: Running): Promise<string> {
    if (base === undefined) {
      const { path, debianMirror = "" } = options;
      return baseImage({ docker, path, debianMirror, ...running });
    }
    if (!(await isPresent(referenceOf(base)))) await build(base, running);
    return referenceOf(base);
  }

  async function runBuild(
    recipe: Recipe,
    base: string,
    context: string,
    { onProgress, signal }: Running,
  ): Promise<void> {
    const { http = "", https = "", except = "" } = options.proxy ?? {};
    // The context's links lead to the verified downloads; `-h` sends what they point at.
    const tar = Bun.spawn(["tar", "-C", context, "-ch", "."], { stdout: "pipe", stderr: "ignore", signal });
    try {
      const answer = await docker.buildImage(Readable.from(tar.stdout), {
        t: referenceOf(recipe),
        dockerfile: "Containerfile",
        // Build steps need the network, and not every engine has one of its own to offer.
        networkmode: "host",
        rm: true,
        forcerm: true,
        buildargs: {
          BASE: base,
          ...(http === "" ? {} : { http_proxy: http }),
          ...(https === "" ? {} : { https_proxy: https }),
          ...(except === "" ? {} : { no_proxy: except }),
        },
        abortSignal: signal,
      });
      await followEngine(Readable.from(answer), onProgress);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof EngineFailure))
        throw engineError(thrown, engine, `build the image ${recipe.name}`);
      throw new CcwError(
        "unavailable",
        `The image ${recipe.name} could not be built: ${messageOf(thrown).slice(0, 300)}`,
        `The last lines of the build: ${thrown.lastLines.slice(-6).join(" / ").slice(-1500)}`,
        { cause: thrown },
      );
    } finally {
      tar.kill();
    }
  }

  return {
    async listImages() {
      const held = await docker.listImages().catch((thrown: unknown) => {
        throw engineError(thrown, engine, "list the images");
      });
      const current = new Map(builtInRecipes.map((recipe) => [referenceOf(recipe), recipe.name]));
      const present = held.flatMap((image) =>
        (image.RepoTags ?? [])
          .filter((reference) => reference !== "<none>:<none>")
          .map((reference): ImageSummary => {
            const recipe = current.get(reference);
            const state = { kind: "present", bytes: image.Size, createdAt: image.Created * 1000 } as const;
            return { reference, ...(recipe === undefined ? {} : { recipe }), state };
          }),
      );
      const missing = [...current]
        .filter(([reference]) => !present.some((image) => image.reference === reference))
        .map(([reference, recipe]): ImageSummary => ({ reference, recipe, state: { kind: "missing" } }));
      return [...missing, ...present];
    },

    async buildImage(name, how) {
      const recipe = recipeNamed(name);
      if (recipe === undefined) {
        const known = builtInRecipes.map((candidate) => candidate.name).join(", ");
        throw new CcwError(
          "not_found",
          `There is no recipe for an image ${JSON.stringify(name)}.`,
          `Known: ${known}.`,
        );
      }
      const reference = referenceOf(recipe);
      if (how.force !== true && (await isPresent(reference))) return { reference, built: false };
      await build(recipe, how);
      return { reference, built: true };
    },

    importImage: (file, how) => loadArchive(docker, engine, file, how),
    resolveImage: imageReferenceOf,
  };
}

function architectureOf(arch: string): Architecture {
  if (arch === "x64" || arch === "arm64") return arch;
  throw new CcwError("unavailable", `There is no agent CLI for the processor architecture ${arch}.`);
}
