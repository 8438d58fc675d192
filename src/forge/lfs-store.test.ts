import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LfsCaller, type LfsEndpoint, readUpTo } from "../domain/lfs.ts";
import { hostedLfsEndpoint } from "./lfs-hosted.ts";
import { type LfsStore, openLfsStore } from "./lfs-store.ts";

let folder: string;
let store: LfsStore;
let endpoint: LfsEndpoint;
const bytes = Buffer.from("large enough");
const oid = createHash("sha256").update(bytes).digest("hex");
const caller: LfsCaller = {
  ...{ right: { kind: "any" }, holder: "x", base: "http://door/git/demo.git/info/lfs" },
  signal: new AbortController().signal,
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfs-store-"));
  store = await openLfsStore({ folder, maxObjectBytes: 100, reserveBytes: 0 });
  endpoint = hostedLfsEndpoint(store, "demo");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function* inPieces(content: Uint8Array, fails = false): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 5) yield content.subarray(at, at + 5);
  if (fails) throw new Error("the client has gone");
}
const textOf = async (body: AsyncIterable<Uint8Array>) => Buffer.from(await readUpTo(body, 1000)).toString();
const incoming = () => readdir(join(folder, ".incoming"));
const upload = (content: Uint8Array, contentLength: number | undefined = content.length) =>
  endpoint.serve({ kind: "upload", oid, ticket: undefined, body: inPieces(content), contentLength }, caller);
const get = (range?: string) => endpoint.serve({ kind: "download", oid, ticket: undefined, range }, caller);

test("an object that is what its name says is kept, handed out whole and in part, and confirmed", async () => {
  await upload(bytes);
  expect(await readFile(join(folder, "demo.git", oid.slice(0, 2), oid.slice(2, 4), oid))).toEqual(bytes);
  expect(await incoming()).toEqual([]);
  expect(await textOf((await get()).body)).toBe("large enough");
  const part = await get("bytes=6-11");
  expect([part.status, part.headers["content-range"]]).toEqual([206, "bytes 6-11/12"]);
  expect(await textOf(part.body)).toBe("enough");
  for (const beyond of ["bytes=12-", "bytes=-3", "bytes=0-", "lines=1-2"])
    expect((await get(beyond)).status).toBe(200);
  const verify = (size: number) =>
    endpoint.serve({ kind: "verify", ticket: undefined, object: { oid, size } }, caller);
  expect((await verify(12)).status).toBe(200);
  expect((await verify(13)).status).toBe(404);
});

test("what is not that object leaves nothing behind", async () => {
  await expect(upload(Buffer.from("large enougH"))).rejects.toMatchObject({ code: "invalid" });
  await expect(upload(bytes, 11)).rejects.toMatchObject({ code: "invalid" });
  await expect(upload(bytes, 13)).rejects.toMatchObject({ code: "invalid" });
  await expect(upload(bytes, 101)).rejects.toMatchObject({ code: "too_large" });
  await expect(store.take("demo", { oid, size: 12 }, inPieces(bytes, true))).rejects.toThrow("gone");
  expect(await incoming()).toEqual([]);
  expect(await store.find("demo", oid)).toBeUndefined();
  expect((await get()).status).toBe(404);
});

test("a disk with no room to spare is told as such", async () => {
  store = await openLfsStore({ folder, reserveBytes: Number.MAX_SAFE_INTEGER });
  await expect(store.take("demo", { oid, size: 12 }, inPieces(bytes))).rejects.toMatchObject({
    code: "no_space",
  });
});

test("one repository's objects are not another's, whatever they are called", async () => {
  await upload(bytes);
  for (const other of ["other", `demo/${oid.slice(0, 2)}`]) {
    expect(await store.find(other, oid)).toBeUndefined();
  }
  expect(store.find("../demo", oid)).rejects.toMatchObject({ code: "invalid" });
});

test("a batch offers what is missing, and too large a thing is refused alone", async () => {
  await upload(bytes);
  const other = "b".repeat(64);
  const ask = async (operation: "download" | "upload") => {
    const objects = [
      { oid, size: 12 },
      { oid: other, size: 5 },
      { oid: "c".repeat(64), size: 101 },
    ];
    const answer = await endpoint.serve(
      { kind: "batch", batch: { operation, ref: undefined, objects } },
      caller,
    );
    return JSON.parse(await textOf(answer.body)).objects;
  };
  const href = (name: string) => ({ href: `${caller.base}/${name}` });
  const [has, lacks] = await ask("download");
  expect(has).toEqual({ oid, size: 12, actions: { download: href(`objects/${oid}`) } });
  expect(lacks).toEqual({ oid: other, size: 5, error: { code: 404, message: expect.any(String) } });
  const [known, wanted, large] = await ask("upload");
  expect(known).toEqual({ oid, size: 12 });
  expect(wanted.actions).toEqual({ upload: href(`objects/${other}`), verify: href("verify") });
  expect(large.error).toEqual({ code: 422, message: expect.stringContaining("at most") });
});
