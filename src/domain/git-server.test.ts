import { expect, test } from "bun:test";
import { parseGitTarget } from "./git-server.ts";

test("the three requests of the smart protocol are known", () => {
  expect(parseGitTarget("/demo.git/info/refs?service=git-upload-pack")).toEqual({
    kind: "advertise",
    repository: "demo",
    service: "git-upload-pack",
  });
  expect(parseGitTarget("/team/demo.git/git-receive-pack")).toEqual({
    kind: "exchange",
    repository: "team/demo",
    service: "git-receive-pack",
  });
});

for (const path of [
  "/%2e%2e/demo.git",
  "/..%2Fdemo.git",
  "/demo%252egit",
  "/demo.git%00",
  "/../demo.git",
  "/./demo.git",
  "//demo.git",
  "/a//demo.git",
  "/a\\demo.git",
  "/demo.git\0",
  "/demo.git;x",
  "/demo.git.git",
  "/demo.git/other.git",
  "/a/b/demo.git",
  "/demo.wiki.git",
  "/Demo.git",
  "/.git",
  "/demo",
  "/-demo.git",
  "demo.git",
]) {
  test(`ATTACKS 54: ${JSON.stringify(path)} is like no repository`, () => {
    expect(parseGitTarget(`${path}/git-upload-pack`)).toBeUndefined();
    expect(parseGitTarget(`${path}/info/refs?service=git-upload-pack`)).toBeUndefined();
  });
}

for (const rest of [
  "/info/refs",
  "/info/refs?service=git-upload-archive",
  "/info/refs?service=git-upload-pack&service=git-receive-pack",
  "/info/refs?x=1&service=git-upload-pack",
  "/info/refs/?service=git-upload-pack",
  "/git-upload-archive",
  "/HEAD",
  "/objects/info/packs",
  "/objects/00/11",
  "/config",
  "",
]) {
  test(`ATTACKS 55: the dumb protocol and other services are not there: ${rest}`, () => {
    expect(parseGitTarget(`/demo.git${rest}`)).toBeUndefined();
  });
}

test("ATTACKS 55: where service= disagrees with the path, the path decides", () => {
  expect(parseGitTarget("/demo.git/git-receive-pack?service=git-upload-pack")?.service).toBe(
    "git-receive-pack",
  );
});
