import { expect, test } from "bun:test";
import { until } from "../../../test/until.ts";
import type { GuestEvent } from "../../domain/event.ts";
import { createDeltas } from "./deltas.ts";

test("pieces are joined until they are worth an event, and the rest comes by itself soon after", async () => {
  const late: GuestEvent[] = [];
  const deltas = createDeltas((events) => void late.push(...events));
  const due = Array.from({ length: 1000 }, () => deltas.add("b:0", "12345")).flat();
  expect(due.length).toBe(1);
  expect(late).toEqual([]);
  await until("the rest has come", () => late.length > 0);
  const text = [...due, ...late]
    .map((event) => (event.kind === "assistant_delta" ? event.text : ""))
    .join("");
  expect(text).toBe("12345".repeat(1000));
});

test("another block, and anything else that is said, comes after what waits", () => {
  const deltas = createDeltas(() => {});
  expect(deltas.add("b:0", "one")).toEqual([]);
  expect(deltas.add("b:1", "two")).toEqual([{ kind: "assistant_delta", blockId: "b:0", text: "one" }]);
  expect(deltas.flush()).toEqual([{ kind: "assistant_delta", blockId: "b:1", text: "two" }]);
  expect(deltas.flush()).toEqual([]);
});

test("the whole block makes its last pieces needless", () => {
  const deltas = createDeltas(() => {});
  deltas.add("b:0", "one");
  expect(deltas.flush({ kind: "assistant_text", blockId: "b:0", text: "one two" })).toEqual([]);
  deltas.close();
});
