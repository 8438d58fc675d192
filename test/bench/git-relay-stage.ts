import { rmSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** git's own http-backend behind nginx, and repositories that are the same at every run. */
export interface GitStage {
  folder: string;
  /** Bare, below nginx: `<origin>/large.git`. */
  repository: string;
  origin: string;
  start(argv: string[]): Bun.Subprocess<"ignore", "pipe", "inherit">;
}

export const gitEnvironment = (folder: string): Record<string, string> => ({
  PATH: "/usr/local/bin:/usr/bin:/bin",
  HOME: folder,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
});

export async function withGitStage<Result>(work: (stage: GitStage) => Promise<Result>): Promise<Result> {
  await install(["nginx", "fcgiwrap"]);
  const folder = await mkdtemp(join(tmpdir(), "git-bench-"));
  const children = new Set<Bun.Subprocess>();
  const clear = () => {
    for (const child of children) endGroup(child.pid);
    rmSync(folder, { recursive: true, force: true });
  };
  const leave = () => process.exit(130);
  process.on("exit", clear);
  process.once("SIGINT", leave);
  process.once("SIGTERM", leave);
  const start = (argv: string[]) => {
    const child = Bun.spawn(argv, { cwd: folder, stdio: ["ignore", "pipe", "inherit"], detached: true });
    children.add(child);
    return child;
  };
  try {
    const repository = join(folder, "repositories/large.git");
    await makeRepository(repository, folder);
    const origin = await startNginx(folder, start);
    return await work({ folder, repository, origin, start });
  } finally {
    for (const child of children) child.kill("SIGTERM");
    await Promise.all([...children].map((child) => Promise.race([child.exited, Bun.sleep(3000)])));
    clear();
    process.off("exit", clear);
    process.off("SIGINT", leave);
    process.off("SIGTERM", leave);
  }
}

/** fcgiwrap and nginx have children, which would outlive them. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of them have ended.
  }
}

async function install(names: string[]): Promise<void> {
  const PATH = `${process.env["PATH"]}:/usr/sbin`;
  const missing = names.filter((name) => Bun.which(name, { PATH }) === null);
  if (missing.length === 0) return;
  const argv = ["apt-get", "install", "-y", "--no-install-recommends", ...missing];
  const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "inherit"] });
  if ((await child.exited) !== 0)
    throw new Error(`${argv.join(" ")} failed; it needs root and Debian's packages.`);
}

const files = 20_000;
const bytesPerFile = 12_500;
const commits = 10;

/** 20k files in ten commits, each file written twice: 500 MB that no compression makes smaller, the same at every run. */
async function makeRepository(path: string, folder: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await git(folder, "init", "-q", "--bare", "-b", "main", path);
  await git(path, "config", "http.receivepack", "true");
  await git(path, "config", "uploadpack.allowFilter", "true");
  const child = Bun.spawn(
    [
      "git",
      "-c",
      "core.compression=0",
      "-c",
      "pack.compression=0",
      `--git-dir=${path}`,
      "fast-import",
      "--quiet",
    ],
    { env: gitEnvironment(folder), stdio: ["pipe", "ignore", "inherit"] },
  );
  const noise = createNoise();
  for (let commit = 0; commit < commits; commit++) {
    const message = `Commit ${commit}`;
    child.stdin.write(
      `commit refs/heads/main\ncommitter Bench <bench@example.org> ${1_700_000_000 + commit} +0000\n` +
        `data ${message.length}\n${message}\n`,
    );
    const perCommit = (2 * files) / commits;
    for (let file = 0; file < perCommit; file++) {
      const number = (commit * perCommit + file) % files;
      child.stdin.write(`M 100644 inline d${number % 200}/f${number}\ndata ${bytesPerFile}\n`);
      child.stdin.write(noise(bytesPerFile));
      if (file % 50 === 0) await child.stdin.flush();
      child.stdin.write("\n");
    }
  }
  await child.stdin.end();
  if ((await child.exited) !== 0) throw new Error("git fast-import has failed");
  await git(path, "-c", "pack.compression=0", "repack", "-q", "-a", "-d", "-b");
}

/** Bytes of a generator that begins with the same number each time (xorshift32). */
export function createNoise(seed = 0x2545f491): (bytes: number) => Uint8Array {
  let state = seed;
  return (bytes) => {
    const words = new Uint32Array(Math.ceil(bytes / 4));
    for (let at = 0; at < words.length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[at] = state;
    }
    return new Uint8Array(words.buffer, 0, bytes);
  };
}

export async function git(cwd: string, ...args: string[]): Promise<void> {
  const argv = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org", ...args];
  const child = Bun.spawn(argv, { cwd, env: gitEnvironment(cwd), stdio: ["ignore", "ignore", "pipe"] });
  const words = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`git ${args.join(" ")}: ${words}`);
}

async function startNginx(folder: string, start: GitStage["start"]): Promise<string> {
  const port = await freePort();
  const socket = join(folder, "fcgi.sock");
  const temporary = ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${join(folder, `nginx-${name}`)};`)
    .join(" ");
  const parameters = {
    SCRIPT_FILENAME: "/usr/lib/git-core/git-http-backend",
    GIT_PROJECT_ROOT: join(folder, "repositories"),
    GIT_HTTP_EXPORT_ALL: '""',
    PATH_INFO: "$uri",
    QUERY_STRING: "$query_string",
    REQUEST_METHOD: "$request_method",
    CONTENT_TYPE: "$content_type",
    CONTENT_LENGTH: "$content_length",
    HTTP_CONTENT_ENCODING: "$http_content_encoding",
    GIT_PROTOCOL: "$http_git_protocol",
    REMOTE_USER: "bench",
  };
  const lines = Object.entries(parameters).map(([name, value]) => `fastcgi_param ${name} ${value};`);
  const user = process.getuid?.() === 0 ? "user root;" : "";
  await writeFile(
    join(folder, "nginx.conf"),
    `daemon off; ${user} pid ${folder}/nginx.pid; error_log ${folder}/nginx-error.log; worker_processes 1;
events { worker_connections 256; }
http { access_log ${folder}/nginx-access.log; client_max_body_size 0; ${temporary}
  server { listen 127.0.0.1:${port};
    location / { fastcgi_buffering off; fastcgi_request_buffering off; fastcgi_read_timeout 600;
      fastcgi_pass unix:${socket}; ${lines.join("\n      ")} } } }
`,
  );
  const PATH = `${process.env["PATH"]}:/usr/sbin`;
  start([Bun.which("fcgiwrap", { PATH }) ?? "fcgiwrap", "-c", "4", "-s", `unix:${socket}`]);
  start([nginx(), "-c", join(folder, "nginx.conf"), "-e", "stderr"]);
  const origin = `http://127.0.0.1:${port}`;
  await untilServed(origin);
  return origin;
}

const nginx = (): string => Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin` }) ?? "nginx";

async function untilServed(origin: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`${origin}/large.git/info/refs?service=git-upload-pack`).catch(
      () => undefined,
    );
    await answer?.body?.cancel();
    if (answer?.ok === true) return;
    await Bun.sleep(100);
  }
  throw new Error("nginx does not answer after ten seconds");
}

/** Another nginx, which passes on all that it gets, by a process of its own. */
export async function startPlainRelay({ folder, origin, start }: GitStage) {
  const port = await freePort();
  const place = join(folder, "plain-relay");
  await mkdir(place);
  const temporary = ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${join(place, name)};`)
    .join(" ");
  await writeFile(
    join(place, "nginx.conf"),
    `daemon off; master_process off; pid ${place}/nginx.pid; error_log ${place}/error.log;
events { worker_connections 256; }
http { access_log off; client_max_body_size 0; ${temporary}
  server { listen 127.0.0.1:${port};
    location / { proxy_pass ${origin}; proxy_http_version 1.1; proxy_read_timeout 600;
      proxy_buffering off; proxy_request_buffering off; } } }
`,
  );
  const { pid } = start([nginx(), "-c", join(place, "nginx.conf"), "-e", "stderr"]);
  const url = `http://127.0.0.1:${port}`;
  await untilServed(url);
  return { url, pid };
}

async function freePort(): Promise<number> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
