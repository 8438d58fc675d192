import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchPackage } from "./download.ts";

const content = Buffer.from("a package");
const sha512 = createHash("sha512").update(content).digest("base64");
const wanted = { file: "a.tgz", path: "a/-/a-1.tgz", sha512 };

let cacheFolder: string;
let served: { status: number; body: Buffer };
let requests: number;
let server: ReturnType<typeof Bun.serve>;

beforeEach(async () => {
  cacheFolder = await mkdtemp("/tmp/ccw-download-");
  served = { status: 200, body: content };
  requests = 0;
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => {
      requests++;
      return new Response(new Uint8Array(served.body), { status: served.status });
    },
  });
});
afterEach(async () => {
  await server.stop(true);
  await rm(cacheFolder, { recursive: true, force: true });
});

const fetchIt = () =>
  fetchPackage(wanted, {
    registryUrl: `http://127.0.0.1:${server.port}`,
    ca: "",
    proxy: "",
    cacheFolder,
    onProgress() {},
    signal: new AbortController().signal,
  });

test("a package is downloaded once and verified at each use", async () => {
  const file = await fetchIt();
  expect(await Bun.file(file).text()).toBe("a package");
  await fetchIt();
  expect(requests).toBe(1);
  await writeFile(file, "spoilt on disk");
  await fetchIt();
  expect(requests).toBe(2);
  expect(await Bun.file(file).text()).toBe("a package");
});

test("two that fetch the same package at a time do not disturb each other", async () => {
  const [one, other] = await Promise.all([fetchIt(), fetchIt()]);
  expect(one).toBe(other);
  expect(requests).toBe(2);
  expect(await Bun.file(one).text()).toBe("a package");
  expect(await readdir(cacheFolder)).toHaveLength(1);
});

test("what a download left that was killed is removed after an hour", async () => {
  const [old, fresh] = [join(cacheFolder, "old.tgz.1.part"), join(cacheFolder, "fresh.tgz.2.part")];
  for (const path of [old, fresh]) await writeFile(path, "half of it");
  const twoHoursAgo = Date.now() / 1000 - 7200;
  await utimes(old, twoHoursAgo, twoHoursAgo);
  await fetchIt();
  expect(await Bun.file(old).exists()).toBe(false);
  expect(await Bun.file(fresh).exists()).toBe(true);
});

test("a package with other contents is refused and not kept", async () => {
  served.body = Buffer.from("something else");
  expect(await fetchIt().catch((thrown: unknown) => thrown)).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("not the package that was pinned"),
  });
  expect(await readdir(cacheFolder)).toEqual([]);
});

test("a registry that refuses is named with its answer", async () => {
  served.status = 503;
  expect(await fetchIt().catch((thrown: unknown) => thrown)).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("answered 503"),
  });
});
