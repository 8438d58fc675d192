import { afterEach, expect, test } from "bun:test";
import { mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../test/until.ts";
import { CcwError } from "../domain/errors.ts";
import { maxEventLine } from "../domain/event.ts";
import type { SandboxId } from "../domain/ids.ts";
import { closeDoors, http, line, openDoor, post, raw, sandboxId, silent, taskId } from "./door.fixture.ts";
import { createDoors } from "./door.ts";

afterEach(closeDoors);

test.each([
  "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
  "GET http://evil.example/model/v1/messages HTTP/1.1\r\nHost: evil.example\r\n\r\n",
  "CONNECT /model/x HTTP/1.1 ",
  "\x16\x03\x01\x02\x00\x01\x00\x01\x00\x03\x03".padEnd(40, "x"),
  "get /model/x HTTP/1.1\r\n\r\n",
])(
  "what does not ask for a path of the appliance goes to the way out, from its first byte: %j",
  async (bytes) => {
    const { socket, out } = await openDoor();
    expect(await raw(socket, bytes)).toBe("");
    expect(out.join("")).toBe(bytes);
  },
);

test("a connection that began with the appliance's own paths does not lead out", async () => {
  const { socket, out } = await openDoor();
  const first = "GET /model/a HTTP/1.1\r\nHost: x\r\n\r\n";
  const answer = await raw(socket, `${first}${http("http://evil.example/")}`);
  expect(answer).not.toContain("evil.example");
  expect(out).toEqual([]);
});

test("the form of the path chooses the way; the socket says whose it is", async () => {
  const { socket } = await openDoor();
  expect(await raw(socket, http("/model/v1/messages?beta=true"))).toContain(
    `${sandboxId} /v1/messages?beta=true`,
  );
  expect(await raw(socket, http("/git/demo.git/info/refs?service=git-upload-pack"))).toContain(
    `${sandboxId} /demo.git/info/refs`,
  );
  expect(await raw(socket, http("/elsewhere"))).toStartWith("HTTP/1.1 404");
  expect(await raw(socket, http("/models"))).toStartWith("HTTP/1.1 404");
});

test.each([
  "/model/../session/start",
  "/model/%2e%2e/session",
  "/a/..%2f",
  "/model//x",
  "/git/a%00b",
  "/model/\\x",
  "/git/./x",
  "/git/x%5cy",
])("ATTACKS 42: %s is refused before anything looks at it", async (path) => {
  const { socket } = await openDoor();
  expect(await raw(socket, http(path))).toMatch(/^HTTP\/1\.1 400/);
});

test("ATTACKS 29: an oversized head is refused", async () => {
  const { socket } = await openDoor();
  const answer = await raw(
    socket,
    `GET /model/x HTTP/1.1\r\nHost: x\r\nX-Big: ${"a".repeat(200_000)}\r\n\r\n`,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 431|^$/);
  expect(answer).not.toContain(sandboxId);
});

test("an upgrade is not carried out", async () => {
  const { socket } = await openDoor();
  const answer = await raw(
    socket,
    "GET /model/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  expect(answer).not.toContain("101");
});

test("the socket is open to any user inside, and its folder closed to other users of the machine", async () => {
  const { socket, folder } = await openDoor();
  expect(statSync(socket).mode & 0o777).toBe(0o666);
  expect(statSync(join(folder, "..")).mode & 0o077).toBe(0);
});

test("a door opens where a killed server has left its socket, and where something else lies", async () => {
  const { doors, folder, socket } = await openDoor();
  await doors.shut();
  rmSync(socket, { force: true });
  const precious = join(folder, "..", "precious");
  writeFileSync(precious, "kept");
  symlinkSync(precious, socket);
  await doors.open(sandboxId, taskId);
  expect(await raw(socket, http("/model/x"))).toContain(sandboxId);
  expect(await Bun.file(precious).text()).toBe("kept");
});

test("a data folder whose path is too long for a socket is refused in words", async () => {
  const doors = createDoors({
    folder: `/tmp/${"x".repeat(100)}`,
    ways: { session: async () => {}, model: async () => {}, git: async () => {} },
    egress: { accept: (_, wire) => wire.destroy(), forget() {} },
    log: silent,
  });
  await expect(doors.open(sandboxId, taskId)).rejects.toThrow("path of the data folder is too long");
});

test("events are taken in order and acknowledged", async () => {
  const { socket, taken } = await openDoor();
  const response = await post(socket, [1, 2, 3].map((n) => line(n)).join(""));
  expect(await response.json()).toEqual({ acked: 3 });
  expect(taken.map(({ n }) => n)).toEqual([1, 2, 3]);
});

test("a gap is answered with 409, an ended sandbox with 404", async () => {
  const conflict = await openDoor({
    appendEvents() {
      throw new CcwError("conflict", "Event 5 cannot follow event 1.");
    },
  });
  expect((await post(conflict.socket, line(5))).status).toBe(409);
  expect((await fetch("http://door/session/start", { unix: conflict.socket })).status).toBe(404);
});

test("ATTACKS 65: lines that are no events are refused: forged kinds, other JSON, no JSON, numbers that are none", async () => {
  const { socket, taken } = await openDoor();
  const forged = [
    '{"n":1,"event":{"kind":"state","state":"completed","detail":""}}\n',
    '{"n":1,"event":{"kind":"cancel_requested","person":"root"}}\n',
    "[]\n",
    "nonsense\n",
    '{"n":0,"event":{"kind":"notice","level":"info","text":""}}\n',
    '{"n":1e99,"event":{"kind":"notice","level":"info","text":""}}\n',
    line(1).trimEnd(),
  ];
  for (const body of forged) expect((await post(socket, body)).status).toBe(400);
  expect(taken).toEqual([]);
});

test("ATTACKS 65: a line of 100 MB is refused while it comes, in bounded memory", async () => {
  const { socket } = await openDoor();
  const piece = new Uint8Array(1024 * 1024).fill(97);
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (sent >= 100) return controller.close();
      sent += 1;
      controller.enqueue(piece);
    },
  });
  const status = await fetch("http://door/session/events", { unix: socket, method: "POST", body }).then(
    (response) => response.status,
    () => "cut",
  );
  expect([413, "cut"]).toContain(status);
  expect(sent * piece.length).toBeLessThan(maxEventLine * 20);
});

test("commands stream as they come, and the stream ends with the client", async () => {
  const gate = Promise.withResolvers<void>();
  let aborted = false;
  const { socket } = await openDoor({
    async *commands(_, after, signal) {
      signal.addEventListener("abort", () => (aborted = true));
      yield { n: after + 1, command: { kind: "interrupt" } };
      await gate.promise;
      yield { n: after + 2, command: { kind: "finish" } };
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    },
  });
  const client = new AbortController();
  const response = await fetch("http://door/session/commands?after=4", {
    unix: socket,
    signal: client.signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect(JSON.parse((await reader?.read())?.value ?? "")).toEqual({ n: 5, command: { kind: "interrupt" } });
  gate.resolve();
  expect(JSON.parse((await reader?.read())?.value ?? "")).toEqual({ n: 6, command: { kind: "finish" } });
  client.abort();
  await until("it is aborted", () => aborted);
});

test("doors are listed with those that a dead server left, and any of them can be closed", async () => {
  const { doors, folder } = await openDoor();
  const left = "sbx_01m7yp7pv64zn56ttn61" as SandboxId;
  mkdirSync(join(folder, "..", left));
  mkdirSync(join(folder, "..", "something-else"));
  expect((await doors.list()).sort()).toEqual([sandboxId, left].sort());
  await doors.close(left);
  expect(await doors.list()).toEqual([sandboxId]);
});
