import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { until } from "../../test/until.ts";
import type { AttachmentId, TaskId } from "../domain/ids.ts";
import { attachmentFilesOf } from "../runs/deletions.ts";
import { createAttachmentSweep } from "../runs/forget-attachments.ts";
import { openAttachmentFiles } from "../store/attachment-files.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function serve() {
  const house = startAppServer({ attachmentBytes: 1024 * 1024 });
  closers.push(() => house.close());
  const folder = join(house.dataFolder, "attachments");
  return { ...house, folder, kept: () => readdirSync(folder).filter((name) => name !== ".incoming") };
}
type House = ReturnType<typeof serve>;

const png = Buffer.from("\x89PNG\r\n\x1a\n and the rest", "latin1");

const upload = ({ url, token }: House, name: string, body: BodyInit, headers: Record<string, string> = {}) =>
  fetch(`${url}/api/attachments?name=${encodeURIComponent(name)}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, ...headers },
    body,
  });
interface Kept {
  id: AttachmentId;
  name: string;
  mediaType: string;
  bytes: number;
}
const keep = async (house: House, name: string, body: BodyInit) => {
  const response = await upload(house, name, body);
  expect(response.status).toBe(201);
  return (await response.json()) as Kept;
};
const fetchBack = ({ url, token }: House, id: string, bearer = token) =>
  fetch(`${url}/api/attachments/${id}`, { headers: { authorization: `Bearer ${bearer}` } });
const send = ({ url, token }: House, task: string, json: unknown) =>
  fetch(`${url}/api/tasks/${task}/prompts`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(json),
  });

test("what is uploaded comes back byte for byte, and a prompt carries it", async () => {
  const house = serve();
  const bytes = crypto.getRandomValues(new Uint8Array(65_536 * 2 + 7));
  const file = await keep(house, "data.bin", bytes);
  expect(file).toMatchObject({
    name: "data.bin",
    mediaType: "application/octet-stream",
    bytes: bytes.length,
  });
  const back = await fetchBack(house, file.id);
  expect(new Uint8Array(await back.arrayBuffer())).toEqual(bytes);

  const picture = await keep(house, "data.bin", png);
  const task = house.submit({ title: "t" });
  expect((await send(house, task, { text: "look", attachments: [file.id, picture.id] })).status).toBe(201);
  expect(house.store.prompts.list(task).at(-1)?.attachments).toEqual([
    { ...file },
    // Two files of one name would lie over each other in the sandbox.
    { ...picture, name: "data-2.bin", mediaType: "image/png" },
  ]);
});

test("a browser keeps what it was given, and asks each time whether it still may have it", async () => {
  const house = serve();
  const { id } = await keep(house, "x.png", png);
  const etag = (await fetchBack(house, id)).headers.get("etag") ?? "";
  const again = (token: string) =>
    fetch(`${house.url}/api/attachments/${id}`, {
      headers: { authorization: `Bearer ${token}`, "if-none-match": etag },
    });
  expect((await again(house.token)).status).toBe(304);
  expect((await again("wrong")).status).toBe(401);
});

test.each([
  ["../../../etc/cron.d/x", "x"],
  ["..\\..\\boot.ini", "boot.ini"],
  ["a\r\nSet-Cookie: x=1", "a Set-Cookie: x=1"],
  ["\u202egnp.exe", "gnp.exe"],
  [`${"x".repeat(990)}.png`, `${"x".repeat(96)}.png`],
])("a hostile name (%j) names nothing but the file", async (given, name) => {
  const house = serve();
  const file = await keep(house, given, "text");
  expect(file.name).toBe(name);
  expect(house.kept()).toEqual([file.id]);
  const { headers } = await fetchBack(house, file.id);
  expect(headers.get("set-cookie")).toBeNull();
  expect(headers.get("content-disposition")).toMatch(/^attachment; filename\*=UTF-8''[\w.%~!-]+$/);
});

test("a browser shows a picture and nothing else, and runs nothing in either", async () => {
  const house = serve();
  const script = "<script>alert(1)</script>";
  for (const [name, body, type, disposition] of [
    ["x.png", png, "image/png", /^inline;/],
    ["x.html", `<!doctype html>${script}`, "application/octet-stream", /^attachment;/],
    [
      "x.svg",
      `<svg xmlns="http://www.w3.org/2000/svg">${script}</svg>`,
      "application/octet-stream",
      /^attachment;/,
    ],
    ["x.png", script, "application/octet-stream", /^attachment;/],
  ] as const) {
    const { headers } = await fetchBack(house, (await keep(house, name, body)).id);
    expect(headers.get("content-type")).toBe(type);
    expect(headers.get("content-disposition")).toMatch(disposition);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toBe("default-src 'none'; sandbox");
  }
});

test("what is too large is refused and leaves nothing, whether its length is told or not", async () => {
  const house = serve();
  const large = new Uint8Array(1024 * 1024 + 1);
  const told = await upload(house, "x", large);
  expect(told.status).toBe(413);
  expect(((await told.json()) as { error: { hint: string } }).error.hint).toContain("attachment_mib");
  const untold = await upload(house, "x", new Blob([large]).stream());
  expect(untold.status).toBe(413);
  expect((await upload(house, "x", new Uint8Array(1024 * 1024))).status).toBe(201);
  expect((await upload(house, "x", "")).status).toBe(400);
  expect(house.kept()).toHaveLength(1);
  expect(readdirSync(join(house.folder, ".incoming"))).toEqual([]);
});

test.each([
  ["with its length", "Content-Length: 1000\r\n\r\nonly this"],
  ["in chunks", "Transfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n"],
])("an upload that is cut off (%s) leaves nothing", async (_, rest) => {
  const house = serve();
  const { hostname, port } = new URL(house.url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(
    `POST /api/attachments?name=x HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${house.token}\r\n${rest}`,
  );
  const incoming = () => readdirSync(join(house.folder, ".incoming"));
  await until("it comes in", () => incoming().length === 1);
  socket.destroy();
  await until("it is gone", () => incoming().length === 0);
  expect(house.kept()).toEqual([]);
  expect(house.logged).toEqual([]);
});

test("nobody takes another person's upload, or one that a prompt has, or sees one before a prompt has it", async () => {
  const house = serve();
  const bob = house.store.people.ensure("bob");
  const bobs = house.store.tokens.create({ kind: "api", name: "b", person: bob.id });
  const task = house.submit({ title: "t" });
  const file = await keep(house, "a.txt", "mine");
  expect((await fetchBack(house, file.id, bobs)).status).toBe(404);
  expect((await send({ ...house, token: bobs }, task, { text: "x", attachments: [file.id] })).status).toBe(
    404,
  );
  expect((await send(house, task, { text: "x", attachments: [file.id] })).status).toBe(201);
  expect((await fetchBack(house, file.id, bobs)).status).toBe(200);
  expect((await send(house, task, { text: "again", attachments: [file.id] })).status).toBe(404);
  // What was refused left no prompt behind.
  expect(house.store.prompts.list(task).map(({ text }) => text)).toEqual(["t", "x"]);
  const many = Array.from({ length: 21 }, () => file.id);
  expect((await send(house, task, { text: "many", attachments: many })).status).toBe(400);
  expect((await send(house, task, { text: "x", attachments: ["../../ccw.sqlite"] })).status).toBe(404);
  expect((await fetchBack(house, "..%2Fcli-token")).status).toBe(404);
});

test("what no prompt takes goes after a day, and a file without a row after its second look", async () => {
  const house = serve();
  const files = openAttachmentFiles({ folder: house.folder });
  let now = Date.now();
  const sweep = createAttachmentSweep({
    store: house.store,
    files,
    now: () => now,
  });
  const taken = await keep(house, "taken", "1");
  const left = await keep(house, "left", "2");
  await send(house, house.submit({ title: "t" }), { text: "x", attachments: [taken.id] });
  const stray = "att_00000000000000000000" as AttachmentId;
  writeFileSync(join(house.folder, stray), "3");
  utimesSync(join(house.folder, stray), 0, 0);
  writeFileSync(join(house.folder, "notes"), "somebody's own");

  await sweep();
  expect(house.kept().sort()).toEqual([stray, taken.id, left.id, "notes"].sort());
  now += 25 * 3600 * 1000;
  await sweep();
  expect(house.kept().sort()).toEqual([taken.id, "notes"].sort());
  expect(house.store.attachments.get(left.id)).toBeUndefined();
  expect(readFileSync(join(house.folder, taken.id), "utf8")).toBe("1");
});

test("a schedule keeps its files, each run has them, and the bytes go with the last that needs them", async () => {
  const house = serve();
  const { store } = house;
  const call = async (method: string, path: string, json?: unknown) => {
    const response = await fetch(`${house.url}/api${path}`, {
      method,
      headers: { authorization: `Bearer ${house.token}`, "content-type": "application/json" },
      ...(json !== undefined && { body: JSON.stringify(json) }),
    });
    return { status: response.status, body: (await response.json().catch(() => ({}))) as { id: string } };
  };
  const first = await keep(house, "a.png", png);
  const second = await keep(house, "b.txt", "text");
  const task = { prompt: "look", attachments: [first.id] };
  const made = await call("POST", "/schedules", { name: "s", time: { kind: "never" }, task });
  expect(made).toMatchObject({ status: 201, body: { attachments: [first] } });
  const at = `/schedules/${made.body.id}`;
  // It is the schedule's: no prompt and no other schedule takes it.
  expect(
    (await send(house, house.submit({ title: "t" }), { text: "x", attachments: [first.id] })).status,
  ).toBe(404);
  expect((await call("POST", "/schedules", { name: "o", time: { kind: "never" }, task })).status).toBe(404);

  const both = { ...task, attachments: [first.id, second.id] };
  expect((await call("PATCH", at, { task: both })).body).toMatchObject({ attachments: [first, second] });
  const run = async () => {
    const id = (await call("POST", `${at}/run`)).body.id as TaskId;
    return { id, files: store.prompts.list(id)[0]?.attachments.map((file) => file.id) ?? [] };
  };
  const runs = [await run(), await run()];
  expect(new Set(runs.flatMap(({ files }) => files)).size).toBe(4);
  expect(house.kept().sort()).toEqual([first.id, second.id].sort());
  for (const { files } of runs)
    expect(Buffer.from(await (await fetchBack(house, files[0] ?? "")).arrayBuffer())).toEqual(png);

  // It drops one file, and then is gone; a day later all that was not taken would be, too.
  const files = openAttachmentFiles({ folder: house.folder });
  const now = () => Date.now() + 25 * 3600 * 1000;
  const sweep = createAttachmentSweep({ store, files, now });
  expect((await call("PATCH", at, { task })).body).toMatchObject({ attachments: [first] });
  expect((await call("DELETE", at)).status).toBe(204);
  for (let look = 0; look < 2; look++) await sweep();
  expect(house.kept()).toHaveLength(2);
  const belongings = attachmentFilesOf(store, files);
  for (const { id } of runs) {
    expect(house.kept()).toHaveLength(2);
    await belongings.remove(id);
  }
  expect(house.kept()).toEqual([]);
});

test("a file whose last row went while the server died is swept up", async () => {
  const house = serve();
  const { id } = await keep(house, "a.txt", "text");
  expect(house.store.attachments.remove(id)).toBe(id);
  const files = openAttachmentFiles({ folder: house.folder });
  const sweep = createAttachmentSweep({ store: house.store, files, now: () => Date.now() });
  for (let look = 0; look < 2; look++) await sweep();
  expect(house.kept()).toEqual([]);
});

test("what a dead server had begun to take in is gone at the next start", () => {
  const house = serve();
  writeFileSync(join(house.folder, ".incoming", "half"), "x");
  openAttachmentFiles({ folder: house.folder });
  expect(existsSync(join(house.folder, ".incoming", "half"))).toBe(false);
});

test("an upload that would fill the disk is refused before a byte is written", async () => {
  const house = serve();
  const files = openAttachmentFiles({ folder: house.folder, reserveBytes: Number.MAX_SAFE_INTEGER });
  const body = (async function* () {
    yield new Uint8Array(1);
  })();
  await expect(files.take("att_00000000000000000000" as AttachmentId, body, 1)).rejects.toMatchObject({
    code: "no_space",
  });
  expect(house.kept()).toEqual([]);
});
