import { expect, test } from "bun:test";
import { builtInRecipes, imageReferenceOf, recipeNamed, referenceOf } from "./recipe.ts";

test("a recipe's tag changes with its text and with its pins, and with nothing else", () => {
  const slim = recipeNamed("slim");
  if (slim === undefined) throw new Error("slim is gone");
  const tag = referenceOf(slim);
  expect(tag).toMatch(/^localhost\/ccw\/slim:[0-9a-f]{12}$/);
  expect(referenceOf({ ...slim })).toBe(tag);
  expect(referenceOf({ ...slim, text: `${slim.text}\n` })).not.toBe(tag);
  const [first, ...rest] = slim.packages.x64;
  if (first === undefined) throw new Error("no packages");
  const x64 = [{ ...first, sha512: "other" }, ...rest];
  expect(referenceOf({ ...slim, packages: { ...slim.packages, x64 } })).not.toBe(tag);
});

test("a recipe's name becomes its tag; any other image stays as it is", () => {
  expect(imageReferenceOf("slim")).toMatch(/^localhost\/ccw\/slim:/);
  expect(imageReferenceOf("docker.io/library/node:24")).toBe("docker.io/library/node:24");
});

test("every file that a recipe adds is pinned for both architectures", () => {
  for (const { text, packages } of builtInRecipes) {
    const added = [...text.matchAll(/^ADD (\S+)/gm)].map((match) => match[1] ?? "");
    expect(added.length).toBeGreaterThan(0);
    for (const pinned of [packages.x64, packages.arm64]) {
      expect(pinned.map((wanted) => wanted.file)).toEqual(added);
      for (const { sha512 } of pinned) expect(Buffer.from(sha512, "base64").length).toBe(64);
    }
  }
});
