import { createReadStream } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { CcwError } from "../../domain/errors.ts";
import { maxEventLine } from "../../domain/event.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import type { ControlPort, Log } from "../../domain/ports.ts";
import { type SessionEvent, sessionEventSchema } from "../../domain/session.ts";

/** Events of one request are committed in batches, full at either of these: bounded memory, few commits. */
const batchSize = 256;
const batchCharacters = 1024 * 1024;
/** An empty line keeps the stream of commands recognisably alive in both directions. */
const heartbeatMs = 15_000;

/** `/session/…`: see domain/session.ts for the words. */
export function createControlDoor({ port, log }: { port: ControlPort; log: Log }) {
  const supersede = createSuperseding();
  return async (
    sandbox: { id: SandboxId; taskId: TaskId },
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void> => {
    const url = new URL(path, "http://door");
    const route = `${request.method} ${url.pathname}`;
    supersede(sandbox, url.pathname, response);
    try {
      if (route === "GET /start") {
        const start = await port.start(sandbox.id);
        if (start === undefined) throw new CcwError("not_found", "This sandbox has no task any more.");
        sendJson(response, 200, start);
      } else if (route === "POST /events") {
        sendJson(response, 200, { acked: await takeEvents(port, sandbox.id, request) });
      } else if (route === "GET /commands") {
        const after = Number(url.searchParams.get("after") ?? "0");
        if (!Number.isSafeInteger(after) || after < 0)
          throw new CcwError("invalid", "`after` is not a number.");
        await sendCommands(port, sandbox.id, after, response);
      } else if (route.startsWith("GET /attachments/")) {
        await sendAttachment(port, sandbox.id, url.pathname.slice("/attachments/".length), response);
      } else {
        throw new CcwError("not_found", `There is no ${route}.`);
      }
    } catch (thrown) {
      if (response.destroyed) return;
      if (!(thrown instanceof CcwError)) throw thrown;
      log.warn("a session request was refused", { sandbox: sandbox.id, route, reason: thrown.message });
      if (response.headersSent) return void response.destroy();
      sendJson(response, statusOf(thrown), { error: { code: thrown.code, message: thrown.message } });
    }
  };
}

/**
 * A guest needs each route once at a time. A newer request ends the older one, whose connection may be half dead; so
 * whatever a guest opens, no more than one request a route holds memory.
 */
function createSuperseding() {
  const current = new WeakMap<object, Map<string, ServerResponse>>();
  return (sandbox: object, route: string, response: ServerResponse): void => {
    const open = current.get(sandbox) ?? new Map<string, ServerResponse>();
    current.set(sandbox, open);
    open.get(route)?.destroy();
    open.set(route, response);
    response.on("close", () => {
      if (open.get(route) === response) open.delete(route);
    });
  };
}

async function takeEvents(port: ControlPort, id: SandboxId, request: IncomingMessage): Promise<number> {
  let acked = 0;
  let batch: SessionEvent[] = [];
  let characters = 0;
  const flush = async () => {
    acked = port.appendEvents(id, batch);
    batch = [];
    characters = 0;
    // What has arrived already comes without a pause; others take their turn in between.
    await nextTurn();
  };
  for await (const line of linesOf(request)) {
    batch.push(parseEvent(line));
    characters += line.length;
    if (batch.length >= batchSize || characters >= batchCharacters) await flush();
  }
  await flush();
  return acked;
}

function parseEvent(line: string): SessionEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new CcwError("invalid", "A line is not JSON.");
  }
  const parsed = sessionEventSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new CcwError(
      "invalid",
      `A line is not an event: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`,
    );
  }
  return parsed.data;
}

/** Lines of UTF-8 without their ends. Throws `too_large` on a longer line than an event may have. */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let size = 0;
  const take = () => {
    const line = Buffer.concat(parts).toString("utf8");
    parts = [];
    size = 0;
    return line;
  };
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end));
      from = end + 1;
      const line = take();
      if (line !== "") yield line;
    }
    parts.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > maxEventLine) throw new CcwError("too_large", `A line is over ${maxEventLine} bytes.`);
  }
  if (size > 0) throw new CcwError("invalid", "The last line is cut off.");
}

async function sendCommands(
  port: ControlPort,
  id: SandboxId,
  after: number,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  response.writeHead(200, { "Content-Type": "application/x-ndjson" });
  response.flushHeaders();
  const heartbeat = setInterval(() => response.write("\n"), heartbeatMs);
  try {
    for await (const command of port.commands(id, after, gone.signal)) {
      if (gone.signal.aborted) return;
      if (!response.write(`${JSON.stringify(command)}\n`)) await drained(response);
    }
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

async function sendAttachment(
  port: ControlPort,
  sandboxId: SandboxId,
  id: string,
  response: ServerResponse,
): Promise<void> {
  const file = await port.attachment(sandboxId, id);
  if (file === undefined) throw new CcwError("not_found", "This task has no such attachment.");
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": file.bytes });
  await pipeline(createReadStream(file.path), response);
}

/** Until the guest has read what it was sent, or has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(value));
}

function statusOf({ code }: CcwError): number {
  if (code === "conflict") return 409;
  if (code === "not_found") return 404;
  if (code === "too_large") return 413;
  if (code === "no_space" || code === "unavailable") return 503;
  return 400;
}
