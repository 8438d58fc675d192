import { expect, test } from "bun:test";
import { parseGitTarget, parseRelayTarget } from "./git-server.ts";

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

test("a remote repository is named by host and path, with `.git` or without", () => {
  for (const path of ["/github.com/Acme/Widget.git", "/github.com/Acme/Widget"]) {
    expect(parseGitTarget(`${path}/git-upload-pack`)?.repository).toBe("github.com/Acme/Widget");
  }
  expect(parseGitTarget("/git.example:8443/a/b/c.git/git-upload-pack")?.repository).toBe(
    "git.example:8443/a/b/c",
  );
});

for (const path of [
  "/github.com/acme/%77idget.git",
  "/github.com/acme%2Fwidget.git",
  "/github.com/acme%252Fwidget.git",
  "/github.com//acme/widget.git",
  "/github.com/acme/./widget.git",
  "/github.com/acme/../acme/widget.git",
  "/github.com\\acme/widget.git",
  "/github.com/acme/widget.git;x",
  "/github.com/acme/widget\0.git",
  "/github.com/acme/widget.git.git",
  "/github.com/acme/widget.GIT",
  "/github.com/acme/widget.git/github.com/acme/other.git",
  "/github.com/acme/widget.wiki.git",
  "/github.com/acme/widget.wiki",
  "/GitHub.com/acme/widget.git",
  "/github.com./acme/widget.git",
  "/user@github.com/acme/widget.git",
  "/github.com:443443/acme/widget.git",
  "/https://github.com/acme/widget.git",
  "/github.com/acme/widget.git/",
  "/github.com/acme/widgét.git",
]) {
  test(`ATTACKS 54: ${JSON.stringify(path)} is like no repository on a forge`, () => {
    expect(parseGitTarget(`${path}/git-upload-pack`)).toBeUndefined();
    expect(parseGitTarget(`${path}/info/refs?service=git-upload-pack`)).toBeUndefined();
  });
}

test("a relay passes any plain path on, and knows the smart protocol alone", () => {
  expect(parseRelayTarget("/smart/repo.git/info/refs?service=git-receive-pack")).toEqual({
    kind: "advertise",
    repository: "/smart/repo.git",
    service: "git-receive-pack",
  });
  expect(parseRelayTarget("/git-upload-pack")?.repository).toBe("");
  for (const target of [
    "/a/HEAD",
    "/a/info/refs",
    "//a/git-upload-pack",
    "x/git-upload-pack",
    "/a#/git-upload-pack",
  ])
    expect(parseRelayTarget(target)).toBeUndefined();
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

test("a relay is not led out of the path that it was given", () => {
  for (const path of ["/../other/repo", "/a/../../b", "/./a", "/%2e%2e/other", "/a/.%2E/b", "/%2E/a"])
    expect(parseRelayTarget(`${path}/git-upload-pack`)).toBeUndefined();
  expect(parseRelayTarget("/a/..b/c...git/git-upload-pack")?.repository).toBe("/a/..b/c...git");
});
