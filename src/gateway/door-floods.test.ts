import { afterEach, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { settled, until } from "../../test/until.ts";
import type { SandboxId } from "../domain/ids.ts";
import { closeDoors, http, line, openDoor, post, raw, taskId } from "./door.fixture.ts";

/** A hostile guest speaks bytes at its door: the appliance's memory stays bounded, and it stays up. */

const clients: Socket[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await closeDoors();
});

/** A connection that sends this and reads nothing. */
function unread(socket: string, bytes: string): Socket {
  const client = connect(socket, () => client.write(bytes));
  client.on("error", () => {});
  client.pause();
  clients.push(client);
  return client;
}

const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;

test("commands wait in the database while the guest does not read them", async () => {
  let taken = 0;
  const { socket } = await openDoor({
    async *commands() {
      for (let n = 1; n <= 200; n++) {
        taken = n;
        yield { n, command: { kind: "prompt", promptId: "p", text: "x".repeat(1024 * 1024) } };
      }
    },
  });
  unread(socket, get("/session/commands?after=0"));
  await until("the first is taken", () => taken > 0);
  expect(await settled(() => taken)).toBeLessThan(20);
});

test("a newer stream of commands ends the older one", async () => {
  let open = 0;
  let opened = 0;
  const { socket } = await openDoor({
    async *commands(_id, _after, signal) {
      open += 1;
      opened += 1;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      open -= 1;
    },
  });
  for (let i = 0; i < 10; i++) unread(socket, get("/session/commands?after=0"));
  await until("all have come, and one is left", () => opened === 10 && open === 1);
});

test("a stalled request with events is superseded, and its events may be sent again", async () => {
  const { socket, taken } = await openDoor();
  const stalled = unread(
    socket,
    `POST /session/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${line(1)}`,
  );
  const ended = new Promise((resolve) => stalled.on("close", resolve).resume());
  await settled(() => taken.length);
  expect((await post(socket, line(1))).status).toBe(200);
  await ended;
  expect(taken.map(({ n }) => n)).toEqual([1]);
});

test("long events are committed as they come, not held until there are many", async () => {
  const largest: number[] = [];
  const { socket } = await openDoor({
    appendEvents(_, events) {
      largest.push(events.length);
      return events.at(-1)?.n ?? 0;
    },
  });
  const lines = Array.from({ length: 20 }, (_, i) => line(i + 1, "x".repeat(200 * 1024)));
  expect((await post(socket, lines.join(""))).status).toBe(200);
  expect(Math.max(...largest)).toBeLessThanOrEqual(6);
});

test("pipelined requests are not answered while the answer before them is unread", async () => {
  let answered = 0;
  const { socket } = await openDoor({
    async start() {
      answered += 1;
      return {
        sandboxId: "s",
        taskId: "t",
        acked: 0,
        repositories: [],
        author: { name: "a", email: "a" },
        trailers: [],
        variables: {},
        setupScript: "x".repeat(1024 * 1024),
        agent: { kind: "claude", model: "", sessionId: "s" },
        tokens: { model: "m", git: "g" },
      };
    },
  });
  unread(socket, get("/session/start").repeat(500));
  await until("the first is answered", () => answered > 0);
  expect(await settled(() => answered)).toBe(1);
});

test("connections are counted, and those beyond the limit are closed", async () => {
  const { socket } = await openDoor();
  let closed = 0;
  for (let i = 0; i < 700; i++)
    unread(socket, "")
      .on("close", () => (closed += 1))
      .resume();
  await until("those beyond the limit are closed", () => closed >= 700 - 512);
  expect(await settled(() => closed)).toBe(700 - 512);
});

test("nesting without end is refused, not written", async () => {
  const { socket, taken } = await openDoor();
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  for (const event of [
    `{"kind":"unknown","raw":${deep}}`,
    `{"kind":"question","requestId":"q","tool":"Bash","input":${deep}}`,
  ]) {
    expect((await post(socket, `{"n":1,"event":${event}}\n`)).status).toBe(400);
  }
  expect(taken).toEqual([]);
});

test("a door that could not be opened is opened at the next call", async () => {
  const { doors, folder } = await openDoor();
  const id = "sbx_01m7yp7pv64zn56ttn60" as SandboxId;
  const other = join(folder, "..", id);
  // A folder that is not empty, where the socket is to be.
  mkdirSync(join(other, "door.sock", "in the way"), { recursive: true });
  expect(doors.open(id, taskId)).rejects.toThrow();
  rmSync(join(other, "door.sock"), { recursive: true });
  expect(await raw(join(await doors.open(id, taskId), "door.sock"), http("/model/x"))).toContain("/x");
});

test("a flood of small events leaves others their turn", async () => {
  let batches = 0;
  let turns = 0;
  const { socket } = await openDoor({
    appendEvents(_, events) {
      batches += 1;
      setImmediate(() => (turns += 1));
      return events.at(-1)?.n ?? 0;
    },
  });
  expect((await post(socket, Array.from({ length: 20_000 }, (_, i) => line(i + 1)).join(""))).status).toBe(
    200,
  );
  expect(batches).toBeGreaterThan(70);
  expect(turns).toBeGreaterThan(70);
});
