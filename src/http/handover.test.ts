import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTeleportWorld, type Machine, type TeleportWorld } from "../../test/fixtures/teleport-world.ts";
import { isId, type TaskId } from "../domain/ids.ts";

/** A conversation that is handed over by the command of the page: real git, curl and shells, and the real routes. */

setDefaultTimeout(180_000);

let world: TeleportWorld;
beforeAll(async () => {
  world = await createTeleportWorld();
});
afterAll(() => world.close());

const newest = "11111111-2222-4333-8444-555555555555";
const older = "aaaaaaaa-2222-4333-8444-555555555555";

/** With two conversations, commits that the repository lacks, and uncommitted work. */
async function workingPerson(): Promise<Machine & { home: string }> {
  const eve = await world.person();
  const home = join(eve.home, ".claude/projects", eve.checkout.replace(/[^A-Za-z0-9]/g, "-"));
  mkdirSync(join(home, newest), { recursive: true });
  writeFileSync(join(home, `${older}.jsonl`), '{"old":1}\n');
  writeFileSync(join(home, `${newest}.jsonl`), '{"new":1}\n');
  writeFileSync(join(home, newest, "more.txt"), "more\n");
  writeFileSync(join(home, "not-a-conversation.jsonl"), "no\n");
  utimesSync(join(home, `${older}.jsonl`), 1, 1);
  await eve.run(
    "echo b > b.txt && git add b.txt && git commit -qm Local && git tag -am t v1 && git config push.followTags true",
  );
  writeFileSync(join(eve.checkout, "src/a.txt"), "changed\n");
  writeFileSync(join(eve.checkout, "untracked.txt"), "untracked\n");
  writeFileSync(join(eve.checkout, "ignored.txt"), "ignored\n");
  await eve.run("echo staged > staged.txt && git add staged.txt");
  return eve;
}

async function link(json: object = {}): Promise<string> {
  const made = await fetch(`${world.server.url}/api/handovers`, {
    method: "POST",
    headers: { authorization: `Bearer ${world.server.token}`, "content-type": "application/json" },
    body: JSON.stringify(json),
  });
  return ((await made.json()) as { command: string }).command;
}

const idIn = (out: string): TaskId => {
  const id = out.trim();
  if (!isId("TaskId", id)) throw new Error(`no task: ${out}`);
  return id;
};
const files = (taskId: TaskId, place: 0 | "session", commit: string) =>
  world.world.git(
    world.world.snapshots.folderOf(taskId, place) ?? "",
    "ls-tree",
    "-r",
    "--name-only",
    commit,
  );

describe.each(["dash", "bash --posix"])("in %s", (shell) => {
  test("files, commits and conversation become a task, and nothing of the checkout changes", async () => {
    const eve = await workingPerson();
    const before = await eve.state();
    const done = await eve.run((await link()).replace(/sh$/, `${shell} -s -- "Add a test; \\$HOME 'x'"`));
    expect(done).toMatchObject({ code: 0, err: expect.stringContaining(`conversation ${newest}`) });
    const id = idIn(done.out);
    const task = world.server.store.tasks.get(id);
    expect(task).toMatchObject({
      title: "Add a test; $HOME 'x'",
      state: { kind: "queued" },
      repositories: [{ name: "demo", baseBranch: "main" }],
      restore: { taskId: id, turn: 1 },
      person: { name: "ada" },
    });
    const [snapshot] = world.server.store.snapshots.list(id);
    const { commit = "", head = "" } = snapshot?.repositories[0] ?? {};
    expect(head).toBe(await eve.git("rev-parse", "HEAD"));
    expect((await files(id, 0, commit)).split("\n")).toEqual([
      ".gitignore",
      "README.md",
      "b.txt",
      "src/a.txt",
      "staged.txt",
      "untracked.txt",
    ]);
    expect((await files(id, "session", snapshot?.session ?? "")).split("\n")).toEqual([
      `conversation/${newest}.jsonl`,
      `conversation/${newest}/more.txt`,
    ]);
    expect(world.server.store.events.last(id, "handed_over")?.body).toMatchObject({
      person: "ada",
      repository: "demo",
    });
    expect(await eve.state()).toBe(before);
    expect(
      (await eve.run("git fsck --unreachable --no-reflogs 2>/dev/null | grep -c commit")).out.trim(),
    ).toBe("0");
  });
});

test("one command makes one task, however often its answer is asked for", async () => {
  const eve = await workingPerson();
  const command = await link();
  const first = await eve.run(`${command} -s -- --session ${older}`);
  const again = await eve.run(`${command} -s -- --session ${older}`);
  expect(first.code).toBe(0);
  expect(again.code).toBe(1);
  expect(world.server.store.tasks.get(idIn(first.out))?.title).toBe("Go on with main");
});

test("what cannot be handed over says why: no conversation, no such repository, another history", async () => {
  const eve = await world.person();
  expect((await eve.run(await link())).err).toContain("There is no conversation of");
  const other = await eve.run(`${await link()} -s -- --no-session --repo nothing`);
  expect(other).toMatchObject({ code: 1, err: expect.stringContaining("no repository nothing") });
  await eve.git("remote", "remove", "origin");
  const unknown = await eve.run(`${await link()} -s -- --no-session`);
  expect(unknown.err).toContain("knows no repository with a remote of this checkout");
  const stranger = join(eve.home, "stranger");
  await eve.run(`git init -q ${stranger} && cd ${stranger} && echo x > x && git add x && git commit -qm x`);
  const before = world.server.store.tasks.list({ limit: 100 }).length;
  const wrong = await eve.run(`${await link()} -s -- --no-session --repo demo`, { cwd: stranger });
  expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("no commit in common with main") });
  expect(world.server.store.tasks.list({ limit: 100 }).length).toBe(before);
});

test("files alone can be handed over, and with a personal token", async () => {
  const eve = await workingPerson();
  const done = await eve.run(
    `curl -fsSL -H "Authorization: Bearer ${world.server.token}" '${world.server.url}/handover' | sh -s -- --no-session Go`,
  );
  expect(done.code).toBe(0);
  expect(world.server.store.snapshots.list(idIn(done.out))).toMatchObject([{ session: "" }]);
});

test("a command that there can be none of, and one that is over, say why where they are pasted", async () => {
  const eve = await workingPerson();
  const { token, url } = world.server;
  const pasted = (address: string) =>
    eve.run(`curl -fsSL -H "Authorization: Bearer ${token}" '${url}${address}' | sh -s -- "Go on"`);
  for (const [address, words] of [
    ["/handover?environment=moon", "There is no environment moon."],
    ["/handover?model=%20", "That is not a model's name"],
    ["/handover/ccwt_over", "good no longer"],
  ] as const)
    expect(await pasted(address)).toMatchObject({ code: 1, out: "", err: expect.stringContaining(words) });
});

test("what is no conversation, and links out of it, are stored as they are and followed by nobody", async () => {
  const eve = await workingPerson();
  const home = join(eve.home, ".claude/projects", eve.checkout.replace(/[^A-Za-z0-9]/g, "-"));
  writeFileSync(
    join(home, `${newest}.jsonl`),
    Uint8Array.from({ length: 1000 }, (_, at) => at % 256),
  );
  symlinkSync("/etc/passwd", join(home, newest, "link"));
  const done = await eve.run(await link());
  expect(done.code).toBe(0);
  const id = idIn(done.out);
  const session = world.server.store.snapshots.list(id)[0]?.session ?? "";
  expect(
    await world.world.git(
      world.world.snapshots.folderOf(id, "session") ?? "",
      "ls-tree",
      session,
      `conversation/${newest}/link`,
    ),
  ).toStartWith("120000");
});

test("a ticket pushes to one place alone, and new snapshots only", async () => {
  const eve = await workingPerson();
  const token = /handover\/([^']+)'/.exec(await link())?.[1] ?? "";
  const base = `${world.server.url}/handover/git`;
  const header = `-c push.followTags=false -c http.extraHeader="Authorization: Bearer ${token}"`;
  const begin = () =>
    fetch(`${world.server.url}/handover/begin`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: "repository demo\nbranch x\n",
    });
  expect((await eve.run(`git ${header} push ${base}/0.git HEAD:refs/ccw/snapshots/a`)).code).not.toBe(0);
  expect((await begin()).status).toBe(200);
  for (const ref of ["refs/heads/main", "refs/ccw/snapshots/../x", "refs/ccw/snapshots/a-b"])
    expect((await eve.run(`git ${header} push ${base}/0.git HEAD:${ref}`)).code).not.toBe(0);
  expect((await eve.run(`git ${header} push ${base}/1.git HEAD:refs/ccw/snapshots/a`)).code).not.toBe(0);
  expect((await eve.run(`git ${header} ls-remote ${base}/0.git`)).code).not.toBe(0);
  expect((await eve.run(`git ${header} push ${base}/0.git HEAD:refs/ccw/snapshots/a`)).code).toBe(0);
  expect((await eve.run(`git ${header} push ${base}/0.git :refs/ccw/snapshots/a`)).code).not.toBe(0);
  const missing = "1".repeat(40);
  const finish = await fetch(`${world.server.url}/handover/finish?work=${missing}&head=${missing}&session=`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: "",
  });
  expect(await finish.text()).toContain("Not all that was to be handed over has arrived");
});
