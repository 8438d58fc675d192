import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** A bare repository of 20,000 files, some 240 MB checked out, with a history of a few hundred commits. */
export async function makeLargeRepository(bare: string): Promise<{ files: number; packMiB: number }> {
  mkdirSync(bare, { recursive: true });
  await gitIn("/", "init", "--quiet", "--bare", "--initial-branch=main", bare);
  const child = Bun.spawn(["git", `--git-dir=${bare}`, "fast-import", "--quiet", "--depth=10"], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "inherit",
  });
  const say = async (text: string) => {
    await child.stdin.write(text);
    await child.stdin.flush();
  };
  const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`;
  const commit = (n: number) =>
    `commit refs/heads/main\nmark :${n}\ncommitter Ann <ann@example.org> ${1_700_000_000 + n * 60} +0000\n${data(`Commit ${n}`)}${n > 1 ? `from :${n - 1}\n` : ""}`;
  await say(commit(1));
  for (let file = 0; file < files; file++) {
    await say(`M 100644 inline ${pathOf(file)}\n${data(textOf(sizeOf(file)))}`);
  }
  for (let n = 2; n <= commits; n++) {
    await say(commit(n));
    for (let k = 0; k < 5; k++) {
      const file = (n * 131 + k * 17) % files;
      await say(`M 100644 inline ${pathOf(file)}\n${data(textOf(sizeOf(file)))}`);
    }
  }
  await child.stdin.end();
  if ((await child.exited) !== 0) throw new Error("git fast-import failed");
  const packs = join(bare, "objects/pack");
  const bytes = readdirSync(packs).reduce((sum, name) => sum + statSync(join(packs, name)).size, 0);
  return { files, packMiB: Math.round(bytes / 1024 ** 2) };
}

const files = 20_000;
const commits = 300;

const pathOf = (file: number): string =>
  `src/part-${file % 40}/module-${Math.floor(file / 40) % 25}/file-${file}.txt`;
/** Most are small and some large, as in real trees: 12 KB on the average. */
const sizeOf = (file: number): number => (file % 100 === 0 ? 400_000 : file % 10 === 0 ? 40_000 : 4_400);

/** Text that packs to about half. */
function textOf(size: number): string {
  const random = randomBytes(Math.ceil(size / 3)).toString("hex");
  const lines = random.match(/.{1,60}/g) ?? [];
  return `${lines.map((line, n) => `line ${n} ${line} of a file`).join("\n")}\n`.slice(0, size);
}

async function gitIn(cwd: string, ...args: string[]): Promise<string> {
  const child = Bun.spawn(["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", ...args], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`git ${args.join(" ")}: ${err}`);
  return out.trim();
}

/** A server that listens on loopback; its port. */
export async function listening(server: import("node:http").Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}
