import { afterEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findServer } from "./connect.ts";
import { defaultDataFolder } from "./data-folder.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folderWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "ccw-connect-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const running = JSON.stringify({ url: "http://127.0.0.1:7080/", pid: process.pid });

test("the data folder is root's, else the person's own, unless one was chosen", () => {
  expect(defaultDataFolder({}, 0)).toBe("/var/lib/ccw-server");
  expect(defaultDataFolder({ HOME: "/home/ada" }, 1000)).toBe("/home/ada/.local/share/ccw-server");
  expect(defaultDataFolder({ HOME: "/home/ada", XDG_DATA_HOME: "/data" }, 1000)).toBe("/data/ccw-server");
  expect(defaultDataFolder({ HOME: "/home/ada", XDG_DATA_HOME: "relative" }, 1000)).toBe(
    "/home/ada/.local/share/ccw-server",
  );
  expect(defaultDataFolder({ CCW_DATA: "/ccw" }, 0)).toBe("/ccw");
});

test("the running server of this machine is found by its data folder", async () => {
  const data = folderWith({ "server.json": running, "cli-token": "ccw_secret\n" });
  expect(await findServer({ data }, {})).toEqual({ url: "http://127.0.0.1:7080", token: "ccw_secret" });
  expect(await findServer({}, { CCW_DATA: data, CCW_TOKEN: "mine" })).toEqual({
    url: "http://127.0.0.1:7080",
    token: "mine",
  });
});

test("no server, a dead one and a broken file are said to be no server", async () => {
  const { pid, exited } = Bun.spawn(["true"]);
  await exited;
  for (const files of [
    {},
    { "server.json": JSON.stringify({ url: "http://127.0.0.1:1", pid }) },
    { "server.json": "{" },
    { "server.json": '{"url":1,"pid":"x"}' },
  ]) {
    const data = folderWith({ ...files, "cli-token": "t" });
    await expect(findServer({ data }, {})).rejects.toMatchObject({
      code: "unavailable",
      message: `No ccw-server runs with the data folder ${data}.`,
    });
  }
});

test("the local token is never sent to a server that was named", async () => {
  const data = folderWith({ "server.json": running, "cli-token": "ccw_secret" });
  const elsewhere = { CCW_DATA: data, CCW_URL: "http://other:1" };
  await expect(findServer({}, elsewhere)).rejects.toMatchObject({ code: "unauthenticated" });
  expect(await findServer({}, { ...elsewhere, CCW_TOKEN: "mine" })).toEqual({
    url: "http://other:1",
    token: "mine",
  });
});

test("what is no web address is refused", async () => {
  for (const url of ["box:7080", "ftp://box", "/var/run/x"]) {
    await expect(findServer({ url }, { CCW_TOKEN: "t" })).rejects.toMatchObject({ code: "invalid" });
  }
});

test.skipIf(process.getuid?.() === 0)(
  "a token of somebody else is not read, and the message says so",
  async () => {
    const data = folderWith({ "server.json": running, "cli-token": "t" });
    chmodSync(join(data, "cli-token"), 0);
    await expect(findServer({ data }, {})).rejects.toMatchObject({ code: "forbidden" });
  },
);
