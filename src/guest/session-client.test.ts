import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionCommand, SessionStart } from "../domain/session.ts";
import { createSessionClient } from "./session-client.ts";
import { openSpool } from "./spool.ts";

let folder = "";
let closers: (() => void)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ccw-session-"));
  closers = [() => rmSync(folder, { recursive: true, force: true })];
});
afterEach(() => {
  for (const close of closers.reverse()) close();
});

const client = () => createSessionClient({ socketPath: join(folder, "door.sock"), report: () => {} });

async function openDoor(listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(join(folder, "door.sock"), resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

const start: SessionStart = {
  sandboxId: "sbx",
  taskId: "tsk",
  acked: 0,
  repositories: [],
  author: { name: "", email: "" },
  trailers: [],
  variables: {},
  setupScript: "",
  agent: { kind: "claude", model: "", sessionId: "" },
  tokens: { model: "", git: "" },
};
const interrupt = (n: number): SessionCommand => ({ n, command: { kind: "interrupt" } });

test("a guest that is up before its door waits for it", async () => {
  const asked = client().start(new AbortController().signal);
  await Bun.sleep(150);
  let refusals = 2;
  await openDoor((_, response) => {
    if (refusals-- > 0) response.writeHead(503).end("not yet");
    else response.end(JSON.stringify(start));
  });
  expect(await asked).toEqual(start);
});

test("a session's start that means nothing is an error, not a reason to ask for ever", async () => {
  await openDoor((_, response) => response.end('{"sandboxId":1}'));
  await expect(client().start(new AbortController().signal)).rejects.toThrow();
});

test("after a gap, as the appliance sees it, the guest asks what is held and goes on from there", async () => {
  const spool = openSpool({ folder: join(folder, "spool"), acked: 0 });
  for (let i = 1; i <= 4; i++) await spool.append({ kind: "notice", level: "info", text: `${i}` });
  const bodies: string[] = [];
  await openDoor((request, response) => {
    if (request.url === "/session/start") return response.end(JSON.stringify({ ...start, acked: 2 }));
    request.setEncoding("utf8").on("data", (body: string) => bodies.push(body));
    return request.on("end", () => {
      if (bodies.length === 1) response.writeHead(409).end("a gap");
      else response.end('{"acked":4}');
    });
  });
  const stop = new AbortController();
  const sending = client().sendEvents(spool, stop.signal);
  await spool.drained(stop.signal);
  stop.abort();
  await sending;
  expect(bodies.map((body) => [...body.matchAll(/"n":(\d)/g)].map((match) => match[1]).join(""))).toEqual([
    "1234",
    "34",
  ]);
  spool.close();
});

test("a stream of events goes in few batches", async () => {
  const spool = openSpool({ folder: join(folder, "spool"), acked: 0 });
  let acked = 0;
  const batches: number[] = [];
  await openDoor((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      batches.push(performance.now());
      acked += body.split("\n").length - 1;
      response.end(JSON.stringify({ acked }));
    });
  });
  const stop = new AbortController();
  const sending = client().sendEvents(spool, stop.signal);
  const began = performance.now();
  for (let i = 1; i <= 100; i++) {
    await spool.append({ kind: "notice", level: "info", text: `${i}` });
    await Bun.sleep(1);
  }
  await spool.drained(stop.signal);
  const took = performance.now() - began;
  stop.abort();
  await sending;
  spool.close();
  expect(acked).toBe(100);
  expect(batches.length).toBeGreaterThan(1);
  expect(batches.length).toBeLessThanOrEqual(took / 9 + 2);
});

test("a command stream that is cut, also inside a command, goes on without a hole or a double", async () => {
  const asked: string[] = [];
  const line = (n: number) => `${JSON.stringify(interrupt(n))}\n`;
  let cut = () => {};
  await openDoor((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(200);
    // The second time the appliance starts further back than it was asked to.
    if (asked.length === 1) response.write(`${line(3)}\n${line(4)}${line(5).slice(0, 10)}`);
    else response.write([4, 5, 6].map(line).join(""));
    if (asked.length === 1) cut = () => response.destroy();
  });
  const stop = new AbortController();
  const handled: number[] = [];
  await client().followCommands(
    2,
    async ({ n }) => {
      handled.push(n);
      if (n === 4) cut();
      if (n === 6) stop.abort();
    },
    stop.signal,
  );
  expect(handled).toEqual([3, 4, 5, 6]);
  expect(asked).toEqual(["/session/commands?after=2", "/session/commands?after=4"]);
});

test("a command stream that has gone quiet, before its head or behind it, is asked for anew", async () => {
  let requests = 0;
  await openDoor((_, response) => {
    requests += 1;
    if (requests === 1) return;
    if (requests === 2) return void response.writeHead(200).write("\n");
    response.write(`${JSON.stringify(interrupt(1))}\n`);
  });
  const stop = new AbortController();
  const got: number[] = [];
  const socketPath = join(folder, "door.sock");
  await createSessionClient({ socketPath, report: () => {}, quietMs: 100 }).followCommands(
    0,
    async ({ n }) => {
      got.push(n);
      stop.abort();
    },
    stop.signal,
  );
  expect(got).toEqual([1]);
  expect(requests).toBeGreaterThanOrEqual(3);
});

test("a command whose handling failed comes again", async () => {
  await openDoor((_, response) => response.writeHead(200).write(`${JSON.stringify(interrupt(1))}\n`));
  const stop = new AbortController();
  let tries = 0;
  await client().followCommands(
    0,
    async () => {
      tries++;
      if (tries === 1) throw new Error("disk");
      stop.abort();
    },
    stop.signal,
  );
  expect(tries).toBe(2);
});
