import { expect, test } from "bun:test";
import { egressSchema } from "../../src/domain/environment-egress.ts";
import { draftOf, type Egress, egressOf, newEgress, problemIn } from "./egress-edit.ts";

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

test("a mistake is found at its line, or at its credential", () => {
  const at = (message: string) => problemIn({ message, hint: "" });
  expect(at('egress.allow: line 2 ("https://n\\"pm.org/x"): write npm.org')).toEqual({
    field: "allow",
    line: 2,
    why: "write npm.org",
  });
  expect(at('egress.credentials.1: The credential for "x" names no legal header')).toEqual({
    field: "credentials",
    index: 1,
    why: 'The credential for "x" names no legal header',
  });
  expect(at("No ccw-server answers.")).toBeUndefined();
});
