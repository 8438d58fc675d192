import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { startGithub } from "../../test/fixtures/forge/github.ts";
import type { ForgeCredential, ForgeKind } from "../domain/forge.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { createForges } from "./forges.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const silent = { info() {}, warn() {}, error() {} };

function houseOf(authority = "") {
  let now = Date.now();
  const store = openStore(":memory:", createSeal(randomBytes(32)), { now: () => ++now, randomBytes });
  closers.push(() => store.close());
  const forges = createForges({
    lookup: store.forges,
    network: { proxy: undefined, authorities: authority === "" ? undefined : [authority] },
    log: silent,
    now: () => now,
  });
  return {
    store,
    forges,
    connect(kind: ForgeKind, credential: ForgeCredential, url = "https://forge.example") {
      const apiUrl = kind === "git" ? "" : `${url}/api/v3`;
      store.forges.save({ name: "work", kind, url, apiUrl }, credential);
    },
    wait: (ms: number) => {
      now += ms;
    },
  };
}

const repositoryAt = (path: string, url = "https://forge.example"): RemoteRepository => ({
  ...{ kind: "remote", name: `forge.example/${path}`, forge: "work", path, defaultBranch: "main" },
  ...{ cloneUrl: `${url}/${path}.git`, webUrl: "", createdAt: 0 },
  push: { force: false, delete: false },
});

test("a repository that was added while its forge's name was another's gets none of the credential", async () => {
  const { forges, connect } = houseOf();
  connect("gitlab", { kind: "token", token: "s3cret-token", username: "" });
  for (const cloneUrl of ["https://evil.example/acme/widget.git", "http://forge.example/acme/widget.git"]) {
    const added = { ...repositoryAt("acme/widget"), cloneUrl };
    await expect(forges.access.authorizationFor(added, "read")).rejects.toMatchObject({
      code: "forbidden",
      message: expect.not.stringContaining("s3cret-token"),
    });
  }
});

const plain = (header: string | undefined) =>
  header === undefined ? undefined : Buffer.from(header.replace(/^Basic /, ""), "base64").toString();

test.each([
  ["github", "", "x-access-token:s3cret-token"],
  ["gitlab", "", "oauth2:s3cret-token"],
  ["gitlab", "gitlab+deploy-token-1", "gitlab+deploy-token-1:s3cret-token"],
  ["gitea", "", "token:s3cret-token"],
  ["git", "ada", "ada:s3cret-token"],
] as const)(
  "git at a forge of kind %s, user %j, is authorised as it wants it",
  async (kind, username, shown) => {
    const { forges, connect } = houseOf();
    connect(kind, { kind: "token", token: "s3cret-token", username });
    expect(plain(await forges.access.authorizationFor(repositoryAt("acme/widget"), "write"))).toBe(shown);
    expect(forges.secrets()).toEqual([{ name: "the credential of the forge work", value: "s3cret-token" }]);
  },
);

test("without a credential there is no header; without the forge there is a reason", async () => {
  const { forges, connect } = houseOf();
  await expect(forges.access.authorizationFor(repositoryAt("acme/widget"), "read")).rejects.toMatchObject({
    code: "forbidden",
  });
  connect("git", { kind: "none" });
  expect(await forges.access.authorizationFor(repositoryAt("acme/widget"), "read")).toBeUndefined();
  expect(forges.apiOf("work")).toBeUndefined();
  expect(() => forges.apiOf("other")).toThrow("There is no forge named");
});

test("an app's token is narrowed to one repository and one right, kept, and made anew before its end", async () => {
  const github = await startGithub();
  closers.push(() => github.close());
  await github.addRepository("acme/widget", {});
  await github.addRepository("acme/other", {});
  const app = github.state.addApp("agent");
  github.install(app, "acme", ["acme/widget", "acme/other"]);
  const { forges, connect, wait } = houseOf(github.authority);
  connect("github", { kind: "app", appId: app.id, privateKey: app.privateKey, slug: "agent" }, github.url);
  const ask = async (path: string, right: "read" | "write") =>
    plain(await forges.access.authorizationFor(repositoryAt(path, github.url), right))?.split(":")[1] ?? "";
  const made = () => github.seen.filter(({ path }) => path.endsWith("/access_tokens")).length;

  const [one, same] = await Promise.all([ask("acme/widget", "read"), ask("acme/widget", "read")]);
  expect(one).toBe(same);
  expect(made()).toBe(1);
  expect(github.state.tokens.get(one)).toMatchObject({
    ...{ repositories: ["acme/widget"], permissions: { contents: "read", metadata: "read" } },
  });
  const write = await ask("acme/widget", "write");
  expect(github.state.tokens.get(write)).toMatchObject({
    ...{ repositories: ["acme/widget"], permissions: { contents: "write", metadata: "read" } },
  });
  expect(await ask("acme/other", "read")).not.toBe(one);
  expect(made()).toBe(3);
  expect(forges.secrets().map(({ value }) => value)).toContain(write);

  wait(54 * 60_000);
  expect(await ask("acme/widget", "read")).toBe(one);
  forges.access.refused(repositoryAt("acme/widget"));
  const anew = await ask("acme/widget", "read");
  expect(anew).not.toBe(one);
  wait(56 * 60_000);
  expect(await ask("acme/widget", "read")).not.toBe(anew);

  await github.addRepository("acme/elsewhere", {});
  await expect(ask("acme/elsewhere", "read")).rejects.toMatchObject({ code: "forbidden" });
});

test("an app that may only read does not get to write", async () => {
  const github = await startGithub();
  closers.push(() => github.close());
  await github.addRepository("acme/widget", {});
  const app = github.state.addApp("agent");
  github.install(app, "acme", ["acme/widget"], { contents: "read", metadata: "read" });
  const { forges, connect } = houseOf(github.authority);
  const credential = { kind: "app", appId: app.id, privateKey: app.privateKey, slug: "agent" } as const;
  connect("github", credential, github.url);
  const failure = forges.access.authorizationFor(repositoryAt("acme/widget", github.url), "write");
  await expect(failure).rejects.toThrow("may not write the contents of acme/widget");
  connect("github", { ...credential, privateKey: "no key" }, github.url);
  const broken = forges.access.authorizationFor(repositoryAt("acme/widget", github.url), "read");
  await expect(broken).rejects.toThrow("not the private key of a GitHub App");
});
