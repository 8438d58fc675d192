import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTeleportWorld, type Machine, type TeleportWorld } from "../fixtures/teleport-world.ts";

/**
 * Whatever goes wrong with the script that brings a task to a person's machine, and at whichever of its steps: the
 * checkout is as it was, files, index, HEAD, branches and stashes.
 */

setDefaultTimeout(600_000);

let task: TeleportWorld;
let eve: Machine;
let script: string;
let before: string;
const asItWas = () => `${eve.home}-as-it-was`;

beforeAll(async () => {
  task = await createTeleportWorld({ files: { "src/b.txt": "b\n", "gone.txt": "gone\n", "run.sh": "x\n" } });
  await task.turn(
    {
      ...{ "README.md": "hello, changed\n", "src/b.txt": undefined, "new/untracked.txt": "new\n" },
      ...{ "notes.txt": "the task's\n", "large.bin": "x".repeat(3 * 1024 ** 2) },
    },
    '{"type":"user"}\n',
  );
  eve = await task.person();
  // Staged, unstaged, both in one file, removed, untracked with the task's own name, made executable, assumed unchanged.
  writeFileSync(join(eve.checkout, "src/a.txt"), "staged\n");
  await eve.run(
    `git add src/a.txt && echo more >> src/a.txt && rm gone.txt && echo mine > notes.txt && echo 'a b' > 'ü "q".txt' &&
     chmod +x run.sh && echo added > added.txt && git add added.txt && git update-index --assume-unchanged src/b.txt &&
     echo old > ignored.txt && git stash list && git commit -q --allow-empty -m Mine &&
     mkdir stashed && echo s > stashed/s && git stash push -q -u -m earlier -- stashed`,
  );
  renameSync(eve.home, asItWas());
  script = await (await fetch((await task.link()).url)).text();
  // Counts the calls of git, and does at one of them what the test says.
  mkdirSync(join(asItWas(), "bin"));
  writeFileSync(
    join(asItWas(), "bin/git"),
    `#!/bin/sh
n=$(($(cat "$HOME/count" 2>/dev/null || echo 0) + 1))
echo "$n" >"$HOME/count"
echo "$*" >>"$HOME/calls"
[ "$n" = "$FAULT_AT" ] || exec ${Bun.which("git")} "$@"
case $FAULT in
  fails) exit 1 ;;
  before) kill -TERM "$(cat "$HOME/pid")"; exit 1 ;;
  after) ${Bun.which("git")} "$@"; code=$?; kill -TERM "$(cat "$HOME/pid")"; exit $code ;;
  amid | killed)
    ${Bun.which("git")} "$@" &
    sleep 0.00"$((n % 7))"
    [ "$FAULT" = killed ] && kill -KILL $! || kill -TERM $! "$(cat "$HOME/pid")"
    wait $!
    exit $? ;;
esac
`,
    { mode: 0o755 },
  );
  fresh();
  before = await eve.state();
});
afterAll(async () => {
  rmSync(asItWas(), { recursive: true, force: true });
  await task.close();
});

/** The machine as it was at first. */
function fresh(): void {
  rmSync(eve.home, { recursive: true, force: true });
  cpSync(asItWas(), eve.home, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}

const attempt = (shell: string, text: string, env: Record<string, string> = {}, limits = "") => {
  writeFileSync(join(eve.home, "script"), text);
  return eve.run(`${limits} echo $$ >"$HOME/pid"; exec ${shell} "$HOME/script"`, {
    env: { PATH: `${eve.home}/bin:${eve.env["PATH"]}`, ...env },
  });
};

async function untouched(what: string): Promise<void> {
  let state = await eve.state();
  // Children of a git that was killed go on for a moment.
  for (let tries = 0; state !== before && tries < 100; tries++) {
    await Bun.sleep(50);
    state = await eve.state();
  }
  expect(`${what}\n${state}`).toBe(`${what}\n${before}`);
  expect(eve.conversations()).toEqual([]);
}

describe.each([
  ["dash", "fails"],
  ["dash", "before"],
  ["dash", "after"],
  ["bash --posix", "after"],
  ["dash", "amid"],
  ["dash", "killed"],
])("in %s", (shell, fault) => {
  test(`whichever call of git ${fault}, all is done or all is as it was`, async () => {
    fresh();
    expect(await attempt(shell, script)).toMatchObject({ code: 0 });
    const calls = Number(readFileSync(join(eve.home, "count"), "utf8"));
    expect(calls).toBeGreaterThan(25);
    let refused = 0;
    for (let at = 1; at <= calls; at++) {
      fresh();
      const done = await attempt(shell, script, { FAULT: fault, FAULT_AT: String(at) });
      const what = `${fault} at ${at}: ${done.err}`;
      if (done.code === 0) {
        expect(`${what} ${await eve.git("status", "--porcelain", "--untracked-files=all")}`).toContain(
          "new/untracked.txt",
        );
        expect(eve.conversations().length).toBe(5);
        continue;
      }
      refused++;
      expect(what).toMatch(/Nothing of your checkout was changed|Your checkout is as it was/);
      await untouched(what);
    }
    // Which git is killed before it is done is up to the machine.
    expect(refused).toBeGreaterThan(fault === "killed" ? 0 : 15);
  });
});

test("local changes that git cannot look for are not written over", async () => {
  fresh();
  // Nothing but a file of theirs that the task has changed, too.
  await eve.run("git reset -q --hard && git clean -q -f -d && echo mine > README.md");
  const own = await eve.state();
  const checkout = `${eve.home}-own`;
  cpSync(eve.home, checkout, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  try {
    expect(await attempt("dash", script)).toMatchObject({ code: 0 });
    const calls = readFileSync(join(eve.home, "calls"), "utf8").split("\n");
    const at = calls.findIndex((call) => /\bstatus --porcelain /.test(call)) + 1;
    rmSync(eve.home, { recursive: true });
    renameSync(checkout, eve.home);
    const done = await attempt("dash", script, { FAULT: "fails", FAULT_AT: String(at) });
    expect(done.err).toContain("Your local changes could not be looked for.");
    expect(done.code).not.toBe(0);
    expect(await eve.state()).toBe(own);
    expect(readFileSync(join(eve.checkout, "README.md"), "utf8")).toBe("mine\n");
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
});

test("a disk that takes no more leaves all as it was", async () => {
  fresh();
  const done = await attempt("dash", script, {}, "ulimit -f 2048;");
  expect(done.code).not.toBe(0);
  await untouched(done.err);
});

test("no network, and an appliance that goes away", async () => {
  fresh();
  const nowhere = await attempt("dash", script.replaceAll(task.server.url, "http://127.0.0.1:9"));
  expect(nowhere).toMatchObject({ code: 1, err: expect.stringContaining("could not be fetched") });
  await untouched(nowhere.err);
  // It answers for the branch, and for the conversation no longer.
  const half = await attempt("dash", script.replace("teleport/git/session.git", "teleport/git/gone.git"));
  expect(half).toMatchObject({ code: 1, err: expect.stringContaining("conversation could not be fetched") });
  await untouched(half.err);
});

test("half a script does nothing", async () => {
  fresh();
  const { length } = script;
  // Somewhere, and at each letter of the last line, which is the call; the end of the line is not needed.
  const cuts = [0.3, 0.6, 0.9].map((part) => Math.floor(length * part));
  for (let left = 2; left < 45; left++) cuts.push(length - left);
  for (const cut of cuts) {
    await attempt("dash", script.slice(0, cut));
    await untouched(`${length - cut} bytes short`);
  }
});
