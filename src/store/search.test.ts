import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "../../test/properties.ts";
import { environmentSchema } from "../domain/environment.ts";
import type { GuestEvent } from "../domain/event.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { SearchQuery } from "../domain/search.ts";
import type { Store } from "../domain/store.ts";
import { createSeal } from "./seal.ts";
import { openStore } from "./store.ts";

let clock = 1_000_000;
const ids: IdSource = { now: () => clock++, randomBytes: (n) => randomBytes(n) };
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

function freshStore(path = ":memory:"): Store {
  const store = openStore(path, createSeal(new Uint8Array(32)), ids);
  closers.push(() => store.close());
  return store;
}

function submit(store: Store, text: string, person = "ada"): TaskId {
  const id = newId("TaskId", ids);
  store.tasks.create({
    ...{ id, title: text, agent: "claude", model: "", repositories: [] },
    person: store.people.ensure(person),
    environment: environmentSchema.parse({ name: "default" }),
    prompt: { id: newId("PromptId", ids), text },
  });
  return id;
}

/** The way to say what the task's sandbox says. */
function play(store: Store, taskId: TaskId): (...events: GuestEvent[]) => void {
  const sandboxId: SandboxId = newId("SandboxId", ids);
  store.sandboxes.create(sandboxId, taskId);
  let n = 0;
  return (...events) =>
    void store.sandboxes.appendEvents(
      sandboxId,
      events.map((event) => ({ n: ++n, event })),
    );
}

const says = (text: string): GuestEvent => ({ kind: "assistant_text", blockId: "b", text });
const readAll = (store: Store) => {
  while (store.search.indexPortion());
};
const find = (store: Store, text: string, query: Partial<SearchQuery> = {}) =>
  store.search.find({ text, limit: 20, ...query });
const found = (store: Store, text: string, query?: Partial<SearchQuery>) =>
  find(store, text, query).results.map(({ task }) => task.title);

test("titles, prompts, words, tool calls and what came of them are found, with the place and a snippet", () => {
  const store = freshStore();
  const id = submit(store, "Repair the flaky login test");
  play(store, id)(
    says("The cookie expires too early: Crème brûlée."),
    { kind: "tool_use", toolUseId: "t", name: "Bash", input: { command: "rg sessionLifetime src/auth.ts" } },
    { kind: "tool_result", toolUseId: "t", isError: false, text: "src/auth.ts:14: zwölf", omitted: 0 },
    { kind: "finished", outcome: "completed", text: "Raised the lifetime.", hint: "" },
  );
  submit(store, "Something else");
  readAll(store);
  const kindsOf = (text: string) =>
    find(store, text).results.flatMap(({ places }) => places.map(({ kind }) => kind));
  expect(kindsOf("flaky login")).toEqual(["prompt", "title"]);
  expect(kindsOf("creme BRULEE")).toEqual(["agent"]);
  expect(kindsOf("sessionlife")).toEqual(["tool"]);
  expect(kindsOf("zwolf")).toEqual(["output"]);
  expect(kindsOf("raised")).toEqual(["result"]);
  const [result] = find(store, "cookie expires").results;
  expect(result?.places[0]?.snippet).toEqual([
    { text: "The ", hit: false },
    { text: "cookie", hit: true },
    { text: " ", hit: false },
    { text: "expires", hit: true },
    { text: " too early: Crème brûlée.", hit: false },
  ]);
  const event = store.events.after(id, (result?.places[0]?.seq ?? 0) - 1, 1)[0];
  expect(event?.body.kind).toBe("assistant_text");
});

test("all words count, quotes keep them together, and the last one may be a beginning", () => {
  const store = freshStore();
  submit(store, "alpha beta gamma");
  submit(store, "beta alpha delta");
  readAll(store);
  expect(found(store, "alpha beta")).toHaveLength(2);
  expect(found(store, '"alpha beta"')).toEqual(["alpha beta gamma"]);
  expect(found(store, "alpha gam")).toEqual(["alpha beta gamma"]);
  expect(found(store, "gam alpha")).toEqual([]);
  expect(found(store, "gam ")).toEqual([]);
  expect(found(store, "alpha omega")).toEqual([]);
});

test("where no blank stands between words, any part of a text is found, and marked", () => {
  const store = freshStore();
  submit(store, "検索でエラーが出る人々");
  submit(store, "使用Bun重写搜索功能");
  submit(store, "แก้ไขปุ่มเข้าสู่ระบบ");
  readAll(store);
  expect(found(store, "エラー")).toEqual(["検索でエラーが出る人々"]);
  expect(found(store, "人々")).toEqual(["検索でエラーが出る人々"]);
  expect(found(store, "ラエー")).toEqual([]);
  expect(found(store, "搜索")).toEqual(["使用Bun重写搜索功能"]);
  expect(found(store, "bun重写 功能")).toEqual(["使用Bun重写搜索功能"]);
  expect(found(store, "搜功")).toEqual([]);
  expect(found(store, "เข้าสู่")).toEqual(["แก้ไขปุ่มเข้าสู่ระบบ"]);
  expect(find(store, "bun重写").results[0]?.places[0]?.snippet).toEqual([
    { text: "使用", hit: false },
    { text: "Bun重写", hit: true },
    { text: "搜索功能", hit: false },
  ]);
});

test("any text is a query: nothing that a person types is an error", () => {
  const store = freshStore();
  submit(store, 'NEAR AND OR NOT "quoted" col:value 𞤀𞤣 東京 a*b');
  readAll(store);
  for (const text of [
    "",
    " ",
    '"',
    '""',
    "*",
    "AND",
    "NOT",
    "NEAR(",
    "a OR",
    "^",
    "{x}:",
    "text:",
    "-",
    "'",
    "\0",
    "𞤀",
    "😀",
    "a\ud800b",
  ])
    expect(() => find(store, text)).not.toThrow();
  expect(found(store, "and or not")).toHaveLength(1);
  expect(found(store, "col:value")).toHaveLength(1);
  expect(found(store, "東京")).toHaveLength(1);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
      find(store, text);
      find(store, `${text} "quoted`);
    }),
    { numRuns: 300 },
  );
});

test("nothing is lost or read twice when the server dies between two portions", () => {
  const folder = mkdtempSync(join(tmpdir(), "ccw-search-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "ccw.sqlite");
  const store = freshStore(path);
  const say = play(store, submit(store, "first"));
  const long = "filling ".repeat(4000);
  for (let index = 0; index < 10; index++) say(says(`needle ${long}`));
  expect(store.search.indexPortion()).toBe(true);
  // A portion whose transaction never ended.
  expect(() =>
    store.atomically(() => {
      store.search.indexPortion();
      throw new Error("killed");
    }),
  ).toThrow("killed");
  const next = freshStore(path);
  readAll(next);
  let places = 0;
  for (
    let before: number | undefined, page = find(next, "needle");
    ;
    page = find(next, "needle", { before })
  ) {
    places += page.results.flatMap((result) => result.places).length;
    if (page.next === undefined) break;
    before = page.next;
  }
  expect(places).toBe(3);
  expect(next.search.behind()).toBe(0);
  const count = () => find(next, "filling").results[0]?.places.map(({ seq }) => seq);
  const before = count();
  next.search.rebuild();
  expect(found(next, "needle")).toEqual([]);
  readAll(next);
  expect(count()).toEqual(before);
});

test("results are filtered by state, person, archive and time, and come in pages", () => {
  const store = freshStore();
  const mine = submit(store, "needle one");
  const middle = ids.now();
  const hers = submit(store, "needle two", "bob");
  const last = submit(store, "needle three");
  store.tasks.move(hers, { kind: "failed", reason: "r", hint: "" });
  store.tasks.setArchived(hers, true);
  readAll(store);
  expect(found(store, "needle")).toEqual(["needle three", "needle two", "needle one"]);
  expect(found(store, "needle", { person: "bob" })).toEqual(["needle two"]);
  expect(found(store, "needle", { states: ["queued"] })).toEqual(["needle three", "needle one"]);
  expect(found(store, "needle", { shelf: "current" })).toEqual(["needle three", "needle one"]);
  expect(found(store, "needle", { shelf: "archived" })).toEqual(["needle two"]);
  expect(found(store, "needle", { until: middle })).toEqual(["needle one"]);
  expect(found(store, "needle", { since: middle })).toEqual(["needle three", "needle two"]);
  const first = find(store, "needle", { limit: 2 });
  expect(first.results.map(({ task }) => task.id)).toEqual([last, hers]);
  const second = find(store, "needle", { limit: 2, before: first.next });
  expect([second.results.map(({ task }) => task.id), second.next]).toEqual([[mine], undefined]);
});
