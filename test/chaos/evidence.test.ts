import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leftOversAfter, readConversation } from "./evidence.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

test("left-over sockets, processes, temporary and half-written files are found, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ccw-left-"));
  folders.push(folder);
  const [dataFolder, tmpFolder] = [join(folder, "data"), join(folder, "tmp")];
  mkdirSync(join(dataFolder, "doors/sbx_1"), { recursive: true });
  mkdirSync(tmpFolder);
  writeFileSync(join(dataFolder, "ccw.sqlite"), "");
  const stage = { dataFolder, tmpFolder };
  expect(await leftOversAfter(stage)).toEqual([]);

  mkdirSync(join(dataFolder, "repository/objects/tmp_objdir-incoming-a1"), { recursive: true });
  mkdirSync(join(dataFolder, ".new-b2"));
  writeFileSync(join(dataFolder, "packed-refs.lock"), "");
  writeFileSync(join(tmpFolder, "ccw-env-c3"), "");
  const socket = join(dataFolder, "doors/sbx_1/door.sock");
  const server = Bun.listen({ unix: socket, socket: { data() {} } });
  // By itself: what a shell starts has the shell's own command line for a moment.
  const child = Bun.spawn(["sh", "-c", "read -r line", dataFolder], { stdin: "pipe" });
  const found = await leftOversAfter(stage);
  child.kill();
  server.stop(true);
  expect(found.sort()).toEqual(
    [
      `socket that is listened at: ${socket}`,
      `process ${child.pid}: sh -c read -r line ${dataFolder} `,
      "temporary file: ccw-env-c3",
      "unfinished: .new-b2",
      "unfinished: doors/sbx_1/door.sock",
      "unfinished: packed-refs.lock",
      "unfinished: repository/objects/tmp_objdir-incoming-a1",
    ].sort(),
  );
});

test("half a line of an agent's record is passed over, and what stands around it is read", () => {
  const use = (id: string) =>
    JSON.stringify({ type: "assistant", message: { content: [{ type: "tool_use", id }] } });
  expect(readConversation(`${use("t1")}\n{"type":"assist\n${use("t2")}\n`).toolUses).toEqual(["t1", "t2"]);
});
