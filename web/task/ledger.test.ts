import { expect, test } from "bun:test";
import { withNews } from "./ledger.ts";

const rows = (...ids: number[]) => ids.map((id) => ({ id }));
const ids = (list: readonly { id: number }[]) => list.map(({ id }) => id);

test("news come above what is known, and what they cover is replaced", () => {
  const open = { id: 3, open: true };
  const done = { id: 3, open: false };
  expect(withNews([open, { id: 2, open: false }], [{ id: 4, open: true }, done], 2)).toEqual([
    { id: 4, open: true },
    done,
    { id: 2, open: false },
  ]);
});

test("where more came than one answer holds, the older ones go rather than leave a gap", () => {
  expect(ids(withNews(rows(3, 2, 1), rows(9, 8), 2))).toEqual([9, 8]);
});

test("an answer that holds everything takes the place of all", () => {
  expect(ids(withNews(rows(3, 2, 1), rows(3, 1), 5))).toEqual([3, 1]);
});
