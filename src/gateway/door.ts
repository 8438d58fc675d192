import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { CcwError, messageOf } from "../domain/errors.ts";
import { isId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { DoorKeeper, Log } from "../domain/ports.ts";

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

export interface DoorOptions {
  /** Holds a folder for each sandbox, with its socket in it. Readable by this user alone. */
  folder: string;
  ways: { session: DoorWay; model: DoorWay; git: DoorWay };
  /** Called for each request that would leave the machine. */
  refused(sandbox: DoorSandbox, target: string, reason: string): void;
  log: Log;
}

/** An agent with its sub-agents, a build and git at once stays far below; each connection costs the appliance memory. */
const maxConnections = 256;

/** sockaddr_un holds 108 bytes with the final NUL (unix(7)). */
const maxSocketPath = 107;

const noEgress = "no-egress: this sandbox has no access to the internet";

export function createDoors(options: DoorOptions): DoorKeeper & { shut(): Promise<void> } {
  const open = new Map<SandboxId, Server>();

  const closeOne = async (id: SandboxId) => {
    const server = open.get(id);
    open.delete(id);
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
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
      const server = createDoorServer({ id: sandboxId, taskId }, options);
      open.set(sandboxId, server);
      try {
        await listen(server, path);
        await chmod(path, 0o666);
      } catch (thrown) {
        open.delete(sandboxId);
        throw thrown;
      }
      return folder;
    },
    async close(sandboxId) {
      await closeOne(sandboxId);
      await rm(join(options.folder, sandboxId), { recursive: true, force: true });
    },
    async list() {
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      return (await readdir(options.folder)).filter((name): name is SandboxId => isId("SandboxId", name));
    },
    // The folders stay: sandboxes that live on find the next server process at the same path.
    async shut() {
      await Promise.all([...open.keys()].map(closeOne));
    },
  };
}

function createDoorServer(sandbox: DoorSandbox, options: DoorOptions): Server {
  const server = createServer({
    maxHeaderSize: 64 * 1024,
    headersTimeout: 10_000,
    requestTimeout: 0,
    keepAliveTimeout: 60_000,
  });
  server.maxConnections = maxConnections;

  const answering = new WeakMap<Duplex, ServerResponse>();
  const tellRefusal = (target: string) => {
    try {
      options.refused(sandbox, target, noEgress);
    } catch (thrown) {
      options.log.error("a refusal could not be written down", {
        sandbox: sandbox.id,
        reason: messageOf(thrown),
      });
    }
  };

  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    // Answers to pipelined requests pile up in memory while nobody reads them, and no client in a sandbox pipelines.
    if (answering.get(request.socket)?.writableFinished === false) return void request.socket.destroy();
    answering.set(request.socket, response);
    dispatch(sandbox, request, response, { ...options, tellRefusal }).catch((thrown: unknown) => {
      options.log.error("a door failed", {
        sandbox: sandbox.id,
        path: request.url ?? "",
        reason: messageOf(thrown),
      });
      if (!response.headersSent)
        refuse(response, 500, "internal: the appliance could not carry this out; its log says why");
      else response.destroy();
    });
  });
  server.on("connect", (request: IncomingMessage, socket: Duplex) => {
    tellRefusal(request.url ?? "");
    const body = explain(request.url ?? "", noEgress);
    socket.on("error", () => {});
    socket.end(
      `HTTP/1.1 403 Forbidden\r\nX-Deny-Reason: ${noEgress}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  });
  server.on("upgrade", (_request: IncomingMessage, socket: Duplex) => {
    socket.on("error", () => {});
    socket.end(
      "HTTP/1.1 400 Bad Request\r\nX-Deny-Reason: upgrade: not spoken here\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
  });
  return server;
}

async function dispatch(
  sandbox: DoorSandbox,
  request: IncomingMessage,
  response: ServerResponse,
  { ways, tellRefusal }: DoorOptions & { tellRefusal(target: string): void },
): Promise<void> {
  const target = request.url ?? "";
  response.on("error", () => {});
  if (!target.startsWith("/")) {
    tellRefusal(target);
    return refuse(response, 403, noEgress, explain(target, noEgress));
  }
  // Encoded path tricks have no honest use at these doors (RFC 3986, 2.3: unreserved characters are not encoded).
  const path = target.split("?", 1)[0] ?? "";
  if (!/^[\w\-./~:@!$&'()*+,=%]*$/.test(path) || /%(?:2e|2f|5c|00)|\/\.{1,2}(?:\/|$)|\/\//i.test(path)) {
    return refuse(response, 400, "path: not a plain path");
  }
  for (const way of ["session", "model", "git"] as const) {
    if (path.startsWith(`/${way}/`) || path === `/${way}`) {
      const rest = target.slice(way.length + 1);
      return ways[way](sandbox, request, response, rest.startsWith("/") ? rest : `/${rest}`);
    }
  }
  refuse(response, 404, "path: there are /session, /model and /git");
}

function refuse(response: ServerResponse, status: number, reason: string, body = `${reason}\n`): void {
  response.writeHead(status, {
    "X-Deny-Reason": reason,
    "Content-Type": "text/plain; charset=utf-8",
    Connection: "close",
  });
  response.end(body);
}

function explain(target: string, reason: string): string {
  // A target is the sandbox's own text; it goes back to it and nowhere else.
  return `ccw-server refused ${target.slice(0, 300)}\n${reason}.\nThe model and the task's own git repositories are all that can be reached.\n`;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
