import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTeleportWorld, type TeleportWorld } from "../../test/fixtures/teleport-world.ts";

/** The command as a person pastes it: real git, curl and shells against the real routes. */

setDefaultTimeout(180_000);

let task: TeleportWorld;
beforeAll(async () => {
  task = await createTeleportWorld();
});
afterAll(() => task.close());

const shells = ["dash", "bash --posix"].filter((name) => Bun.which(name.replace(/ .*/, "")) !== null);
const through = (command: string, shell: string) => command.replace(/sh$/, shell);
const folderOf = (path: string) => path.replace(/[^A-Za-z0-9]/g, "-");

describe.each(shells)("in %s", (shell) => {
  test("branch, uncommitted and untracked files, and the conversation are there; local changes are stashed", async () => {
    const eve = await task.person();
    writeFileSync(join(eve.checkout, "src/a.txt"), "mine\n");
    writeFileSync(join(eve.checkout, "mine.txt"), "mine, too\n");
    writeFileSync(join(eve.checkout, "ignored.txt"), "ignored\n");
    const { command } = await task.link();
    const done = await eve.run(through(command, shell));
    expect(done.err).toContain("git checkout 'main' && git stash pop --index");
    expect(done).toMatchObject({ code: 0, out: `claude --resume ${task.session}\n` });
    expect(await eve.git("symbolic-ref", "HEAD")).toBe(`refs/heads/${task.branch}`);
    expect(await eve.git("log", "--format=%s")).toBe("Work\nFirst");
    expect(await eve.git("status", "--porcelain")).toBe("M README.md\n?? new/".replace("M", " M"));
    expect(readFileSync(join(eve.checkout, "README.md"), "utf8")).toBe("hello, changed\n");
    expect(readFileSync(join(eve.checkout, "ignored.txt"), "utf8")).toBe("ignored\n");
    expect(existsSync(join(eve.checkout, "mine.txt"))).toBe(false);
    const home = folderOf(eve.checkout);
    expect(eve.conversations().sort()).toEqual(
      [
        home,
        `${home}/${task.session}`,
        `${home}/${task.session}.jsonl`,
        `${home}/${task.session}/tool-results`,
        `${home}/${task.session}/tool-results/x.txt`,
      ].sort(),
    );
    await eve.run("git stash -uq; git checkout -q main && git stash drop -q");
    expect((await eve.run("git stash pop -q --index; cat src/a.txt mine.txt")).out).toBe("mine\nmine, too\n");
    expect(await eve.run("ls -A tmp", { cwd: eve.home })).toMatchObject({ out: "" });
  });

  test("in the wrong place it says so, and nothing changes", async () => {
    const eve = await task.person();
    const { command } = await task.link();
    const nowhere = await eve.run(through(command, shell), { cwd: eve.home });
    expect(nowhere.code).toBe(1);
    expect(nowhere.err).toContain("is not in a checkout of a git repository");
    expect(nowhere.err).toContain(`git clone ${task.server.url}/git/demo.git`);
    const other = join(eve.home, "other");
    await eve.run(`git init -q ${other} && cd ${other} && git commit -q --allow-empty -m x`);
    const wrong = await eve.run(through(command, shell), { cwd: other });
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain("is a checkout of another repository");
    expect(eve.conversations()).toEqual([]);
  });
});

test("a checkout without a remote is known by its first commit, and a folder below it will do", async () => {
  const eve = await task.person();
  await eve.git("remote", "remove", "origin");
  const { command } = await task.link();
  const done = await eve.run(command, { cwd: join(eve.checkout, "src") });
  expect(done).toMatchObject({ code: 0, out: `cd '${eve.checkout}' && claude --resume ${task.session}\n` });
});

test("a branch with other commits, and a conversation that went on, stay what they are", async () => {
  const eve = await task.person();
  expect((await eve.run((await task.link()).command)).code).toBe(0);
  await eve.run("git add -A && git commit -qm Mine");
  const mine = await eve.git("rev-parse", task.branch);
  const file = join(eve.home, ".claude/projects", folderOf(eve.checkout), `${task.session}.jsonl`);
  writeFileSync(file, "went on\n");
  const again = await eve.run((await task.link()).command);
  expect(again.code).toBe(0);
  expect(await eve.git("rev-parse", task.branch)).toBe(mine);
  expect(await eve.git("symbolic-ref", "--short", "HEAD")).toBe(`${task.branch}-2`);
  expect(readFileSync(file, "utf8")).toBe("went on\n");
  const [, resumed = ""] = /--resume (\S+)/.exec(again.out) ?? [];
  expect(resumed).not.toBe(task.session);
  expect(readFileSync(file.replace(task.session, resumed), "utf8")).toBe('{"type":"user"}\n');
});

test("a file that git ignores and the task has is overwritten by nothing", async () => {
  const eve = await task.person();
  writeFileSync(join(eve.checkout, ".git/info/exclude"), "new\n");
  mkdirSync(join(eve.checkout, "new"));
  writeFileSync(join(eve.checkout, "new/untracked.txt"), "precious\n");
  writeFileSync(join(eve.checkout, "src/a.txt"), "mine\n");
  const before = await eve.state();
  const done = await eve.run((await task.link()).command);
  expect(done.code).toBe(1);
  expect(done.err).toContain("new/untracked.txt");
  expect(await eve.state()).toBe(before);
  expect(eve.conversations()).toEqual([]);
});

test("work that was committed after the last turn is not uncommitted again", async () => {
  const world = await createTeleportWorld();
  try {
    await world.world.git(world.world.work, "commit", "-qm", "Rest");
    await world.world.git(
      world.world.work,
      "push",
      "-q",
      world.world.hosted,
      `HEAD:refs/heads/${world.branch}`,
    );
    const eve = await world.person();
    expect((await eve.run((await world.link()).command)).code).toBe(0);
    expect(await eve.git("status", "--porcelain")).toBe("");
    expect(await eve.git("log", "--format=%s")).toBe("Rest\nWork\nFirst");
  } finally {
    await world.close();
  }
});

test("the ticket fetches this task's work and nothing else, for a while, and it is written down", async () => {
  const eve = await task.person();
  const { url, command } = await task.link();
  const token = url.split("/").at(-1) ?? "";
  const script = await fetch(url);
  expect(script.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(script.headers.get("cache-control")).toBe("no-store");
  expect((await script.text()).length).toBeLessThan(40_000);
  const header = `-c http.extraHeader="Authorization: Bearer ${token}"`;
  const base = `${task.server.url}/teleport/git`;
  const refs = await eve.run(`git ${header} ls-remote ${base}/0.git`);
  expect(refs.out.match(/refs\S+/g)).toEqual([`refs/ccw/files`, `refs/heads/${task.branch}`]);
  // A commit that is in the repository behind it, and that none of these reach.
  const secret = await task.world.git(
    task.world.hosted,
    ...[
      "commit-tree",
      "-m",
      "secret",
      `${await task.world.git(task.world.hosted, "rev-parse", "main^{tree}")}`,
    ],
  );
  const asked = await eve.run(`git ${header} fetch ${base}/0.git ${secret}`);
  expect(asked.code).not.toBe(0);
  const asked2 = await eve.run(`git ${header} -c protocol.version=2 fetch ${base}/0.git ${secret}`);
  expect(asked2.err).toMatch(/not our ref|unadvertised|not permitted/i);
  expect((await eve.run(`git ${header} push ${base}/0.git HEAD:refs/heads/x`)).code).not.toBe(0);
  expect((await eve.run(`git ls-remote ${base}/0.git`, { env: { GIT_TERMINAL_PROMPT: "0" } })).code).not.toBe(
    0,
  );
  for (const path of ["/api/tasks", "/git/demo.git/info/refs?service=git-upload-pack"]) {
    const refused = await fetch(`${task.server.url}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(refused.status).toBe(401);
  }
  expect(task.server.store.events.last(task.taskId, "teleported")?.body).toMatchObject({ person: "ada" });
  const ticket = task.server.store.tickets.find(token);
  if (ticket === undefined) throw new Error("no ticket");
  task.server.store.tickets.update(ticket.id, { expiresAt: Date.now() - 1 });
  // As it was pasted: with -f, curl hands on no answer that has the status of an error.
  expect(await eve.run(command)).toMatchObject({
    code: 1,
    err: expect.stringContaining("no longer"),
  });
  expect((await eve.run(`git ${header} ls-remote ${base}/0.git`)).code).not.toBe(0);
});

test("names that would mean something to a shell mean nothing", async () => {
  const hostile = "x'; touch PWNED; echo '\"$(touch PWNED)`touch PWNED`\n\x1b[31mred $HOME";
  const world = await createTeleportWorld({ title: hostile, branch: "claude/$(touch_PWNED)`a`'b\";c" });
  try {
    const eve = await world.person();
    const { command, url } = await world.link();
    const done = await eve.run(command);
    expect(done).toMatchObject({ code: 0 });
    expect(await eve.git("symbolic-ref", "--short", "HEAD")).toBe(world.branch);
    expect(existsSync(join(eve.checkout, "PWNED"))).toBe(false);
    expect(done.err).not.toContain("\x1b");
    expect(await (await fetch(url)).text()).not.toContain("\x1b");
  } finally {
    await world.close();
  }
});

test("on a terminal the agent CLI is started, and reads from it", async () => {
  if (Bun.which("script") === null) return console.log("script is not installed: not tried");
  const eve = await task.person();
  mkdirSync(join(eve.home, "bin"));
  const claude = '#!/bin/sh\necho "started: $* in $PWD"\n[ -t 0 ] && [ -t 1 ] && echo "with a terminal"\n';
  writeFileSync(join(eve.home, "bin/claude"), claude, { mode: 0o755 });
  writeFileSync(join(eve.home, "line"), (await task.link()).command);
  const done = await eve.run(`script -qec 'sh "$HOME/line"' /dev/null </dev/null`, {
    env: { PATH: `${join(eve.home, "bin")}:${eve.env["PATH"]}` },
  });
  expect(done.out).toContain(`started: --resume ${task.session} in ${eve.checkout}`);
  expect(done.out).toContain("with a terminal");
  expect((await eve.run("ls tmp", { cwd: eve.home })).out).toBe("");
});

test("the scripts are clean to shellcheck", async () => {
  if (Bun.which("shellcheck") === null) return console.log("shellcheck is not installed: not checked");
  const { url } = await task.link();
  const script = join(task.world.folder, "script.sh");
  for (const from of [url, await handoverUrl()]) {
    await Bun.write(script, await (await fetch(from)).text());
    const checked = Bun.spawnSync(["shellcheck", "-s", "sh", "-e", "SC2034,SC2015,SC2317", script]);
    expect(checked.stdout.toString()).toBe("");
  }
});

async function handoverUrl(): Promise<string> {
  const made = await fetch(`${task.server.url}/api/handovers`, {
    method: "POST",
    headers: { authorization: `Bearer ${task.server.token}`, "content-type": "application/json" },
    body: "{}",
  });
  return ((await made.json()) as { url: string }).url;
}
