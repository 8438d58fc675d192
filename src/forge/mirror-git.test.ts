import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { createMirrorGit } from "./mirror-git.ts";

const { signal } = new AbortController();
const folder = mkdtempSync(join(tmpdir(), "ccw-mirror-git-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** gitformat-pack(5): seven bits a byte, the lowest first. */
function sizeBytes(size: number): number[] {
  return size < 0x80 ? [size] : [(size % 0x80) | 0x80, ...sizeBytes(Math.floor(size / 0x80))];
}
const header = (type: number, size: number) =>
  Buffer.from(
    size < 16
      ? [(type << 4) | size]
      : [0x80 | (type << 4) | (size & 15), ...sizeBytes(Math.floor(size / 16))],
  );

/** A blob of 16 MiB, and one that is so many copies of it: some kilobytes, whatever comes of them. */
function bomb(copies: number): Buffer {
  const most = 0xffffff;
  const base = Buffer.alloc(most + 1);
  const copy = Buffer.from([0b1111_0000, 0xff, 0xff, 0xff]);
  const delta = Buffer.concat([
    Buffer.from([...sizeBytes(base.length), ...sizeBytes(copies * most)]),
    ...Array.from({ length: copies }, () => copy),
  ]);
  const first = Buffer.concat([header(3, base.length), deflateSync(base, { level: 9 })]);
  // ofs-delta, in two bytes: the highest seven bits first, less one.
  const far = first.length;
  const offset = Buffer.from([0x80 | ((far >> 7) - 1), far & 0x7f]);
  const pack = Buffer.concat([
    Buffer.from("PACK\0\0\0\x02\0\0\0\x02", "latin1"),
    first,
    header(6, delta.length),
    offset,
    deflateSync(delta),
  ]);
  return Buffer.concat([pack, createHash("sha1").update(pack).digest()]);
}

test("a pack of some kilobytes cannot have git fill this machine's memory", async () => {
  const git = createMirrorGit({ memoryBytes: 256 * 1024 ** 2 });
  const bare = join(folder, "mirror.git");
  expect((await git.run(["init", "--quiet", "--bare", "--", bare], { signal })).exitCode).toBe(0);
  const unpack = (copies: number) => {
    const file = join(folder, `${copies}.pack`);
    const pack = bomb(copies);
    expect(pack.length).toBeLessThan(64 * 1024);
    writeFileSync(file, pack);
    return git.run([`--git-dir=${bare}`, "index-pack", file], { signal });
  };
  expect((await unpack(2)).exitCode).toBe(0);
  await expect(unpack(200)).rejects.toMatchObject({
    code: "too_large",
    message: expect.stringContaining("more than the 256MiB of memory"),
  });
  expect(readdirSync(folder).filter((name) => name.endsWith(".idx"))).toEqual(["2.idx"]);
});

test("programs that git starts have the limits too, and one that is lower already stays", async () => {
  const memory = (git = createMirrorGit({ memoryBytes: 3 * 1024 ** 3 })) =>
    git.run(["-c", "alias.limit=!ulimit -d; ulimit -f; cat /proc/self/oom_score_adj", "limit"], {
      signal,
      maxFileBytes: 1024 ** 2,
    });
  expect((await memory()).stdout.split("\n").slice(0, 3)).toEqual(["3145728", "2048", "1000"]);
  const nested = `import { createMirrorGit } from ${JSON.stringify(join(import.meta.dir, "mirror-git.ts"))};
    const git = createMirrorGit({ memoryBytes: 3 * 1024 ** 3 });
    console.log((await git.run(["-c", "alias.limit=!ulimit -d", "limit"], { signal: AbortSignal.timeout(5000) })).stdout);`;
  const script = join(folder, "nested.ts");
  writeFileSync(script, nested);
  const shell = `ulimit -d 2000000 && exec "$0" "$1"`;
  const child = Bun.spawnSync(["/bin/sh", "-c", shell, process.execPath, script], {
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
  });
  expect(child.stdout.toString().trim()).toBe("2000000");
});
