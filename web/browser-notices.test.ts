import { expect, test } from "bun:test";
import { noticesBetween } from "./browser-notices.ts";

type Seen = Parameters<typeof noticesBetween>[0][number];
const task = (id: string, state: Seen["state"], person = "ada"): Seen => ({ id, state, person, title: id });
const kinds = (was: Seen["state"], state: Seen["state"]) =>
  noticesBetween([task("t", was)], [task("t", state)], "ada").map(({ kind }) => kind);

test("what has ended, waits or cannot go on is told, once", () => {
  expect(kinds("finishing", "idle")).toEqual(["done"]);
  expect(kinds("idle", "completed")).toEqual([]);
  expect(kinds("running", "completed")).toEqual(["done"]);
  expect(kinds("running", "failed")).toEqual(["failed"]);
  expect(kinds("running", "waiting")).toEqual(["question"]);
  expect(kinds("running", "paused")).toEqual(["paused"]);
  expect(kinds("idle", "paused")).toEqual([]);
  expect(kinds("queued", "running")).toEqual([]);
  expect(kinds("failed", "failed")).toEqual([]);
});

test("tasks of others, and tasks that were not there before, are no news", () => {
  expect(noticesBetween([task("t", "running", "bob")], [task("t", "failed", "bob")], "ada")).toEqual([]);
  expect(noticesBetween([], [task("t", "failed")], "ada")).toEqual([]);
});
