import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { type OriginPorts, originName } from "./egress-origin.ts";
import type { Part, Stage, Started } from "./egress-stage.ts";
import type { WayIn } from "./egress-way.ts";

/**
 * The ways to the origin that are measured side by side. Every proxy lets this one host pass and no other, keeps no
 * cache, and writes one line for each request or tunnel to a file. `door` is the product's own way, a Unix socket;
 * `door-tcp` is the same door behind a TCP port, as the others have it.
 */
export const wayNames = ["direct", "squid", "tinyproxy", "door", "door-tcp"] as const;
export type WayName = (typeof wayNames)[number];

export interface Way {
  wayIn: WayIn;
  /** The proxy's process; undefined for `direct`. */
  proxy: Started | undefined;
}

const doorHelloSchema = z.object({ socketPath: z.string(), port: z.number() });

/** Starts a proxy of its own, fresh; its files are in the stage's folder. */
export async function startWay(name: WayName, stage: Stage, origin: OriginPorts): Promise<Way> {
  switch (name) {
    case "direct":
      return { wayIn: { kind: "direct" }, proxy: undefined };
    case "squid":
      return startSquid(stage);
    case "tinyproxy":
      return startTinyproxy(stage);
    case "door":
    case "door-tcp": {
      const door = await startDoor(stage, origin);
      const { socketPath, port } = doorHelloSchema.parse(door.hello);
      return {
        wayIn: name === "door" ? { kind: "unix", path: socketPath } : { kind: "tcp", port },
        proxy: door,
      };
    }
  }
}

export async function startDoor(stage: Stage, origin: OriginPorts): Promise<Part> {
  const folder = await stage.makeFolder(`door-${crypto.randomUUID().slice(0, 8)}`);
  return stage.startPart("egress-door.ts", { cores: "proxy", argv: [folder, JSON.stringify(origin)] });
}

/** The door's own way, its Unix socket. */
export function wayTo(door: Part): WayIn {
  return { kind: "unix", path: doorHelloSchema.parse(door.hello).socketPath };
}

/** Installs the Debian packages of the other proxies where they are missing. */
export async function installProxies(names: readonly WayName[]): Promise<void> {
  const missing = names.filter(
    (name) => (name === "squid" || name === "tinyproxy") && programOf(name) === null,
  );
  if (missing.length === 0) return;
  const argv = ["apt-get", "install", "-y", "--no-install-recommends", ...missing];
  const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "inherit"] });
  if ((await child.exited) !== 0)
    throw new Error(`${argv.join(" ")} failed; it needs root and Debian's packages.`);
}

async function startSquid(stage: Stage): Promise<Way> {
  const folder = await stage.makeFolder(`squid-${crypto.randomUUID().slice(0, 8)}`);
  const port = await freePort();
  const file = join(folder, "squid.conf");
  const lines = [
    `http_port 127.0.0.1:${port}`,
    `acl origin dstdomain ${originName}`,
    "http_access allow origin",
    "http_access deny all",
    "cache deny all",
    `access_log stdio:${join(folder, "access.log")} squid`,
    `cache_log ${join(folder, "cache.log")}`,
    "pid_filename none",
    `coredump_dir ${folder}`,
    "pinger_enable off",
    "max_filedescriptors 16384",
    "shutdown_lifetime 0 seconds",
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  return listening(stage.startProxy("squid", [programOf("squid") ?? "squid", "-N", "-f", file]), port);
}

async function startTinyproxy(stage: Stage): Promise<Way> {
  const folder = await stage.makeFolder(`tinyproxy-${crypto.randomUUID().slice(0, 8)}`);
  const port = await freePort();
  const file = join(folder, "tinyproxy.conf");
  const lines = [
    `Port ${port}`,
    "Listen 127.0.0.1",
    "Timeout 600",
    "MaxClients 4000",
    "LogLevel Connect",
    `LogFile "${join(folder, "tinyproxy.log")}"`,
    `Filter "${join(folder, "filter")}"`,
    "FilterDefaultDeny Yes",
  ];
  await writeFile(join(folder, "filter"), `^${originName}$\n`);
  await writeFile(file, `${lines.join("\n")}\n`);
  const argv = [programOf("tinyproxy") ?? "tinyproxy", "-d", "-c", file];
  return listening(stage.startProxy("tinyproxy", argv), port);
}

async function listening(proxy: Started, port: number): Promise<Way> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
      socket.end();
      return { wayIn: { kind: "tcp", port }, proxy };
    } catch {
      await Bun.sleep(100);
    }
  }
  throw new Error(`A proxy does not listen at port ${port} after ten seconds.`);
}

/** Debian has them in /usr/sbin, which a user's path may lack. */
function programOf(name: "squid" | "tinyproxy"): string | null {
  return Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin` });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0));
    });
  });
}
