import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectEngine } from "./connect.ts";

const log = { info() {}, warn() {}, error() {} };
let dataFolder: string;
beforeEach(async () => {
  dataFolder = await mkdtemp("/tmp/ccw-connect-");
});
afterEach(() => rm(dataFolder, { recursive: true, force: true }));

const failure = (options: { socket?: string; path: string }) =>
  connectEngine({ dataFolder, log, ...options }).catch((thrown: unknown) => thrown);

test("an explicit socket where nobody answers is the only one tried", async () => {
  const socket = join(dataFolder, "none.sock");
  expect(await failure({ socket, path: "/usr/bin" })).toMatchObject({
    code: "unavailable",
    message: `No container engine answers (${socket}: not there).`,
    hint: expect.stringContaining("Start the engine"),
  });
});

test("something that answers but is no engine is not taken for one", async () => {
  const socket = join(dataFolder, "other.sock");
  const other = Bun.serve({ unix: socket, fetch: () => Response.json({ hello: "world" }) });
  try {
    expect(await failure({ socket, path: "/nowhere" })).toMatchObject({ code: "unavailable" });
  } finally {
    await other.stop(true);
  }
});

test("an engine's service that dies at once is quoted", async () => {
  const commands = await mkdtemp(join(dataFolder, "bin-"));
  await writeFile(join(commands, "podman"), "#!/bin/sh\necho no storage here >&2; exit 1\n", { mode: 0o755 });
  const thrown = await failure({ path: commands });
  // On a machine with an engine of its own that one is found first, which is right too.
  if (thrown instanceof Error) {
    expect(thrown).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("no storage here"),
    });
  }
});
