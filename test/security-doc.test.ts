import { expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");

/** Rows of the table of attacks: the line's number, and the names of its tests. */
async function rows(): Promise<{ line: string; names: string[] }[]> {
  const text = await Bun.file(join(root, "docs/security.md")).text();
  return [...text.matchAll(/^\| ([\d–]+) +\|.*\| ([^|]*?) +\|$/gm)].map(([, line = "", tests = ""]) => ({
    line,
    names: [...tests.matchAll(/`(ATTACKS [^`]+)`/g)].map(([, name = ""]) => name),
  }));
}

/** Where a test's name begins in its source. What follows may be a parameter such as the form of the request. */
async function isNamed(): Promise<(name: string) => boolean> {
  const sources: string[] = [];
  for await (const file of new Glob("{src,test}/**/*.test.ts").scan(root)) {
    if (!file.endsWith("security-doc.test.ts")) sources.push(await Bun.file(join(root, file)).text());
  }
  const all = sources.join("\n");
  return (name) => all.includes(`"${name}`) || all.includes(`\`${name}`);
}

test("docs/security.md names only tests that exist", async () => {
  const named = await isNamed();
  const names = (await rows()).flatMap((row) => row.names);
  expect(names.length).toBeGreaterThan(120);
  expect(names.filter((name) => !named(name))).toEqual([]);
});

test("docs/security.md has a row with a test for each line from 1 to 60", async () => {
  const lines = (await rows()).filter(({ line, names }) => /^\d+$/.test(line) && names.length > 0);
  expect(lines.map(({ line }) => line)).toEqual(Array.from({ length: 60 }, (_, i) => String(i + 1)));
});
