import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeDoors, http, openDoor, raw, sandboxId } from "./door.fixture.ts";

afterEach(closeDoors);

test("an attachment is streamed to the sandbox that may have it, and any other name is not there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ccw-door-files-"));
  try {
    const bytes = crypto.getRandomValues(new Uint8Array(3 * 1024 * 1024 + 1));
    writeFileSync(join(folder, "file"), bytes);
    const asked: string[] = [];
    const { socket } = await openDoor({
      async attachment(sandbox, id) {
        asked.push(`${sandbox} ${id}`);
        return id === "att_1" ? { path: join(folder, "file"), bytes: bytes.length } : undefined;
      },
    });
    const get = (id: string) => fetch(`http://door/session/attachments/${id}`, { unix: socket });
    const response = await get("att_1");
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
    // One after the other, since a newer request of a route ends the older; different files are different routes.
    const both = await Promise.all([get("att_1"), get("att_2")]);
    expect(both.map(({ status }) => status)).toEqual([200, 404]);
    await both[0]?.arrayBuffer();
    expect((await get("")).status).toBe(404);
    expect(asked).toEqual([`${sandboxId} att_1`, expect.any(String), expect.any(String), `${sandboxId} `]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a file that went between the look and the read ends the connection, and the door lives on", async () => {
  const { socket } = await openDoor({ attachment: async () => ({ path: "/nowhere/at/all", bytes: 5 }) });
  expect(await raw(socket, http("/session/attachments/att_1"))).not.toContain("hello");
  expect(await raw(socket, http("/session/elsewhere"))).toContain("404");
});
