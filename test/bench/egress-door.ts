import { heapStats } from "bun:jsc";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { compileEgressPolicy } from "../../src/domain/egress-policy.ts";
import { newId } from "../../src/domain/ids.ts";
import { parseRange } from "../../src/domain/ip-address.ts";
import { readAuthorities } from "../../src/gateway/egress/authorities.ts";
import { openAuthority } from "../../src/gateway/egress/authority.ts";
import { createEgressDoor } from "../../src/gateway/egress/egress-door.ts";
import { openUpstreamTrust } from "../../src/gateway/egress/upstream-tls.ts";
import { testCertificate } from "../../src/gateway/model/tls.fixture.ts";
import { type WireData, wireHandlers } from "../../src/gateway/wire/socket-wire.ts";
import { type ApplianceLog, createLog } from "../../src/log.ts";
import { vetAddresses } from "../../src/network.ts";
import { createSeal } from "../../src/store/seal.ts";
import { openStore } from "../../src/store/store.ts";
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
  log: ApplianceLog;
}

/** No bench shall meet a bound that is there for hostile sandboxes. */
const limits = {
  ...{ uploadBytes: 2 ** 50, requestBytes: 2 ** 50, requestsPerMinute: 10 ** 9 },
  ...{ connections: 100_000, namesPerMinute: 1000 },
};
/** One that a search has to look for, as in any appliance with a model. */
const secrets = [{ name: "the model's key", value: "sk-bench-0123456789abcdefghijklmnopqrstuvwxyz" }];

/** Returns the TCP port. */
async function openDoor(files: DoorFiles): Promise<number> {
  const { socketPath, databasePath, rules, originAddress, allowedRanges, log } = files;
  const ids = {
    now: Date.now,
    randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
  };
  const store = openStore(databasePath, createSeal(ids.randomBytes(32)), ids, { log });
  const sandbox = { id: newId("SandboxId", ids), taskId: newId("TaskId", ids) };
  const caFile = `${databasePath}.ca.pem`;
  writeFileSync(caFile, testCertificate);
  const policy = compileEgressPolicy({ access: "custom", allow: rules, deny: [], groupsOff: [], grants: [] });
  const ranges = allowedRanges.map(parseRange).flatMap((range) => (range.ok ? [range.value] : []));
  const egress = { policy, limits, secrets, credentials: [] };
  const door = createEgressDoor({
    port: {
      egressOf: () => egress,
      uploaded: () => 0,
      requestAccess: () => "not-asked",
      takeOnce: () => false,
      notice() {},
      onChange: () => () => {},
    },
    ledger: store.egress.ledger,
    authority: await openAuthority({ folder: `${databasePath}.authority`, now: Date.now }),
    lookup: async () => [originAddress],
    whyNot: vetAddresses({ allowedRanges: ranges, ownPort: () => 0, now: Date.now }),
    proxy: undefined,
    trust: openUpstreamTrust(readAuthorities(caFile)),
    refused() {},
    failed: (thrown) => console.error(thrown),
    decided: (fields) => log.every("egress", fields),
    now: Date.now,
  });
  const socket = wireHandlers((wire) => door.accept(sandbox, wire, new Uint8Array()), console.error);
  const common = { allowHalfOpen: true, data: { wire: undefined }, socket };
  Bun.listen<WireData>({ ...common, unix: socketPath });
  return Bun.listen<WireData>({ ...common, hostname: "127.0.0.1", port: 0 }).port;
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
