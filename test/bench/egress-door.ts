import { heapStats } from "bun:jsc";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { CcwError } from "../../src/domain/errors.ts";
import type { Log } from "../../src/domain/ports.ts";
import { createLog } from "../../src/log.ts";
import { type OriginPorts, originName, originPortsSchema } from "./egress-origin.ts";
import { servePart } from "./egress-stage.ts";

/**
 * The egress door in a process of its own, as the appliance has it: real policy, real ledger in SQLite, real log into
 * a file. It listens at a sandbox's Unix socket and, for a comparison with proxies that have no other, on TCP.
 */
interface DoorFiles {
  socketPath: string;
  databasePath: string;
  /** The policy, one rule a line. */
  rules: readonly string[];
  /** Where the origin's name is found. */
  originAddress: string;
  allowedRanges: readonly string[];
  log: Log;
}

/** Returns the TCP port. */
async function openDoor({ socketPath }: DoorFiles): Promise<number> {
  throw new CcwError("unavailable", `There is no egress door to open at ${socketPath}.`);
}

const rulesFor = (ports: OriginPorts): string[] => [
  `${originName} port=${ports.plain} write`,
  `${originName} port=${ports.raw} raw`,
  `${originName} port=${ports.tls},${ports.hello} no-inspect`,
  `${originName} port=${ports.inspected} inspect write`,
];

/** What lives in this process, by the collector's count; garbage is gone before. */
function count(): { timers: number; sockets: number; heapMiB: number } {
  Bun.gc(true);
  const { objectTypeCounts, heapSize } = heapStats();
  const of = (...types: string[]) => types.reduce((sum, type) => sum + (objectTypeCounts[type] ?? 0), 0);
  return { timers: of("Timeout"), sockets: of("TCPSocket", "TLSSocket"), heapMiB: heapSize / 1024 ** 2 };
}

if (import.meta.main) {
  const [folder = "", origin = ""] = process.argv.slice(2);
  const socketPath = join(folder, "door.sock");
  const logFile = openSync(join(folder, "door.log"), "a");
  const port = await openDoor({
    socketPath,
    databasePath: join(folder, "ccw.sqlite"),
    rules: rulesFor(originPortsSchema.parse(JSON.parse(origin))),
    originAddress: "127.0.0.1",
    allowedRanges: ["127.0.0.0/8"],
    log: createLog((line) => void writeSync(logFile, line), Date.now),
  });
  process.on("exit", () => closeSync(logFile));
  servePart({ socketPath, port }, async () => count());
}
