import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { CcwError } from "../../domain/errors.ts";
import type { PushRight } from "../../domain/git-server.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import { type LfsCall, type LfsCaller, readUpTo } from "../../domain/lfs.ts";
import { lfsJson } from "../../domain/lfs-answers.ts";
import { createGitDoor } from "./git-door.ts";

/** LFS as bytes on the door's socket. */

const sandbox = { id: "sbx_0000000000aaaaaaaaaa" as SandboxId, taskId: "tsk_0000000000aaaaaaaaaa" as TaskId };
const oid = "a".repeat(64);
const path = "/git/demo.git/info/lfs";
let server: Server;
let right: PushRight;
let served: { call: LfsCall; caller: LfsCaller }[];
let refusals: string[];
let logged: string[];
let fails: unknown;

beforeAll(async () => {
  const record = (message: string, fields?: object) => void logged.push(message + JSON.stringify(fields));
  const door = createGitDoor({
    log: { info: record, warn: record, error: record },
    tokens: {
      tokenFor: () => "t",
      matches: (_id, purpose, given) => purpose === "git" && given === "scoped",
    },
    port: {
      grantFor(_id, name) {
        if (name !== "demo" && name !== "bare") return undefined;
        const endpoint = {
          serve: () => Promise.reject(new Error("no git is asked")),
          isSymbolicRef: async () => false,
        };
        if (name === "bare") return { name, right, endpoint };
        const lfs = {
          async serve(call: LfsCall, caller: LfsCaller) {
            served.push({ call, caller });
            if (fails !== undefined) throw fails;
            if (call.kind === "upload") await readUpTo(call.body, 1000);
            return lfsJson(200, { fine: true });
          },
        };
        return { name, right, endpoint, lfs };
      },
      refused: (_id, repository, ref, reason) => void refusals.push(`${repository} ${ref}: ${reason}`),
    },
    patienceMs: 2000,
  });
  server = createServer((request, response) => {
    void door(sandbox, request, response, (request.url ?? "").slice("/git".length));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
beforeEach(() => {
  right = { kind: "branch", branch: "claude/x", force: false, delete: false };
  [served, refusals, logged, fails] = [[], [], [], undefined];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function send(line: string, body = "", more: Record<string, string> = {}) {
  const headers = {
    ...{ host: "127.0.0.1:3128", connection: "close", authorization: "Bearer scoped" },
    ...{ "content-length": String(body.length), ...more },
  };
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const chunks: Buffer[] = [];
  client.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => undefined);
  const closed = new Promise((resolve) => client.once("close", resolve));
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  client.write(`${line} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
  await closed;
  const [head = "", ...rest] = Buffer.concat(chunks).toString().split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), head, body: rest.join("\r\n\r\n") };
}
const batch = (operation: string, ref: string | undefined = "refs/heads/claude/x") =>
  JSON.stringify({ operation, ref: ref && { name: ref }, objects: [{ oid, size: 3 }] });

test("a batch reaches the repository with who asks and from where", async () => {
  const { status, body } = await send(`POST ${path}/objects/batch`, batch("upload"));
  expect([status, JSON.parse(body)]).toEqual([200, { fine: true }]);
  expect(served[0]?.caller).toMatchObject({
    holder: sandbox.id,
    base: "http://127.0.0.1:3128/git/demo.git/info/lfs",
  });
});

test("without the scoped credential, the grant or LFS there is nothing", async () => {
  const ask = batch("download");
  for (const authorization of ["", "Bearer other", "Basic c2NvcGVk", "Digest scoped"]) {
    expect((await send(`POST ${path}/objects/batch`, ask, { authorization })).status).toBe(401);
  }
  const basic = { authorization: `Basic ${btoa("git:scoped")}` };
  expect((await send(`POST ${path}/objects/batch`, ask, basic)).status).toBe(200);
  expect((await send("POST /git/other.git/info/lfs/objects/batch", ask)).status).toBe(404);
  expect((await send("POST /git/bare.git/info/lfs/objects/batch", ask)).body).toContain("no LFS here");
  expect(served).toHaveLength(1);
});

for (const line of [
  `GET ${path}/objects/batch`,
  `PUT ${path}/objects/batch`,
  `DELETE ${path}/objects/${oid}`,
  `POST ${path}/objects/${oid}`,
  `HEAD ${path}/locks`,
  `GET ${path}/locks/verify`,
  `GET ${path}/verify`,
]) {
  test(`${line.slice(0, 60)} is answered 405`, async () => {
    expect(await send(line)).toMatchObject({ status: 405, head: expect.stringMatching(/^allow: /im) });
    expect(served).toEqual([]);
  });
}
for (const line of [
  `POST ${path}/objects/batch/`,
  `POST ${path}//objects/batch`,
  `POST ${path}/objects/../objects/batch`,
  `POST ${path}/objects%2fbatch`,
  `GET ${path}/objects/${oid}/short`,
  `GET /git/demo/info/lfs/objects/${oid}`,
]) {
  test(`${line.slice(0, 60)} is answered 404`, async () => {
    expect((await send(line)).status).toBe(404);
    expect(served).toEqual([]);
  });
}

test("what a task may not do is refused in words, and told", async () => {
  const message = async (line: string, body: string) => {
    const answer = await send(line, body);
    expect(answer.head).toContain("application/vnd.git-lfs+json");
    return `${answer.status} ${JSON.parse(answer.body).message}`;
  };
  const main = batch("upload", "refs/heads/main");
  expect(await message(`POST ${path}/objects/batch`, main)).toBe(
    "403 Refused: refs/heads/main: only refs/heads/claude/x is permitted.",
  );
  expect(await message(`POST ${path}/locks`, "{}")).toStartWith("403 Refused: (LFS lock)");
  expect(await message(`POST ${path}/locks/1/unlock`, "{}")).toStartWith("403 Refused: (LFS lock)");
  right = { kind: "none" };
  expect(await message(`PUT ${path}/objects/${oid}`, "abc")).toStartWith("403 Refused: (LFS upload)");
  expect(await message(`POST ${path}/objects/batch`, batch("upload"))).toContain("may only be read");
  expect(served).toEqual([]);
  expect(refusals).toHaveLength(5);
  expect((await send(`POST ${path}/objects/batch`, batch("download"))).status).toBe(200);
  expect((await send(`GET ${path}/objects/${oid}`)).status).toBe(200);
});

test("a body that is none is told, and one that never comes is waited for no longer than a while", async () => {
  for (const body of ["", "{", "[]", '{"operation":"upload"}', batch("upload").replace(oid, "../../x")]) {
    expect((await send(`POST ${path}/objects/batch`, body)).status).toBe(422);
  }
  right = { kind: "none" };
  const stalled = await send(`PUT ${path}/objects/${oid}`, "abc", { "content-length": "1000" });
  expect(stalled.status).toBe(403);
  expect(served).toEqual([]);
});

test("part of an object is asked for by a range that is one", async () => {
  for (const [range, passed] of [
    ["bytes=5-9", "bytes=5-9"],
    ["bytes=5-", "bytes=5-"],
    ["bytes=0-1,3-4", undefined],
    ["x", undefined],
  ] as const) {
    await send(`GET ${path}/objects/${oid}`, "", { range });
    expect(served.at(-1)?.call).toMatchObject({ kind: "download", range: passed });
  }
});

test("a host that is none makes no address", async () => {
  await send(`POST ${path}/objects/batch`, batch("download"), { host: "a b/<x>" });
  expect(served[0]?.caller.base ?? "http://localhost/git/demo.git/info/lfs").toBe(
    "http://localhost/git/demo.git/info/lfs",
  );
});

test("a failure is told by its code, and a defect by nothing", async () => {
  fails = new CcwError("no_space", "The disk is full.", "Make room.");
  const full = await send(`PUT ${path}/objects/${oid}`, "abc");
  expect([full.status, JSON.parse(full.body).message]).toEqual([507, "The disk is full. Make room."]);
  fails = new Error("s3cret of the inside");
  const defect = await send(`PUT ${path}/objects/${oid}`, "abc");
  expect([defect.status, defect.body.includes("s3cret")]).toEqual([500, false]);
  expect(logged.join()).toContain("s3cret");
});
