import { mkdtemp, rm } from "node:fs/promises";
import {
  type ClientRequest,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  request,
} from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PromptId, SandboxId, TaskId } from "../../domain/ids.ts";
import type { MeteredRequest, ModelEndpoint } from "../../domain/model.ts";
import type { ModelPort } from "../../domain/ports.ts";
import type { ModelDoorLimits } from "./forward.ts";
import { createModelDoor } from "./model-door.ts";

/** For the model door's tests: the door behind a real socket, and endpoints that behave as badly as a test likes. */

export const scoped = "scoped-token-of-this-sandbox";
export const real = "sk-real-credential-0123456789";

export const messageStart =
  'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}\n\n';

export const cleanUp: (() => unknown)[] = [];

/** After each test. */
export async function closeAll(): Promise<void> {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
}

export function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

export function chunked(firstChunk: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n${chunk(firstChunk)}`;
}

export function jsonAnswer(json: string, length = json.length): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${json}`;
}

export function promptBody(prompt: string, more: object = {}): string {
  const tools = [{ name: "Bash" }];
  return JSON.stringify({
    model: "claude-test",
    max_tokens: 9,
    tools,
    messages: [{ role: "user", content: prompt }],
    ...more,
  });
}

export async function listening(server: ReturnType<typeof createTcpServer>): Promise<{ port: number }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port };
}

/** An endpoint below HTTP: it keeps what came, and answers with whatever bytes the test likes. */
export async function rawEndpoint(answer: (socket: Socket) => unknown) {
  const requests: string[] = [];
  let opened = 0;
  let closed = 0;
  const server = createTcpServer((socket) => {
    let received = "";
    opened++;
    cleanUp.push(() => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", () => closed++);
    socket.on("data", (data) => {
      received += data.toString("latin1");
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0);
      const bodyAt = received.indexOf("\r\n\r\n") + 4;
      if (bodyAt < 4 || received.length < bodyAt + length) return;
      requests.push(received);
      received = "";
      void answer(socket);
    });
  });
  const { port } = await listening(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    connections: () => opened,
    /** Resolves when that many connections have ended. */
    async closed(count: number) {
      while (closed < count) await Bun.sleep(5);
    },
  };
}

interface Ask {
  method?: string;
  path?: string;
  headers?: OutgoingHttpHeaders;
  body?: string;
  unfinished?: boolean;
  /** Goes away when this is so. */
  leave?: Promise<unknown>;
  onHead?: () => void;
  neverReads?: boolean;
  msBetweenBytes?: number;
}

interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** The answer did not come to its end. */
  broken: boolean;
  headMs: number;
}

/** The door behind a real socket, as a sandbox has it. */
export async function openDoor(
  endpoint?: { baseUrl: string; credential?: ModelEndpoint["credential"] },
  limits: Partial<ModelDoorLimits> = {},
  ca?: string,
  port: Partial<ModelPort> = {},
) {
  const records: MeteredRequest[] = [];
  const log: unknown[] = [];
  const keep = (...words: unknown[]) => log.push(words);
  const credential: ModelEndpoint["credential"] = { header: "x-api-key", value: real };
  const door = createModelDoor({
    port: {
      endpointFor: () => (endpoint === undefined ? undefined : { kind: "endpoint", credential, ...endpoint }),
      admit: () => ({ kind: "pass", promptId: "prm_1" as PromptId }),
      record: (record) => records.push(record),
      limited() {},
      ...port,
    },
    tokens: {
      tokenFor: () => scoped,
      matches: (sandboxId, purpose, token) =>
        sandboxId === sandbox.id && purpose === "model" && token === scoped,
    },
    log: { info: keep, warn: keep, error: keep },
    now: () => 1000,
    ca,
    limits,
  });
  const sandbox = { id: "sbx_1" as SandboxId, taskId: "tsk_1" as TaskId };
  const folder = await mkdtemp(join(tmpdir(), "model-door-"));
  const socketPath = join(folder, "door.sock");
  const server = createServer((incoming, response) => {
    void door.handle(sandbox, incoming, response, (incoming.url ?? "").replace(/^\/model/, ""));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  cleanUp.push(async () => {
    door.close();
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  });

  function ask(options: Ask) {
    const {
      method = "POST",
      path = "/v1/messages?beta=true",
      headers = { "x-api-key": scoped },
      body = "{}",
    } = options;
    const framed = method !== "POST" || "transfer-encoding" in headers;
    const length = Buffer.byteLength(body);
    const started = performance.now();
    return new Promise<Answered>((resolve) => {
      const answered: Answered = { status: 0, headers: {}, body: "", broken: true, headMs: 0 };
      const outgoing = request(
        {
          socketPath,
          method,
          path: `/model${path}`,
          headers: framed ? headers : { "content-length": length, ...headers },
          agent: false,
        },
        (answer) => {
          answered.status = answer.statusCode ?? 0;
          answered.headers = answer.headers;
          answered.headMs = performance.now() - started;
          options.onHead?.();
          if (options.neverReads) return;
          answer.setEncoding("utf8");
          answer.on("data", (part) => {
            answered.body += part;
          });
          answer.on("end", () => resolve({ ...answered, broken: !answer.complete }));
          answer.on("error", () => resolve(answered));
        },
      );
      outgoing.on("error", () => resolve(answered));
      cleanUp.push(() => outgoing.destroy());
      void options.leave?.then(() => outgoing.destroy());
      void send(outgoing, method === "HEAD" ? "" : body, options);
    });
  }
  return { ask, records, log };
}

async function send(outgoing: ClientRequest, body: string, options: Ask): Promise<void> {
  if (options.msBetweenBytes === undefined) outgoing.write(body);
  else {
    for (const byte of body) {
      outgoing.write(byte);
      await Bun.sleep(options.msBetweenBytes);
    }
  }
  if (!options.unfinished) outgoing.end();
}
