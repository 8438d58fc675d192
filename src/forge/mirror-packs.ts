import { open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/**
 * A mirror's packs, and a check of them that costs next to nothing: whether all are there, and as long as they were.
 * Bytes that changed within are for `git fsck` to find.
 */

const manifestSchema = z.record(z.string(), z.number());

/** Writes down which packs there are. What is cut short or lost later is noticed by it. */
export async function writeManifest(folder: string): Promise<void> {
  const sizes: Record<string, number> = {};
  for (const name of await packFiles(folder)) sizes[name] = (await stat(join(packsOf(folder), name))).size;
  const file = manifestOf(folder);
  await writeFile(`${file}.tmp`, JSON.stringify(sizes));
  await rename(`${file}.tmp`, file);
}

/** What is wrong, in words; undefined where nothing seems so. */
export async function damageOf(folder: string): Promise<string | undefined> {
  try {
    const names = new Set(await packFiles(folder));
    const manifest = await readManifest(folder);
    for (const name of Object.keys(manifest)) if (!names.has(name)) return `${name} is missing`;
    for (const name of names) {
      if (name.endsWith(".pack") && !names.has(name.replace(/pack$/, "idx"))) return `${name} has no index`;
      if (name.endsWith(".idx") && !names.has(name.replace(/idx$/, "pack"))) return `${name} has no pack`;
      const { size } = await stat(join(packsOf(folder), name));
      const expected = manifest[name];
      if (expected !== undefined && size !== expected)
        return `${name} has ${size} bytes instead of ${expected}`;
      // A fetch that was killed before the manifest was written: an index ends with its pack's checksum and its own.
      if (expected === undefined && name.endsWith(".pack")) {
        const pack = join(packsOf(folder), name);
        if (!(await belongTogether(pack, pack.replace(/pack$/, "idx")))) return `${name} is cut short`;
      }
    }
    return undefined;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown) return `it cannot be read (${String(thrown.code)})`;
    throw thrown;
  }
}

/** Removes what a git that was killed has left behind; only while none runs there. */
export async function tidy(folder: string): Promise<void> {
  const packs = packsOf(folder);
  const names = new Set(await readdir(packs).catch(() => []));
  for (const name of names) {
    const half = name.endsWith(".pack") && !names.has(name.replace(/pack$/, "idx"));
    // A pack becomes one of the repository when its index is there. One that the manifest knows is damage, not a rest.
    const known = half && (await readManifest(folder))[name] !== undefined;
    if (/^(\.?tmp[-_]|.*\.keep$)/.test(name) || (half && !known))
      await rm(join(packs, name), { force: true });
  }
  for (const name of await readdir(join(folder, "objects")).catch(() => [])) {
    if (/^(tmp_|incoming-)/.test(name))
      await rm(join(folder, "objects", name), { recursive: true, force: true });
  }
  const locks = await readdir(folder, { recursive: true }).catch(() => []);
  for (const path of locks) if (path.endsWith(".lock")) await rm(join(folder, path), { force: true });
}

/** How many packs there are, and their bytes. */
export async function packTotals(folder: string): Promise<{ packs: number; bytes: number }> {
  const packs = (await packFiles(folder)).filter((name) => name.endsWith(".pack"));
  const sizes = await Promise.all(packs.map(async (name) => (await stat(join(packsOf(folder), name))).size));
  return { packs: packs.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** How much of a pack had come when it broke off; to be asked before `tidy`. */
export async function bytesOfRest(folder: string): Promise<number> {
  const names = (await readdir(packsOf(folder))).filter((name) => /^\.?tmp[-_]/.test(name));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(packsOf(folder), name))).size));
  return Math.max(0, ...sizes);
}

const packsOf = (folder: string): string => join(folder, "objects/pack");
const manifestOf = (folder: string): string => join(folder, "ccw-packs.json");

async function packFiles(folder: string): Promise<string[]> {
  return (await readdir(packsOf(folder))).filter((name) => /^pack-[0-9a-f]+\.(pack|idx)$/.test(name));
}

async function readManifest(folder: string): Promise<Record<string, number>> {
  const text = await readFile(manifestOf(folder), "utf8").catch(() => "{}");
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return {};
  }
}

/** gitformat-pack(5): a pack ends with its checksum; its index with the same, and then the index's own. */
async function belongTogether(pack: string, index: string): Promise<boolean> {
  for (const length of [20, 32]) {
    const own = await bytesBeforeEnd(pack, length, length);
    const said = await bytesBeforeEnd(index, 2 * length, length);
    if (own !== undefined && said !== undefined && own.equals(said)) return true;
  }
  return false;
}

async function bytesBeforeEnd(path: string, before: number, count: number): Promise<Buffer | undefined> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size < before) return undefined;
    const bytes = Buffer.alloc(count);
    await file.read(bytes, 0, count, size - before);
    return bytes;
  } finally {
    await file.close();
  }
}
