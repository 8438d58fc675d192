import { expect, test } from "bun:test";
import type { PushRight } from "./git-server.ts";
import { judgeLfs, type LfsCall, parseLfsTarget, parseRelayLfs, readLfsBatch, readLfsCall } from "./lfs.ts";

const oid = "a".repeat(64);
const ticket = "T".repeat(43);

test("the addresses of LFS are read behind those of a repository", () => {
  const repository = "github.com/acme/widget";
  const read = (rest: string) => parseLfsTarget(`/${repository}.git/info/lfs/${rest}`);
  expect(read("objects/batch")).toEqual({ repository, request: { kind: "batch" } });
  expect(read(`objects/${oid}`)?.request).toEqual({ kind: "object", oid, ticket: undefined });
  expect(read(`objects/${oid}/${ticket}`)?.request).toEqual({ kind: "object", oid, ticket });
  expect(read(`verify/${ticket}`)?.request).toEqual({ kind: "verify", ticket });
  expect(read("verify")?.request).toEqual({ kind: "verify", ticket: undefined });
  expect(read("locks?path=a%2Fb&limit=3")?.request).toEqual({ kind: "locks", query: "path=a%2Fb&limit=3" });
  expect(read("locks/verify")?.request).toEqual({ kind: "verify_locks" });
  expect(read("locks/12-ab/unlock")?.request).toEqual({ kind: "unlock" });
  expect(parseLfsTarget("/demo.git/info/lfs/objects/batch")?.repository).toBe("demo");
});

for (const path of [
  "/demo/info/lfs/objects/batch",
  "/demo.git/info/lfs",
  "/demo.git/info/lfs/",
  "/demo.git/info/lfs//objects/batch",
  "/demo.git/info/lfs/objects/batch/",
  "/demo.git/info/lfs/objects/../objects/batch",
  "/demo.git/info/lfs/objects%2Fbatch",
  `/demo.git/info/lfs/objects/${oid.toUpperCase()}`,
  `/demo.git/info/lfs/objects/${oid.slice(1)}`,
  `/demo.git/info/lfs/objects/${oid}/${ticket}x`,
  `/demo.git/info/lfs/objects/${oid}/../${ticket}`,
  `/demo.git/info/lfs/objects/${oid}.git`,
  "/demo.git/info/lfs/locks/../unlock",
  "/demo.git/info/lfs/locks/a/b/unlock",
  "/demo.git.git/info/lfs/objects/batch",
  "/../demo.git/info/lfs/objects/batch",
  "/github.com/acme/../widget.git/info/lfs/objects/batch",
  "//github.com/acme/widget.git/info/lfs/objects/batch",
  "/Demo.git/info/lfs/objects/batch",
]) {
  test(`${path} is no address here`, () => expect(parseLfsTarget(path)).toBeUndefined());
}

test("a relay takes every path of LFS, and knows which of them it can judge", () => {
  expect(parseRelayLfs("/a/b.git/info/lfs/objects/batch?x=1")).toEqual({
    ...{ repository: "/a/b.git", path: "/a/b.git/info/lfs/objects/batch?x=1", request: { kind: "batch" } },
  });
  expect(parseRelayLfs("/a/info/lfs/strange")?.request).toBeUndefined();
  expect(parseRelayLfs("/a/info/refs")).toBeUndefined();
});

async function* bytesOf(value: unknown): AsyncGenerator<Uint8Array> {
  for (const byte of Buffer.from(typeof value === "string" ? value : JSON.stringify(value)))
    yield Uint8Array.of(byte);
}

test("a batch is read to what it asks, whatever else stands in it", async () => {
  const batch = {
    ...{ operation: "upload", transfers: ["tus", "basic"], ref: { name: "refs/heads/x", evil: 1 }, more: {} },
    objects: [{ oid, size: 3, actions: { upload: { href: "http://x" } } }],
  };
  const read = { operation: "upload", ref: "refs/heads/x", objects: [{ oid, size: 3 }] } as const;
  expect(await readLfsBatch(bytesOf(batch))).toEqual({ ...read, objects: [...read.objects] });
});

for (const [what, value] of Object.entries({
  "no JSON": "{",
  nothing: "",
  "an operation of its own": { operation: "delete", objects: [] },
  "a name that is none": { operation: "download", objects: [{ oid: "../../etc/passwd", size: 1 }] },
  "a size below zero": { operation: "download", objects: [{ oid, size: -1 }] },
  "a size that is no whole number": { operation: "download", objects: [{ oid, size: 1.5 }] },
  "another hash": { operation: "download", objects: [], hash_algo: "md5" },
  "a transfer of which nothing is known": { operation: "upload", transfers: ["tus"], objects: [] },
  "more objects than anybody asks for": {
    operation: "download",
    objects: Array.from({ length: 10_001 }, () => ({ oid, size: 1 })),
  },
})) {
  test(`a batch with ${what} is refused`, () =>
    expect(readLfsBatch(bytesOf(value))).rejects.toMatchObject({ name: "CcwError" }));
}

test("a body without end is not read on", async () => {
  async function* endless() {
    for (;;) yield new Uint8Array(65_536);
  }
  await expect(readLfsBatch(endless())).rejects.toMatchObject({ code: "too_large" });
});

test("who reads may download; who has a branch may upload for it; nobody but a person locks", async () => {
  const none: PushRight = { kind: "none" };
  const branch: PushRight = { kind: "branch", branch: "claude/x", force: true, delete: true };
  const any: PushRight = { kind: "any" };
  const batch = (operation: "download" | "upload", ref?: string): LfsCall => ({
    kind: "batch",
    batch: { operation, ref, objects: [] },
  });
  const verdicts = (call: LfsCall) =>
    [none, branch, any].map((right) => judgeLfs(call, right).kind === "allowed");
  const object = { request: { kind: "object", oid, ticket: undefined }, range: undefined } as const;
  const put = await readLfsCall({ ...object, method: "PUT", contentLength: 1, body: bytesOf("x") });
  const get = await readLfsCall({ ...object, method: "GET", contentLength: undefined, body: bytesOf("") });
  expect(verdicts(batch("download", "refs/heads/main"))).toEqual([true, true, true]);
  expect(verdicts(batch("upload"))).toEqual([false, true, true]);
  expect(verdicts(batch("upload", "refs/heads/claude/x"))).toEqual([false, true, true]);
  for (const ref of ["refs/heads/main", "claude/x", "refs/heads/claude/x ", "refs/heads/Claude/x", ""]) {
    expect(verdicts(batch("upload", ref))).toEqual([false, false, true]);
  }
  expect(verdicts(get)).toEqual([true, true, true]);
  expect(verdicts(put)).toEqual([false, true, true]);
  expect(verdicts({ kind: "list_locks", query: "" })).toEqual([true, true, true]);
  expect(verdicts({ kind: "verify_locks", ask: {} })).toEqual([true, true, true]);
  expect(verdicts({ kind: "create_lock" })).toEqual([false, false, true]);
  expect(verdicts({ kind: "unlock" })).toEqual([false, false, true]);
});
