import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { UnixSocketListener } from "bun";
import { CcwError, messageOf } from "../domain/errors.ts";
import { isId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { DoorKeeper, Log } from "../domain/ports.ts";
import { createInnerHttp } from "./inner-http.ts";
import { createDeadlines, type Deadlines } from "./wire/deadlines.ts";
import { joined } from "./wire/joined.ts";
import { type Failed, type WireData, wireHandlers } from "./wire/socket-wire.ts";
import type { Wire } from "./wire/wire.ts";

/** Whose door a request came through. The socket says it; nothing in the request can. */
export interface DoorSandbox {
  id: SandboxId;
  taskId: TaskId;
}

/** One way through the door. `path` is the request's target behind the way's prefix, raw, beginning with `/`. */
export type DoorWay = (
  sandbox: DoorSandbox,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
) => Promise<void>;
export type DoorWays = Record<"session" | "model" | "git", DoorWay>;

/** The way out of the machine: takes a connection over, with what was read from it already. */
export interface WayOut {
  accept(sandbox: DoorSandbox, wire: Wire, first: Uint8Array): void;
  /** The sandbox's door closes: its connections end, and what is known of it is forgotten. */
  forget(id: SandboxId): void;
}

export interface DoorOptions {
  /** Holds a folder for each sandbox, with its socket in it. Readable by this user alone. */
  folder: string;
  ways: DoorWays;
  egress: WayOut;
  log: Log;
}

/** An agent with its sub-agents, a build and git at once stays far below; each connection costs the appliance memory. */
const maxConnections = 512;

/** From the first byte of a connection to where it is known what it wants. */
const firstBytesMs = 10_000;

/** sockaddr_un holds 108 bytes with the final NUL (unix(7)). */
const maxSocketPath = 107;

interface OpenDoor {
  listener: UnixSocketListener<WireData>;
  wires: Set<Wire>;
}

export function createDoors(options: DoorOptions): DoorKeeper & { shut(): Promise<void> } {
  const open = new Map<SandboxId, OpenDoor>();
  const failed = (thrown: unknown) => options.log.error("a connection failed", { reason: messageOf(thrown) });
  const deadlines = createDeadlines(failed);

  const closeOne = (id: SandboxId) => {
    const door = open.get(id);
    open.delete(id);
    if (door === undefined) return;
    door.listener.stop(true);
    for (const wire of door.wires) wire.destroy();
    options.egress.forget(id);
  };

  return {
    async open(sandboxId, taskId) {
      const folder = join(options.folder, sandboxId);
      if (open.has(sandboxId)) return folder;
      const path = join(folder, "door.sock");
      if (Buffer.byteLength(path) > maxSocketPath) {
        throw new CcwError(
          "invalid",
          `The path of the data folder is too long: ${path} has more than ${maxSocketPath} bytes, which no Unix socket takes.`,
          "Start with --data and a shorter path.",
        );
      }
      // The parent keeps other users of the machine out; the socket itself is open to the sandbox's own user ids,
      // which the engine may map to anything.
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      await mkdir(folder, { recursive: true, mode: 0o755 });
      await rm(path, { force: true });
      // Another call may have been quicker while this one waited.
      if (open.has(sandboxId)) return folder;
      open.set(sandboxId, openDoor({ id: sandboxId, taskId }, path, options, deadlines, failed));
      await chmod(path, 0o666);
      return folder;
    },
    async close(sandboxId) {
      closeOne(sandboxId);
      await rm(join(options.folder, sandboxId), { recursive: true, force: true });
    },
    async list() {
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      return (await readdir(options.folder)).filter((name): name is SandboxId => isId("SandboxId", name));
    },
    // The folders stay: sandboxes that live on find the next server process at the same path.
    async shut() {
      for (const id of [...open.keys()]) closeOne(id);
      deadlines.close();
    },
  };
}

function openDoor(
  sandbox: DoorSandbox,
  path: string,
  options: DoorOptions,
  deadlines: Deadlines,
  failed: Failed,
): OpenDoor {
  const wires = new Set<Wire>();
  const inner = createInnerHttp(sandbox, options.ways, options.log);
  const handlers = wireHandlers((wire) => {
    if (wires.size >= maxConnections) return wire.destroy();
    wires.add(wire);
    sortOut(wire, deadlines, (first) => {
      if (isForTheAppliance(first)) inner.accept(wire, first);
      else options.egress.accept(sandbox, wire, first);
    });
  }, failed);
  const listener = Bun.listen<WireData>({
    unix: path,
    allowHalfOpen: true,
    data: { wire: undefined },
    socket: {
      ...handlers,
      close(socket) {
        if (socket.data.wire !== undefined) wires.delete(socket.data.wire);
        handlers.close(socket);
      },
    },
  });
  return { listener, wires };
}

/** Reads until it is known who is to read on; the longest method has 32 characters. */
function sortOut(wire: Wire, deadlines: Deadlines, then: (first: Uint8Array) => void): void {
  const deadline = deadlines.add(() => wire.destroy());
  deadline.set(firstBytesMs);
  let first: Uint8Array = new Uint8Array();
  wire.listener = {
    data(bytes) {
      first = joined(first, bytes);
      const space = first.indexOf(0x20);
      const known = space >= 0 ? first.length > space + 1 : first.length > 32 || !beginsMethod(first);
      if (!known) return;
      deadline.clear();
      then(first);
    },
    drain() {},
    end: () => wire.destroy(),
    close: () => deadline.clear(),
  };
}

/** What begins otherwise is another protocol (SOCKS, TLS), whose client waits for an answer to its first few bytes. */
function beginsMethod(first: Uint8Array): boolean {
  return first.every((byte) => (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d);
}

/** Origin-form (RFC 9112, 3.2.1): the target is a path. All else asks for another host, or is no HTTP. */
function isForTheAppliance(first: Uint8Array): boolean {
  const space = first.indexOf(0x20);
  if (space < 1 || space > 32 || first[space + 1] !== 0x2f) return false;
  const method = Buffer.from(first.subarray(0, space)).toString("latin1");
  return method !== "CONNECT" && /^[A-Z]+$/.test(method);
}
