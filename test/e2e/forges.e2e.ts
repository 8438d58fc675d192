import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type GithubStandIn, startGithub } from "../fixtures/forge/github.ts";
import { type Appliance, executable, freshFolder, run, startAppliance } from "./appliance.ts";

/** The operator's side of forges, with the compiled executable and its command line. No engine is needed. */

const folder = freshFolder();
let github: GithubStandIn;
let appliance: Appliance;

beforeAll(async () => {
  github = await startGithub();
  await github.addRepository("acme/widget", { people: { ada: "admin" } });
  writeFileSync(join(folder, "ca.pem"), github.authority);
  writeFileSync(join(folder, "ccw.toml"), `[egress]\nca_file = "${join(folder, "ca.pem")}"\n`);
  appliance = await startAppliance({
    engine: join(folder, "no-engine.sock"),
    dataFolder: join(folder, "data"),
    argv: ["--config", join(folder, "ccw.toml")],
  });
}, 600_000);

afterAll(async () => {
  await appliance.stop();
  rmSync(folder, { recursive: true, force: true });
  await github.close();
});

const ccw = (...argv: string[]) => run([executable, ...argv, "--data", join(folder, "data")]);

test("a forge with a private authority is connected, and a repository of it added", async () => {
  const token = github.addToken("ada");
  writeFileSync(join(folder, "token"), token, { mode: 0o600 });
  const added = await ccw(
    "forge",
    "add",
    "work",
    github.url,
    "--kind",
    "github",
    "--token-file",
    join(folder, "token"),
  );
  expect([added.code, added.err]).toEqual([0, expect.stringContaining("as ada.")]);
  const { host } = new URL(github.url);
  const found = await ccw("repo", "add", `${github.url}/acme/widget`);
  expect([found.code, found.out]).toEqual([0, `${host}/acme/widget\n`]);
  expect((await ccw("repo", "branches", `${host}/acme/widget`)).out).toBe("main\n");
  expect((await ccw("repo", "search", "--forge", "work", "widg")).out).toContain("acme/widget");
  const listed = await ccw("repo", "list", "--json");
  expect(JSON.parse(listed.out)).toContainEqual(
    expect.objectContaining({ forge: "work", path: "acme/widget" }),
  );
  for (const text of [added.out + added.err, found.err, listed.out, appliance.output()])
    expect(text).not.toContain(token);
}, 600_000);

test("the clients of all forges, and the signature of an App, work in the executable", async () => {
  const app = github.state.addApp("agent");
  github.install(app, "acme", ["acme/widget"]);
  const key = join(folder, "key.pem");
  writeFileSync(key, app.privateKey, { mode: 0o600 });
  const made = await ccw(
    ...[
      "forge",
      "add",
      "apps",
      github.url,
      "--kind",
      "github",
      "--app-id",
      String(app.id),
      "--key-file",
      key,
    ],
  );
  expect([made.code, made.err]).toEqual([0, expect.stringContaining("installed at acme")]);
  writeFileSync(join(folder, "wrong"), "no-such-token\n");
  for (const kind of ["gitlab", "gitea"]) {
    const refused = await ccw(
      "forge",
      "add",
      "x",
      github.url,
      "--kind",
      kind,
      "--token-file",
      join(folder, "wrong"),
    );
    expect([refused.code !== 0, refused.err]).toEqual([true, expect.stringContaining("The forge x")]);
  }
  // The stand-in for GitHub has none of their paths, and says so.
  github.violations.splice(0);
}, 600_000);
