import { expect, test } from "bun:test";
import { keptInPlace } from "./access-order.ts";
import type { AccessState } from "./access-request.ts";

const row = (id: number, state: AccessState["kind"] = "pending") => ({ id, lastAt: id, state });
const ids = (rows: readonly { id: number }[]) => rows.map(({ id }) => id);

test("what waits comes first and oldest first, then what was decided, newest first", () => {
  const now = [row(4), row(3, "denied"), row(2), row(1, "granted")];
  expect(ids(keptInPlace([], now))).toEqual([2, 4, 3, 1]);
});

test("a row that is decided stays where it is", () => {
  const before = [row(1), row(2), row(3)];
  expect(ids(keptInPlace(before, [row(3), row(2), row(1, "granted")]))).toEqual([1, 2, 3]);
});

test("a new request, and one that is asked again, move nothing that waits", () => {
  const before = [row(5), row(6), row(2, "used"), row(1, "denied")];
  const now = [row(7), row(6), row(5), row(2), row(1, "denied"), row(3)];
  expect(ids(keptInPlace(before, now))).toEqual([5, 6, 2, 3, 7, 1]);
});

test("what is gone is left out", () => {
  expect(ids(keptInPlace([row(1), row(2)], [row(2)]))).toEqual([2]);
});
