import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import type { DoorSandbox, DoorWays } from "./door.ts";
import { streamOf } from "./wire/stream-wire.ts";
import type { Wire } from "./wire/wire.ts";

/** What the appliance itself serves to one sandbox: origin-form requests for /session, /model and /git. */
export interface InnerHttp {
  /** Serves a connection; `first` is what was read from it already. */
  accept(wire: Wire, first: Uint8Array): void;
}

export function createInnerHttp(sandbox: DoorSandbox, ways: DoorWays, log: Log): InnerHttp {
  // It never listens: connections are handed to it.
  const server = createServer({
    maxHeaderSize: 64 * 1024,
    headersTimeout: 10_000,
    requestTimeout: 0,
    keepAliveTimeout: 60_000,
  });
  const answering = new WeakMap<Duplex, ServerResponse>();

  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    // Answers to pipelined requests pile up in memory while nobody reads them, and no client in a sandbox pipelines.
    // The parser goes on with what it has read of a connection that is gone already.
    if (request.socket.destroyed) return;
    if (answering.get(request.socket)?.writableFinished === false) return void request.socket.destroy();
    answering.set(request.socket, response);
    dispatch(sandbox, request, response, ways).catch((thrown: unknown) => {
      log.error("a door failed", {
        sandbox: sandbox.id,
        path: request.url ?? "",
        reason: messageOf(thrown),
      });
      if (!response.headersSent)
        refuse(response, 500, "internal: the appliance could not carry this out; its log says why");
      else response.destroy();
    });
  });
  for (const event of ["connect", "upgrade"]) {
    server.on(event, (_request: IncomingMessage, socket: Duplex) => {
      socket.on("error", () => {});
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nX-Deny-Reason: bad-request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
    });
  }
  return {
    accept: (wire, first) => void server.emit("connection", streamOf(wire, first)),
  };
}

async function dispatch(
  sandbox: DoorSandbox,
  request: IncomingMessage,
  response: ServerResponse,
  ways: DoorWays,
): Promise<void> {
  const target = request.url ?? "";
  response.on("error", () => {});
  if (!target.startsWith("/")) {
    return refuse(
      response,
      400,
      "bad-request",
      "A connection that began with a request to the appliance itself takes no requests to other hosts.\n",
    );
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
