import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { beginCli } from "../cli/wiring.fixture.ts";
import type { GuestEvent } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const hostile = `<script>alert(1)</script>"><img src=x onerror=alert(2)> \u001b]0;owned\u0007\u001b[2J \u202egnp.exe`;
const says = (text: string): GuestEvent => ({ kind: "assistant_text", blockId: crypto.randomUUID(), text });

function serve() {
  const house = startAppServer({ branches: { demo: ["main"] } });
  closers.push(() => house.close());
  const call = (method: string, path: string) =>
    fetch(`${house.url}/api${path}`, { method, headers: { authorization: `Bearer ${house.token}` } });
  const get = async <Body>(path: string) => (await (await call("GET", path)).json()) as Body;
  /** A task that has said this, and rests. */
  const done = (title: string, ...events: GuestEvent[]): TaskId => {
    const repositories = [{ name: "demo", baseBranch: "main", workBranch: "claude/work" }];
    const id = house.submit({ title, repositories });
    const say = house.play(id);
    say(...events, { kind: "pushed", repository: "demo", branch: "claude/work", commit: "1".repeat(40) });
    const sandboxId = house.store.sandboxes.current(id)?.id;
    if (sandboxId === undefined) throw new Error("it has no sandbox");
    house.store.tasks.move(id, { kind: "idle", sandboxId, summary: "done", interrupted: false });
    house.store.tasks.move(id, { kind: "completed", summary: "done" });
    while (house.store.search.indexPortion());
    return id;
  };
  const cli = (...argv: string[]) => beginCli(house.dataFolder, argv).ended;
  return { ...house, call, get, done, cli };
}

interface Page {
  results: {
    task: { id: string };
    places: { seq: number; kind: string; snippet: { text: string; hit: boolean }[] }[];
  }[];
  next?: number;
  behind: number;
}

test("an archived task leaves the list, is asked for by name, and comes back", async () => {
  const { call, get, done } = serve();
  const id = done("Tidy up");
  const archived = (await (await call("POST", `/tasks/${id}/archive`)).json()) as { archivedAt?: number };
  expect(archived.archivedAt).toBeNumber();
  expect(await get("/tasks")).toEqual([]);
  expect(await get("/tasks?show=archived")).toMatchObject([{ id }]);
  expect(await get("/tasks?show=all")).toMatchObject([{ id }]);
  expect(await get(`/tasks/${id}`)).toMatchObject({ task: { id } });
  expect((await call("DELETE", `/tasks/${id}/archive`)).status).toBe(200);
  expect(await get("/tasks")).toMatchObject([{ id }]);
});

test("a deleted task is nowhere but among the deleted ones, and can be restored", async () => {
  const { call, get, done, submit } = serve();
  const id = done("Tidy up", says("a needle in the hay"));
  const deleted = (await (await call("DELETE", `/tasks/${id}`)).json()) as { deletion: { removeAt: number } };
  expect(deleted.deletion.removeAt).toBeGreaterThan(Date.now() + 3_000_000);
  for (const [method, path] of [
    ["GET", ""],
    ["GET", "/events"],
    ["GET", "/diff"],
    ["GET", "/export"],
    ["POST", "/archive"],
    ["POST", "/cancel"],
    ["DELETE", ""],
  ] as const) {
    const response = await call(method, `/tasks/${id}${path}`);
    expect([method, path, response.status]).toEqual([method, path, 404]);
  }
  expect(await get("/tasks?show=all")).toEqual([]);
  expect(await get("/tasks?show=deleted")).toMatchObject([{ id }]);
  expect((await get<Page>("/search?q=needle")).results).toEqual([]);
  expect((await call("POST", `/tasks/${id}/restore`)).status).toBe(200);
  expect((await get<Page>("/search?q=needle")).results).toMatchObject([{ task: { id } }]);

  expect((await call("DELETE", `/tasks/${id}?now=true`)).status).toBe(200);
  expect((await call("POST", `/tasks/${id}/restore`)).status).toBe(409);
  const waiting = submit({ title: "waits" });
  expect((await call("DELETE", `/tasks/${waiting}`)).status).toBe(409);
});

test("a search says where, and a transcript is read from its end", async () => {
  const { get, done } = serve();
  const id = done("Repair it", says("first"), says("the needle is here"), says("last"));
  const page = await get<Page>("/search?q=need");
  expect(page).toMatchObject({ results: [{ task: { id } }], behind: 0 });
  const seq = page.results[0]?.places[0]?.seq ?? 0;
  const [event] = await get<{ body: { text: string } }[]>(`/tasks/${id}/events?after=${seq - 1}&limit=1`);
  expect(event?.body.text).toBe("the needle is here");
  const end = await get<{ seq: number }[]>(`/tasks/${id}/events?before=9007199254740991&limit=3`);
  const all = await get<{ seq: number }[]>(`/tasks/${id}/events`);
  expect(end).toEqual(all.slice(-3));
  expect(await get(`/tasks/${id}/events?before=${end[0]?.seq}&limit=1000`)).toEqual(all.slice(0, -3));
  expect(await get(`/search?q=${encodeURIComponent('"((NOT* ^:')}`)).toMatchObject({ results: [] });
});

test("what an agent wrote is text in every format, and on a terminal", async () => {
  const { get, call, done, setDiff, cli } = serve();
  const id = done(
    `needle ${hostile}`,
    says(`needle ${hostile}\n\n\`\`\`\n</pre><style>\n![x](http://evil.example/x.png)`),
    { kind: "tool_use", toolUseId: "t", name: hostile, input: { command: hostile } },
    { kind: "tool_result", toolUseId: "t", isError: true, text: `\`\`\`\`\n${hostile}`, omitted: 3 },
  );
  setDiff(`+${hostile}\n`);
  const html = await (await call("GET", `/tasks/${id}/export?format=html`)).text();
  expect(html).not.toMatch(/<script|<img|<\/pre><style|onerror="/i);
  expect(
    html
      .match(/<(\w+)/g)
      ?.every((tag) =>
        /^<(html|head|meta|title|style|body|main|h1|h2|dl|dt|dd|section|time|div|details|summary|pre|p|ins|del|b)$/.test(
          tag,
        ),
      ),
  ).toBe(true);
  const markdown = await (await call("GET", `/tasks/${id}/export?format=markdown`)).text();
  const outsideOfFences = markdown.replace(/^(`{3,})\w*\n[\s\S]*?\n\1$/gm, "");
  expect(outsideOfFences).not.toMatch(/(?<!\\)<[a-z/!?]/i);
  expect(outsideOfFences).not.toMatch(/(?<!\\)!\[/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  const unsafe = /[\x00-\x09\x0b-\x1f\x7f\u202e]/;
  expect(html).not.toMatch(unsafe);
  expect(markdown).not.toMatch(unsafe);
  const found = await cli("search", "needle");
  expect(found.code).toBe(0);
  expect(found.out).toContain("alert");
  expect(found.out).not.toMatch(unsafe);
  const response = await call("GET", `/tasks/${id}/export?format=html`);
  expect(response.headers.get("content-disposition")).toMatch(
    /^attachment; filename="ccw-task-\w{6}\.html"$/,
  );
  expect((await get<Page>("/search?q=alert")).results).toHaveLength(1);
});

test("an export is an archive that tar reads: what was said, prompts, usage and patches", async () => {
  const { done, setDiff, cli, store } = serve();
  const id = done("Repair it", ...Array.from({ length: 1200 }, (_, index) => says(`line ${index} ü`)));
  setDiff("diff --git a/x b/x\n+new\n");
  const folder = mkdtempSync(join(tmpdir(), "ccw-export-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "task.tar.gz");
  expect(await cli("task", "export", id.slice(-6), "-o", file)).toMatchObject({ code: 0, out: "" });
  const tar = Bun.spawnSync(["tar", "-xzf", file, "-C", folder]);
  expect([tar.exitCode, tar.stderr.toString()]).toEqual([0, ""]);
  const inside = join(folder, `ccw-task-${id.slice(-6)}`);
  expect(readdirSync(inside).sort()).toEqual([
    ...["1-demo.patch", "attachments.json", "events.ndjson", "prompts.json", "task.json", "usage.json"],
  ]);
  const events = readFileSync(join(inside, "events.ndjson"), "utf8").trimEnd().split("\n");
  expect(events.map((line) => JSON.parse(line).seq)).toEqual(
    store.events.after(id, 0, 5000).map(({ seq }) => seq),
  );
  expect(JSON.parse(readFileSync(join(inside, "task.json"), "utf8"))).toMatchObject({ id, person: "ada" });
  expect(readFileSync(join(inside, "1-demo.patch"), "utf8")).toContain("+new");

  writeFileSync(file, "mine");
  const again = await cli("task", "export", id, "-o", file);
  expect(again).toMatchObject({ code: 4 });
  expect(readFileSync(file, "utf8")).toBe("mine");
});

test("the command line archives, deletes, restores and lists what it put away", async () => {
  const { done, cli } = serve();
  const id = done("Tidy up");
  const short = id.slice(-6);
  expect((await cli("task", "archive", "last")).err).toContain("is archived");
  expect((await cli("task", "list")).out).toBe("");
  expect((await cli("task", "list", "--archived")).out).toContain("completed, archived");
  expect((await cli("task", "archive", short)).err).toContain("was archived already");
  expect((await cli("task", "unarchive", short)).err).toContain("is back");
  expect((await cli("task", "unarchive", short)).err).toContain("was not archived");
  expect(await cli("task", "restore", short)).toMatchObject({
    code: 3,
    err: expect.stringContaining("deleted"),
  });
  expect((await cli("task", "delete", short)).err).toContain(`ccw-server task restore ${short}`);
  expect((await cli("task", "list", "--all")).out).toBe("");
  expect((await cli("task", "list", "--deleted")).out).toMatch(/removed in \d+(m|h)/);
  expect((await cli("task", "restore", short)).code).toBe(0);
  expect((await cli("task", "list")).out).toContain("Tidy up");
});
