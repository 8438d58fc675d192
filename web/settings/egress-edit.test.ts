import { expect, test } from "bun:test";
import { egressSchema } from "../../src/domain/environment-egress.ts";
import { draftOf, type Egress, egressOf, newEgress, problemsIn } from "./egress-edit.ts";

const egress = (change: Partial<Egress> = {}): Egress => ({
  ...newEgress,
  allow: ["a.example", "b.example"],
  ...change,
});

test("a new environment begins as the server would have it", () => {
  expect(newEgress).toEqual(egressSchema.parse({}));
});

test("an unchanged form saves what was there", () => {
  const base = egress({ limits: { ...egress().limits, uploadBytes: 1_572_865 } });
  expect(egressOf(draftOf(base), base, base)).toEqual({ ...base, deny: [""] });
});

test("a rule that was granted while the form was open stays, one that was taken away stays away", () => {
  const base = egress();
  const draft = { ...draftOf(base), allow: "a.example\nb.example\nmine.example" };
  const now = egress({ allow: ["b.example", "granted.example"] });
  expect(egressOf(draft, base, now).allow).toEqual(["", "b.example", "mine.example", "granted.example"]);
});

test("an amount without a meaning is refused in words", () => {
  const draft = draftOf(egress());
  const odd = { ...draft, limits: { ...draft.limits, uploadBytes: "lots" } };
  expect(() => egressOf(odd, egress(), egress())).toThrow('"lots" is not an amount.');
});

test("each mistake is found at its line, or at its credential", () => {
  const at = (...lines: string[]) => problemsIn({ message: lines.join("\n"), hint: "" });
  const rule = 'egress.allow: line 2 ("https://n\\"pm.org/x"): write npm.org';
  const first = { field: "allow", line: 2, why: "write npm.org" } as const;
  const credential = 'The credential for "x" names no legal header';
  expect(
    at(rule, 'egress.deny: line 4 ("a b"): it holds a space', `egress.credentials.1: ${credential}`),
  ).toEqual({
    problems: [
      first,
      { field: "deny", line: 4, why: "it holds a space" },
      { field: "credentials", index: 1, why: credential },
    ],
    all: true,
  });
  expect(at(rule, "… and 3 more.")).toEqual({ problems: [first], all: false });
  expect(at("No ccw-server answers.")).toEqual({ problems: [], all: false });
  expect(problemsIn(undefined)).toEqual({ problems: [], all: false });
});
