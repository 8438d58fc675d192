import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { until } from "../../test/until.ts";
import type { EgressEntry } from "../domain/egress.ts";
import { isActive } from "../domain/task.ts";
import { editOf } from "./environment-flags.ts";
import { exitCodes } from "./exit-codes.ts";
import { beginCli } from "./wiring.fixture.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The command line against a real server. */
function serve() {
  const house = startAppServer();
  closers.push(() => house.close());
  const { store } = house;
  const begin = (...argv: string[]) => beginCli(house.dataFolder, argv);
  return {
    ...house,
    /** A command that goes on: what it has written so far, and its end. */
    begin,
    run: (...argv: string[]) => begin(...argv).ended,
    startTask() {
      const taskId = house.submit({ title: "build it" });
      house.play(taskId);
      const state = store.tasks.get(taskId)?.state;
      if (state === undefined || !isActive(state)) throw new Error("the task does not run");
      return { taskId, sandboxId: state.sandboxId };
    },
  };
}

test("the ledger is listed, narrowed, followed from its newest and summed up", async () => {
  const { store, run, startTask } = serve();
  const entry: EgressEntry = {
    ...startTask(),
    at: Date.now(),
    kind: "inspected",
    host: "registry.npmjs.org",
    port: 443,
    method: "GET",
    path: "/left-pad",
    address: "192.0.2.1",
    verdict: "allowed",
    reason: "registry.npmjs.org (default list)",
    status: 200,
    bytesUp: 100,
    bytesDown: 2048,
    ms: 5,
  };
  store.egress.ledger.open(entry)(entry);
  const refused: EgressEntry = {
    ...entry,
    kind: "tunnel",
    method: "CONNECT",
    path: "",
    host: "evil\x1b[2J.example",
    verdict: "refused",
    reason: "host-not-allowed",
    status: 403,
  };
  store.egress.ledger.open(refused)(refused);
  await until("both are written", () => store.egress.lastId() === 2);
  const tail = (await run("egress", "tail")).out.trimEnd().split("\n");
  expect(tail).toHaveLength(2);
  expect(tail[0]).toContain(
    "allowed GET https://registry.npmjs.org/left-pad 200 (100B up, 2KiB down, 5 ms)".replace(
      "allowed ",
      "allowed ",
    ),
  );
  expect(tail[1]).toContain("refused CONNECT evil␛[2J.example:443 403");
  const list = await run("egress", "list", "--verdict", "refused", "--task", "last");
  expect(list.out.trimEnd().split("\n")).toHaveLength(2);
  expect(list.out).not.toContain("\x1b");
  expect(JSON.parse((await run("egress", "list", "--json", "--since", "1h", "-n", "1")).out)).toMatchObject([
    { id: 2 },
  ]);
  expect((await run("egress", "stats")).out).toMatch(/all hosts +2 +1 +200B +4KiB/);
  expect((await run("egress", "list", "--since", "soon")).code).toBe(exitCodes.usage);
});

test("a follower sees what lasts when it begins and how it ended, and by its verdict the end alone", async () => {
  const house = serve();
  const { taskId } = house.startTask();
  const tunnel = { kind: "tunnel", method: "CONNECT", path: "" } as const;
  const early = house.request(taskId, { ...tunnel, host: "early.example" });
  await until("it is written", () => house.store.egress.lastId() === 1);
  const all = house.begin("egress", "tail", "-f");
  const cut = house.begin("egress", "tail", "-f", "--verdict", "cut");
  const lines = ({ written }: typeof all) => written.out.trimEnd().split("\n");
  await until("all are told of", () => all.written.out.includes("early.example"));

  const late = house.request(taskId, { ...tunnel, host: "late.example" });
  await until("the late one, too", () => all.written.out.includes("late.example"));
  const end = { status: 200, bytesUp: 2048, bytesDown: 4096, ms: 1500 };
  early({ ...end, verdict: "cut", reason: "policy-changed" });
  await until("the cut one", () => cut.written.out.includes("early.example"));
  late({ ...end, verdict: "allowed", reason: "late.example (environment)" });
  await until("both ends", () => lines(all).length === 4);
  // Neither is told twice.
  await Bun.sleep(1200);
  expect(lines(all)).toEqual([
    expect.stringMatching(/ open +CONNECT early\.example:443 .*\(under way\)/),
    expect.stringMatching(/ open +CONNECT late\.example:443 .*\(under way\)/),
    expect.stringMatching(
      / cut +CONNECT early\.example:443 200 \(2KiB up, 4KiB down, 1500 ms\) policy-changed/,
    ),
    expect.stringMatching(/ allowed +CONNECT late\.example:443 200 \(2KiB up, 4KiB down, 1500 ms\) /),
  ]);
  expect(lines(cut)).toEqual([expect.stringContaining("early.example")]);
  await house.stop();
  expect((await Promise.all([all.ended, cut.ended])).map(({ code }) => code)).toEqual([
    exitCodes.unavailable,
    exitCodes.unavailable,
  ]);
});

test("a check answers by its exit code, too", async () => {
  const { run } = serve();
  const check = (url: string, ...more: string[]) => run("egress", "check", url, "--env", "default", ...more);
  const refused = await check("https://pypi.org/simple");
  expect(refused.code).toBe(exitCodes.failed);
  expect(refused.out).toContain("refused (no-egress)");
  expect((await run("env", "edit", "default", "--access", "limited")).code).toBe(0);
  expect((await check("https://pypi.org/simple")).code).toBe(0);
  expect((await check("https://pypi.org/simple", "--method", "PUT")).out).toContain("read-only");
  expect(JSON.parse((await check("https://pypi.org/", "--json")).out)).toMatchObject({ allowed: true });
  const malformed = await check("https://pypi.org:99999/simple");
  expect(malformed).toMatchObject({ code: exitCodes.usage, out: "" });
  expect(malformed.err).toContain("a port is a number from 1 to 65535");
  expect((await run("egress", "check", "https://pypi.org/")).code).toBe(exitCodes.usage);
  expect((await run("egress", "check", "https://pypi.org/", "--env", "nope")).code).toBe(exitCodes.notFound);
});

test("requests are listed, allowed and denied", async () => {
  const { store, run, startTask } = serve();
  await run("env", "edit", "default", "--access", "limited");
  const { taskId } = startTask();
  for (const host of ["a.example", "b.example", "c.example", "d.example"])
    store.access.ask({ taskId, host, port: 443, reason: "host-not-allowed" });
  expect((await run("egress", "requests")).out).toMatch(/1 +a\.example:443 +host-not-allowed +1 /);
  expect((await run("egress", "allow", "1", "--once")).err).toBe(
    "Allowed for one connection within the hour: a.example:443.\n",
  );
  expect((await run("egress", "allow", "2")).err).toBe("Allowed for this task: b.example:443.\n");
  expect((await run("egress", "allow", "3", "--env")).err).toBe(
    "Allowed in the environment default: c.example:443.\n",
  );
  expect((await run("egress", "deny", "4")).err).toBe("Denied for this task: d.example:443.\n");
  expect(store.access.list({ limit: 9 }).map(({ state }) => state.kind)).toEqual([
    "denied",
    "granted",
    "granted",
    "granted-once",
  ]);
  expect(JSON.parse((await run("egress", "requests", "--json")).out)).toEqual([]);
  expect(JSON.parse((await run("egress", "requests", "--all", "--json")).out)).toHaveLength(4);
  store.access.ask({ taskId, host: "late.example", port: 443, reason: "host-not-allowed" });
  store.tasks.move(taskId, { kind: "cancelled", by: "ada" });
  expect((await run("egress", "requests", "--state", "expired")).out).toMatch(
    /5 +late\.example:443 .* expired /,
  );
  expect((await run("egress", "allow", "5")).code).toBe(exitCodes.conflict);
  expect((await run("egress", "allow", "5", "--env")).code).toBe(0);
  expect((await run("egress", "allow", "9")).code).toBe(exitCodes.notFound);
  expect((await run("egress", "allow", "1", "--once", "--env")).code).toBe(exitCodes.usage);
});

test("everything that an environment says of egress is set, shown and taken back by options", async () => {
  const { store, run } = serve();
  const folder = mkdtempSync(join(tmpdir(), "ccw-egress-cli-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "secrets.env"), "API_KEY=s3cret-value\n");
  const credential = `api.example.com Authorization: Bearer \${API_KEY}`;
  const added = await run(
    ...[
      "env",
      "add",
      "web",
      "--access",
      "custom",
      "--allow",
      "api.example.com write",
      "--allow",
      "b.example",
    ],
    ...["--deny-host", "*.zip", "--secrets-file", join(folder, "secrets.env"), "--credential", credential],
    ...["--upload-budget", "2GiB", "--connections", "16"],
  );
  expect([added.code, added.err]).toEqual([0, "Added web.\n"]);
  const shown = (await run("env", "show", "web")).out;
  for (const words of [
    "custom (what",
    "api.example.com write",
    "*.zip",
    credential,
    "API_KEY",
    "2GiB uploaded",
    "16 connections",
  ])
    expect(shown).toContain(words);
  expect(shown).not.toContain("s3cret-value");
  const edited = await run(
    ...[
      "env",
      "edit",
      "web",
      "--remove-allow",
      "b.example",
      "--allow",
      "c.example",
      "--remove-deny-host",
      "*.zip",
    ],
    ...["--groups-off", "version control", "--remove-credential", "api.example.com Authorization"],
    ...["--unset-secret", "API_KEY"],
  );
  expect([edited.code, edited.err]).toEqual([0, "Changed web.\n"]);
  expect(store.environments.get("web")).toMatchObject({
    secrets: {},
    egress: {
      allow: ["api.example.com write", "c.example"],
      deny: [],
      groupsOff: ["Version Control"],
      credentials: [],
    },
  });
  expect((await run("env", "edit", "web", "--groups-on", "Version Control")).code).toBe(0);
  expect(store.environments.get("web")?.egress.groupsOff).toEqual([]);
  const bad = await run("env", "edit", "web", "--allow", "https://npmjs.org/");
  expect(bad.code).toBe(exitCodes.usage);
  expect(bad.err).toStartWith('error: --allow "https://npmjs.org/": ');
  expect(bad.err).toContain("write npmjs.org");
  const several = [
    "--allow",
    "ok.example",
    "--allow",
    "*.com",
    "--deny-host",
    "a b",
    "--groups-off",
    "Gists",
  ];
  for (const argv of [
    ["env", "edit", "web", ...several],
    ["env", "add", "other", ...several],
  ])
    expect((await run(...argv)).err).toMatch(
      /^error: --allow "\*\.com": .+\n--deny-host "a b": .+\n--groups-off "Gists": there is no such group\..+\n$/,
    );
  expect((await run("env", "groups")).out).toContain("  github.com  (inspected, for reading)\n");
});

test("a credential that is written wrongly is refused without being repeated", async () => {
  await expect(editOf({ credential: ["api.example.com s3cret"] })).rejects.toThrow(
    /^A credential is not written as 'HOST HEADER: TEMPLATE'\.$/,
  );
  await expect(editOf({ secret: ["s3cret-value"] })).rejects.toThrow(
    /^A value of --secret is given without a name\.$/,
  );
});
