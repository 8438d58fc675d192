import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { agentCliVersion } from "./agent-cli.ts";

/** What the scenarios run on: real engines, the real agent CLI, a browser. Started here where it does not run yet. */
export interface Parts {
  checks: { name: string; ok: boolean; reason: string }[];
  /** For the test processes. */
  environment: Record<string, string>;
  close(): Promise<void>;
}

export async function prepareParts(root: string): Promise<Parts> {
  const folder = mkdtempSync(join(tmpdir(), "ccw-parts-"));
  const children: Bun.Subprocess[] = [];
  const start = (argv: string[]) => {
    const log = openSync(join(folder, `${argv[0]}.log`), "a");
    children.push(Bun.spawn(argv, { stdio: ["ignore", log, log] }));
  };
  const checks: Parts["checks"] = [];
  const part = async (name: string, probe: () => Promise<string>): Promise<string | undefined> => {
    try {
      const value = await probe();
      checks.push({ name, ok: true, reason: value });
      return value;
    } catch (thrown) {
      checks.push({ name, ok: false, reason: thrown instanceof Error ? thrown.message : String(thrown) });
      return undefined;
    }
  };

  const podman = await part("podman", async () => {
    const socket = join(folder, "podman.sock");
    start([
      "podman",
      ...(Bun.which("runc") === null ? [] : ["--runtime", "runc"]),
      "system",
      "service",
      "--time",
      "0",
      `unix://${socket}`,
    ]);
    return answering(socket);
  });
  const docker = await part("docker", async () => {
    const running = "/var/run/docker.sock";
    if (existsSync(running) && (await answering(running, 1).catch(() => undefined)) !== undefined)
      return running;
    const socket = join(folder, "docker.sock");
    start([
      ...["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "-H", `unix://${socket}`],
      ...[
        "--exec-root",
        join(folder, "docker-exec"),
        "-p",
        join(folder, "dockerd.pid"),
        "--default-ulimit",
        "nofile=20000:20000",
      ],
    ]);
    return answering(socket);
  });
  for (const [name, socket] of [
    ["podman", podman],
    ["docker", docker],
  ] as const) {
    if (socket !== undefined) await part(`image on ${name}`, () => buildImage(root, socket, folder));
  }
  const claude = await part("agent CLI", () => installAgentCli());
  const chromium = await part("chromium", () => onPath("chromium"));
  await part("tmux", () => onPath("tmux"));
  await part("git", () => onPath("git"));

  return {
    checks,
    environment: {
      CCW_TEST_EXECUTABLE: join(root, "dist/ccw-server"),
      CCW_TEST_ENGINES: [podman && `podman=${podman}`, docker && `docker=${docker}`]
        .filter(Boolean)
        .join(","),
      CCW_TEST_CLAUDE: claude ?? "",
      CCW_TEST_CHROMIUM: chromium ?? "",
    },
    async close() {
      for (const child of children.reverse()) {
        child.kill("SIGTERM");
        await Promise.race([child.exited, Bun.sleep(15_000)]);
      }
      // An engine that was ended may leave a mount behind for a moment: network namespaces are mounted as files.
      for (const mount of mountsBelow(folder)) Bun.spawnSync(["umount", "--lazy", mount]);
      try {
        rmSync(folder, { recursive: true, force: true });
      } catch (thrown) {
        console.log(`left behind: ${folder} (${thrown instanceof Error ? thrown.message : thrown})`);
      }
    },
  };
}

function mountsBelow(folder: string): string[] {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return points.filter((point) => point.startsWith(`${folder}/`)).reverse();
}

async function answering(socket: string, seconds = 30): Promise<string> {
  let reason = "";
  for (let i = 0; i < seconds * 5; i++) {
    try {
      const response = await fetch("http://engine/_ping", {
        unix: socket,
        signal: AbortSignal.timeout(5000),
      });
      if (response.ok) return socket;
      reason = `status ${response.status}`;
    } catch (thrown) {
      reason = thrown instanceof Error ? thrown.message : String(thrown);
    }
    await Bun.sleep(200);
  }
  throw new Error(`no answer at ${socket}: ${reason}`);
}

/** The built-in images, in the engine's own store: where its recipe is unchanged this takes a moment. */
async function buildImage(root: string, socket: string, folder: string): Promise<string> {
  const child = Bun.spawn(
    [
      join(root, "dist/ccw-server"),
      "image",
      "build",
      // Brings `slim` along, which it builds on.
      "slim-codex",
      "--if-missing",
      "--data",
      join(folder, "images"),
    ],
    { env: { ...process.env, CCW_ENGINE_SOCKET: socket }, stdio: ["ignore", "pipe", "inherit"] },
  );
  const said = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error("it could not be built; the reason is above");
  return said.trim();
}

async function onPath(command: string): Promise<string> {
  const path = Bun.which(command);
  if (path === null) throw new Error(`${command} is not installed: apt-get install ${command}`);
  return path;
}

/** The pinned agent CLI for tests on the host, in the user's cache; npm checks what it downloads. */
async function installAgentCli(): Promise<string> {
  const folder = join(homedir(), ".cache/ccw-server", `agent-cli-${agentCliVersion}`);
  const path = join(folder, "node_modules/.bin/claude");
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    await Bun.write(
      join(folder, "package.json"),
      JSON.stringify({
        dependencies: { "@anthropic-ai/claude-code": agentCliVersion },
        trustedDependencies: ["@anthropic-ai/claude-code"],
      }),
    );
    const child = Bun.spawn([process.execPath, "install"], {
      cwd: folder,
      stdio: ["ignore", "inherit", "inherit"],
    });
    if ((await child.exited) !== 0) throw new Error("the agent CLI could not be installed from npm");
  }
  const said = await new Response(Bun.spawn([path, "--version"], { stderr: "inherit" }).stdout).text();
  if (!said.startsWith(agentCliVersion))
    throw new Error(`the agent CLI says ${JSON.stringify(said)} instead of ${agentCliVersion}`);
  return path;
}
