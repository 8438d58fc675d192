import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHostedRepositories } from "./hosted.ts";
import { makeWhole, removeUnfinished, removeWhole } from "./made-whole.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ccw-whole-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const fill = async (fresh: string) => writeFileSync(join(fresh, "file"), "whole");
const at = (name: string) => join(folder, name);

test("what is filled stands in its place, and is not made twice", async () => {
  expect(await makeWhole(folder, at("a"), fill)).toBe(true);
  expect(await makeWhole(folder, at("a"), fill)).toBe(false);
  expect(readdirSync(folder)).toEqual(["a"]);
});

test("what cannot be filled leaves nothing", async () => {
  const fails = async (fresh: string) => {
    await fill(fresh);
    throw new Error("no room");
  };
  await expect(makeWhole(folder, at("a"), fails)).rejects.toThrow("no room");
  expect(readdirSync(folder)).toEqual([]);
});

test("what a server that was killed had begun to make or to remove goes with the next start", async () => {
  await new Promise<void>((begun) => {
    // Never filled: as far as a server comes that is killed.
    void makeWhole(folder, at("a"), async () => {
      begun();
      await new Promise(() => {});
    });
  });
  mkdirSync(at("b.git"));
  expect(readdirSync(folder)).toHaveLength(2);
  createHostedRepositories({
    ...{ folder, now: Date.now },
    log: { info() {}, warn() {}, error() {} },
  });
  expect(readdirSync(folder)).toEqual(["b.git"]);
  removeUnfinished(at("never made"));
});

test("what is removed may be removed again", async () => {
  await makeWhole(folder, at("a"), fill);
  await removeWhole(folder, at("a"));
  await removeWhole(folder, at("a"));
  expect(existsSync(at("a"))).toBe(false);
  expect(readdirSync(folder)).toEqual([]);
});
