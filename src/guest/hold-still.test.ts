import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../test/until.ts";
import { createAcp } from "./agents/acp.ts";
import { writeRecord } from "./agents/acp-record.ts";
import { createRunGit } from "./git-process.ts";
import { holdStill } from "./hold-still.ts";
import { type Child, createProcesses, readStat } from "./processes.ts";
import { type SessionFiles, sessionTree } from "./session-files.ts";

let folder = "";
let children: Child[] = [];
const processes = createProcesses();
const git = createRunGit(processes);
const env = () => ({ PATH: process.env["PATH"] ?? "", HOME: folder });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ccw-hold-"));
  children = [];
});
afterEach(async () => {
  for (const child of children) processes.killTree(child.pid);
  await Promise.all(children.map(({ exited }) => exited));
  rmSync(folder, { recursive: true, force: true });
});
function start(...command: string[]): Child {
  const child = processes.spawn(command, { cwd: folder, env: env() });
  children.push(child);
  return child;
}
const sizeOf = (name: string) => (existsSync(join(folder, name)) ? statSync(join(folder, name)).size : 0);
const isStopped = ({ pid }: Child) => readStat(`/proc/${pid}/stat`).state === "T";

test("a process stands still with all that it starts, and goes on afterwards", async () => {
  // Each round is a process of its own.
  const shell = start(
    "sh",
    "-c",
    "(while :; do sh -c 'echo >> inner'; done) & while :; do sh -c 'echo >> outer'; done",
  );
  await until("both write", () => sizeOf("inner") > 0 && sizeOf("outer") > 0);
  const letGo = await holdStill(shell.pid);
  const sizes = [sizeOf("inner"), sizeOf("outer")];
  await Bun.sleep(100);
  expect([sizeOf("inner"), sizeOf("outer")]).toEqual(sizes);
  letGo();
  await until("both go on", () => sizeOf("inner") > (sizes[0] ?? 0) && sizeOf("outer") > (sizes[1] ?? 0));
});

test("what had been stopped before stays so, and the end of one that stands still is seen", async () => {
  const sleeper = start("sleep", "1000");
  process.kill(sleeper.pid, "SIGSTOP");
  await until("it stands still", () => isStopped(sleeper));
  (await holdStill(sleeper.pid))();
  expect(isStopped(sleeper)).toBe(true);
  const other = start("sleep", "1000");
  const letGo = await holdStill(other.pid);
  other.kill("SIGKILL");
  await other.exited;
  letGo();
  expect(other.signalCode).toBe("SIGKILL");
  (await holdStill(other.pid))();
});

const sessionOf = (hold: () => Promise<() => void>): SessionFiles => ({
  ...{ sandboxId: "sbx_1", gitDir: join(folder, "session.git"), workspace: join(folder, "none") },
  conversation: () => ({ folder, names: ["talk"], hold }),
});
const settings = (signal: AbortSignal) => ({ git, env: env(), ignored: true, leftOut: () => {}, signal });

/** All the time, with its log beside it, which goes into the database again and again. */
const writer = `
  import { Database } from "bun:sqlite";
  const database = new Database("talk/talk.db");
  for (const each of ["journal_mode = WAL", "wal_autocheckpoint = 20", "synchronous = OFF"])
    database.run("PRAGMA " + each);
  database.run("CREATE TABLE said (id INTEGER PRIMARY KEY, name TEXT, words BLOB)");
  database.run("CREATE INDEX names ON said (name)");
  const put = database.query("INSERT OR REPLACE INTO said VALUES (?, ?, randomblob(2000))");
  console.log("ready");
  for (let i = 0; ; i++)
    database.transaction(() => {
      for (let j = 0; j < 5; j++) put.run((i * 7919 + j * 104729) % 800, crypto.randomUUID());
    })();
`;

test("a database that is written all the time is whole in each copy", async () => {
  mkdirSync(join(folder, "talk"));
  const child = start(process.execPath, "-e", writer);
  await child.stdout.getReader().read();
  for (let round = 0; round < 5; round++) {
    const files = sessionOf(() => holdStill(child.pid));
    const found = await sessionTree(files, [], settings(new AbortController().signal));
    const copy = join(folder, `copy-${round}`);
    mkdirSync(copy);
    const { exitCode } = Bun.spawnSync([
      ...["sh", "-c", 'git --git-dir="$1" archive "$2" | tar -x -C "$3"', "sh"],
      ...[found?.gitDir ?? "", found?.tree ?? "", copy],
    ]);
    expect(exitCode).toBe(0);
    const database = new Database(join(copy, "conversation/talk/talk.db"));
    expect(database.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
    database.close();
  }
});

test("an agent is held for its conversation as long as its process lives", async () => {
  const program = { title: "Silent", command: ["sleep", "1000"], variables: {}, conversation: ["talk"] };
  const agent = createAcp(program);
  writeRecord(env(), { sessionId: "s1" });
  mkdirSync(join(folder, "talk"));
  const of = { env: env(), sessionId: "ours" };
  expect(agent.conversation(of)?.hold).toBeUndefined();
  const spawn: typeof processes.spawn = (command) => start(...command);
  const run = agent.start({
    ...{
      processes: { ...processes, spawn },
      cwd: folder,
      env: env(),
      model: "",
      mode: "act",
      sessionId: "ours",
    },
    ...{ instructions: "", trailers: [], lastPromptId: null, unfinished: null },
    ...{ emit: async () => {}, modeChanged: () => {} },
  });
  const [child] = children;
  const letGo = await agent.conversation(of)?.hold?.();
  expect(child !== undefined && isStopped(child)).toBe(true);
  letGo?.();
  await run.kill();
  expect(agent.conversation(of)).toEqual({ folder, names: [".ccw-acp/session.json", "talk"] });
});

test("who is held is let go where the files cannot be read, and where that is broken off", async () => {
  mkdirSync(join(folder, "talk"));
  const child = start("sleep", "1000");
  const broken = new AbortController();
  const files = sessionOf(async () => {
    const letGo = await holdStill(child.pid);
    expect(isStopped(child)).toBe(true);
    broken.abort();
    return letGo;
  });
  await expect(sessionTree(files, [], settings(broken.signal))).rejects.toThrow();
  await until("it goes on", () => !isStopped(child));
});
