import { expect, test } from "bun:test";
import { forgeAt, hostsOfForges, parseForgeUrl, remoteAddress, usualApiUrl } from "./forge-address.ts";

test("a repository is found on the forge that covers its address, and on no other", () => {
  const forges = [
    { url: "https://github.com" },
    { url: "https://git.example:8443" },
    { url: "https://git.example:8443/team" },
  ];
  expect(forgeAt(forges, "https://github.com/acme/widget.git")).toEqual({
    ...{ forge: { url: "https://github.com" }, path: "acme/widget" },
  });
  expect(forgeAt(forges, "https://git.example:8443/team/a/b/")?.path).toBe("a/b");
  for (const other of [
    "https://github.com.evil.example/acme/widget",
    "http://github.com/acme/widget",
    "https://git.example/a/b",
    "https://ada@github.com/acme/widget",
    "git@github.com:acme/widget.git",
  ])
    expect(forgeAt(forges, other)).toBeUndefined();
});

test("a forge's address is cleaned, and one with a password in it is not repeated", () => {
  expect(parseForgeUrl(" https://GitHub.com/ ")).toBe("https://github.com");
  expect(() => parseForgeUrl("https://ada:s3cret@git.example")).toThrow(/^That is no address of a forge\.$/);
  expect(() => parseForgeUrl("ssh://git.example")).toThrow();
  expect(usualApiUrl("github", "https://github.com")).toBe("https://api.github.com");
  expect(usualApiUrl("github", "https://ghe.example")).toBe("https://ghe.example/api/v3");
});

test("a repository's name says where it lives", () => {
  expect(remoteAddress({ url: "https://git.example:8443/git" }, "team/tool")).toEqual({
    ...{ name: "git.example:8443/git/team/tool", cloneUrl: "https://git.example:8443/git/team/tool.git" },
  });
  expect(() => remoteAddress({ url: "https://github.com" }, "acme/../widget")).toThrow("cannot be the name");
  expect([...hostsOfForges([{ url: "https://git.example:8443", apiUrl: "https://[::1]/api" }])]).toEqual([
    ...["git.example", "::1"],
  ]);
});
