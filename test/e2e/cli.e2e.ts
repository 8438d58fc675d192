import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EgressEntry } from "../../src/domain/egress.ts";
import { newId, type SandboxId, type TaskId } from "../../src/domain/ids.ts";
import type { TaskJson } from "../../src/http/task-schemas.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { until } from "../until.ts";
import { executable } from "./appliance.ts";

/** The compiled command line against the real HTTP side, from a folder that has nothing else in it. */

let server: AppServer;
let folder: string;
let program: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ccw-cli-e2e-"));
  program = join(folder, "ccw-server");
  copyFileSync(executable, program);
  server = startAppServer({ branches: { demo: ["main", "develop", "claude/pushed"] } });
}, 600_000);

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  code: number;
  out: string;
  err: string;
}

function spawn(argv: string[], input = "", env: Record<string, string> = {}) {
  return Bun.spawn([program, ...argv], {
    cwd: folder,
    env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", CCW_DATA: server.dataFolder, ...env },
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(argv: string[], input = "", env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(argv, input, env);
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, out, err };
}

async function submit(prompt: string): Promise<TaskId> {
  const { code, out } = await run(["task", "create", "--repo", "demo", prompt]);
  expect(code).toBe(0);
  return out.trim() as TaskId;
}

/** Takes a task as the scheduler does, and is its guest. */
function claim(id: TaskId) {
  let sandboxId: SandboxId;
  // Others may wait before it: the queue is taken in order.
  for (;;) {
    sandboxId = newId("SandboxId", server.ids);
    const task = server.store.tasks.claim({ owner: "test", until: 9e15 }, sandboxId, 100);
    if (task === undefined || task.id === id) break;
    server.store.tasks.move(task.id, { kind: "cancelled", by: "test" });
  }
  server.store.tasks.move(id, { kind: "running", sandboxId });
  return sandboxId;
}

function say(sandboxId: SandboxId, n: number, text: string): void {
  server.store.sandboxes.appendEvents(sandboxId, [
    { n, event: { kind: "assistant_text", blockId: `b${n}`, text } },
  ]);
}

function complete(id: TaskId, sandboxId: SandboxId): void {
  const summary = "All done.";
  server.store.tasks.move(id, { kind: "idle", sandboxId, summary, interrupted: false });
  server.store.tasks.move(id, { kind: "completed", summary });
}

test("a task is submitted, listed and shown; ids go to standard output alone", async () => {
  const made = await run(["task", "create", "--repo", "demo@develop", "Fix", "the", "test"]);
  expect(made.code).toBe(0);
  expect(made.out).toMatch(/^tsk_[0-9a-z]{20}\n$/);
  expect(made.err).toContain("Submitted “Fix the test”");

  const list: TaskJson[] = JSON.parse((await run(["task", "list", "--json"])).out);
  expect(list[0]).toMatchObject({
    id: made.out.trim(),
    title: "Fix the test",
    person: "ada",
    state: "queued",
  });
  expect(list[0]?.repositories[0]?.baseBranch).toBe("develop");

  const shown = await run(["task", "show", made.out.trim().slice(-6)]);
  expect(shown.out).toContain(`Task         ${made.out.trim()}`);
  expect(JSON.parse((await run(["task", "show", "last", "--json"])).out).task.id).toBe(made.out.trim());
});

test("bad input is refused with a reason, an exit code and nothing on standard output", async () => {
  const cases: [argv: string[], input: string, code: number, words: string][] = [
    [["task", "create", "--repo", "nope", "x"], "", 3, 'no repository named "nope"'],
    [["task", "create", "--repo", "demo@gone", "x"], "", 3, "has no branch gone"],
    [["task", "create", "--repo", "demo@a..b", "x"], "", 2, "not a branch name"],
    [["task", "create", "--repo", "demo@a b", "x"], "", 2, "not a branch name"],
    [["task", "create", "--env", "nope", "x"], "", 3, "no environment named"],
    [["task", "create", "--repo", "demo"], "", 2, "The prompt is empty"],
    [["task", "create", "--repo", "demo"], "a".repeat(10 * 1024 * 1024), 2, "over 1 MiB"],
    [["task", "show", "nothing"], "", 3, "There is no task"],
    [["env", "add", "Bad Name"], "", 2, "An environment's name"],
    [["env", "add", "default"], "", 4, "There is an environment named default already"],
    [["env", "edit", "default"], "", 2, "Nothing is to be changed"],
    [["repo", "add", "../x"], "", 2, "cannot be a repository's name"],
    [["token", "revoke", "tok_x"], "", 3, "no such token"],
  ];
  for (const [argv, input, code, words] of cases) {
    const ended = await run(argv, input);
    expect({ argv, code: ended.code, out: ended.out }).toEqual({ argv, code, out: "" });
    expect(ended.err).toStartWith("error: ");
    expect(ended.err).toContain(words);
    expect(ended.err).not.toContain("    at ");
  }
});

test("a task is followed live to its end, and the exit code tells how it ended", async () => {
  const id = await submit("follow me");
  const child = spawn(["task", "follow", id], "", { HTTP_PROXY: "http://127.0.0.1:9" });
  const sandboxId = claim(id);
  say(sandboxId, 1, "I begin.\x1b[2J\u202e");
  await Bun.sleep(600);
  say(sandboxId, 2, "I end.");
  complete(id, sandboxId);
  const out = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  expect(out).toContain("I begin.␛[2J<U+202E>");
  expect(out.indexOf("I begin.")).toBeLessThan(out.indexOf("I end."));
  expect(out).toEndWith("= Completed: All done.\n");
  expect(out).not.toContain("\x1b");

  const again = await run(["task", "follow", id, "--json"]);
  expect(again.code).toBe(0);
  const events = again.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events.at(-1).body).toMatchObject({ kind: "state", state: "completed" });
  const seqs: number[] = events.map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  const rest = await run(["task", "follow", id, "--json", "--after", String(seqs.at(-2))]);
  expect(rest.out.trimEnd().split("\n")).toHaveLength(1);
}, 600_000);

test("a failed and a cancelled task are told apart by the exit code", async () => {
  const failed = await submit("fail");
  claim(failed);
  server.store.tasks.move(failed, { kind: "failed", reason: "It broke.", hint: "Mend it." });
  expect((await run(["task", "follow", failed])).code).toBe(1);

  const cancelled = await submit("cancel");
  expect((await run(["task", "cancel", "last"])).code).toBe(0);
  expect((await run(["task", "follow", cancelled])).code).toBe(6);
  expect((await run(["task", "cancel", cancelled])).code).toBe(4);
});

test("following goes on where it was when the server comes back", async () => {
  const id = await submit("outlive the server");
  const sandboxId = claim(id);
  const child = spawn(["task", "follow", id]);
  say(sandboxId, 1, "before");
  const said = told(child);
  await until("it follows", () => said.text.includes("before"));
  await server.stop();
  say(sandboxId, 2, "meanwhile");
  await Bun.sleep(300);
  server.start();
  say(sandboxId, 3, "after");
  complete(id, sandboxId);
  expect(await child.exited).toBe(0);
  await said.over;
  for (const word of ["before", "meanwhile", "after"]) expect(said.text.split(`${word}\n`)).toHaveLength(2);
}, 600_000);

test("an interrupted follow leaves the task alone and says how to go on", async () => {
  const id = await submit("interrupt me");
  const sandboxId = claim(id);
  const child = spawn(["task", "follow", id]);
  say(sandboxId, 1, "at work");
  const said = told(child);
  await until("it follows", () => said.text.includes("at work"));
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(await new Response(child.stderr).text()).toMatch(/goes on.*task follow \w{6} --after \d+/);
  expect(server.store.tasks.get(id)?.state.kind).toBe("running");
  complete(id, sandboxId);
});

test("a long transcript goes whole through a slow pipe, and `head` ends it without a word", async () => {
  const id = await submit("write much");
  const sandboxId = claim(id);
  for (let n = 1; n <= 1500; n++) say(sandboxId, n, `block ${n} ${"x".repeat(1000)}`);
  complete(id, sandboxId);
  const { stdout } = Bun.spawn(
    ["sh", "-c", `"${program}" task follow ${id} | (sleep 0.5; cat) | grep -c '^block'`],
    { cwd: folder, env: { PATH: "/usr/bin:/bin", CCW_DATA: server.dataFolder } },
  );
  expect((await new Response(stdout).text()).trim()).toBe("1500");
  const cut = Bun.spawn(["sh", "-c", `"${program}" task follow ${id} | head -n 3`], {
    cwd: folder,
    env: { PATH: "/usr/bin:/bin", CCW_DATA: server.dataFolder },
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await cut.exited).toBe(0);
  expect((await new Response(cut.stdout).text()).split("\n")).toHaveLength(4);
  expect(await new Response(cut.stderr).text()).toBe("");
}, 600_000);

test("a question is shown and answered; a prompt and an interruption reach the task", async () => {
  const id = await submit("ask me");
  const sandboxId = claim(id);
  server.store.sandboxes.appendEvents(sandboxId, [
    {
      n: 1,
      event: {
        kind: "question",
        requestId: "q1",
        tool: "AskUserQuestion",
        input: { questions: [{ question: "Which?", options: [{ label: "One" }, { label: "Two" }] }] },
      },
    },
  ]);
  server.store.tasks.move(id, { kind: "waiting", sandboxId, requestId: "q1" });
  expect((await run(["task", "show", id])).out).toContain("? Which?\n    1. One\n    2. Two");
  const wrong = await run(["task", "answer", id, "9"]);
  expect(wrong.code).toBe(2);
  expect(wrong.err).toContain("2. Two");
  expect((await run(["task", "answer", id, "2"])).code).toBe(0);
  expect(server.store.events.last(id, "answered")?.body).toMatchObject({
    person: "ada",
    answer: { behavior: "allow", updatedInput: { answers: { "Which?": "Two" } } },
  });
  expect((await run(["task", "prompt", id], "and then this")).code).toBe(0);
  expect(server.store.prompts.list(id).at(-1)?.text).toBe("and then this");
  expect((await run(["task", "interrupt", id])).code).toBe(0);
  complete(id, sandboxId);
  // A task that has ended goes on with the next prompt.
  expect((await run(["task", "prompt", id, "and one more"])).code).toBe(0);
  expect(server.store.tasks.get(id)?.state.kind).toBe("queued");
});

test("an environment's variables come from files and go out by name alone", async () => {
  writeFileSync(join(folder, "vars.env"), 'TOKEN="s3cret value"\n');
  const made = await run([
    "env",
    "add",
    "node",
    "--vars-file",
    "vars.env",
    "--var",
    "A=1",
    "--memory",
    "2GiB",
  ]);
  expect(made.code).toBe(0);
  expect(server.store.environments.get("node")?.variables).toEqual({ TOKEN: "s3cret value", A: "1" });
  const shown = await run(["env", "show", "node"]);
  expect(shown.out).toContain("A, TOKEN");
  expect(shown.out).toContain("2GiB");
  expect((await run(["env", "edit", "node", "--unset", "A", "--cpus", "0.5"])).code).toBe(0);
  expect(server.store.environments.get("node")).toMatchObject({
    variables: { TOKEN: "s3cret value" },
    limits: { cpus: 0.5, memoryBytes: 2 * 1024 ** 3 },
  });
  expect(`${shown.out}${(await run(["env", "list", "--json"])).out}`).not.toContain("s3cret");
});

test("an environment's secrets are piped in, and stand in no shell history", async () => {
  const made = await run(
    [
      ...["env", "add", "api", "--access", "limited", "--secrets-file", "-"],
      ...["--credential", `api.example.com Authorization: Bearer \${API_KEY}`],
    ],
    "API_KEY=s3cret-value\n",
  );
  expect([made.code, made.err]).toEqual([0, "Added api.\n"]);
  expect(server.store.environments.get("api")?.secrets).toEqual({ API_KEY: "s3cret-value" });
  expect((await run(["env", "show", "api"])).out).not.toContain("s3cret");
});

test("the ledger is followed until one has seen enough", async () => {
  const child = spawn(["egress", "tail", "--follow"]);
  const entry: EgressEntry = {
    taskId: newId("TaskId", server.ids),
    sandboxId: newId("SandboxId", server.ids),
    at: Date.now(),
    kind: "tunnel",
    host: "a.example",
    port: 443,
    method: "CONNECT",
    path: "",
    address: "192.0.2.1",
    verdict: "allowed",
    reason: "a.example (environment)",
    status: 200,
    bytesUp: 1,
    bytesDown: 2,
    ms: 3,
  };
  const reader = child.stdout.getReader();
  let seen = "";
  for (const host of ["first.example", "second.example"]) {
    server.store.egress.ledger.open({ ...entry, host })(entry);
    while (!seen.includes(`CONNECT ${host}:443 200`)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`it ended: ${seen}`);
      seen += new TextDecoder().decode(value);
    }
  }
  child.kill("SIGINT");
  await child.exited;
  expect(seen.trimEnd().split("\n")).toHaveLength(2);
}, 600_000);

test("a token that is made works from another machine, and not after it is revoked", async () => {
  const secret = (await run(["token", "add", "laptop", "--person", "grace"])).out.trim();
  const remote = { CCW_DATA: "/nonexistent", CCW_URL: server.url, CCW_TOKEN: secret };
  expect((await run(["status"], "", remote)).out).toContain("You     grace");
  const tokens: { id: string; name: string }[] = JSON.parse((await run(["token", "list", "--json"])).out);
  const id = tokens.find(({ name }) => name === "laptop")?.id ?? "";
  expect((await run(["token", "revoke", id])).code).toBe(0);
  expect((await run(["status"], "", remote)).code).toBe(5);
  expect((await run(["link"])).out).toMatch(/^http.*\/sign-in\?token=/);
});

test("a server that is not there is told from one that refuses", async () => {
  expect((await run(["status"], "", { CCW_DATA: "/nonexistent" })).code).toBe(69);
  const gone = await run(["status"], "", { CCW_URL: "http://127.0.0.1:9", CCW_TOKEN: "x" });
  expect(gone.code).toBe(69);
  expect(gone.err).toContain("No ccw-server answers at http://127.0.0.1:9.");
  expect((await run(["status"], "", { CCW_URL: server.url, CCW_TOKEN: "wrong" })).code).toBe(5);
});

test("bash completes commands, options, tasks and names", async () => {
  const id = await submit("complete me");
  const complete = async (...words: string[]) => {
    const script = `
      source <("$0" completion bash)
      COMP_WORDS=("$0" "$@"); COMP_CWORD=$#
      _ccw_server_complete
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const child = Bun.spawn(["bash", "-c", script, program, ...words], {
      cwd: folder,
      env: { PATH: "/usr/bin:/bin", CCW_DATA: server.dataFolder },
    });
    return (await new Response(child.stdout).text()).trimEnd().split("\n");
  };
  expect(await complete("task", "fol")).toEqual(["follow"]);
  expect(await complete("task", "create", "--fo")).toEqual(["--follow"]);
  expect(await complete("task", "create", "--repo", "de")).toEqual(["demo"]);
  expect(await complete("task", "follow", "")).toEqual(expect.arrayContaining(["last", id.slice(-6)]));
});

test("a .env file in the folder is not obeyed", async () => {
  const place = join(folder, "trap");
  mkdirSync(place);
  writeFileSync(join(place, ".env"), "CCW_URL=http://127.0.0.1:9\nCCW_TOKEN=x\n");
  const child = Bun.spawn([program, "status"], {
    cwd: place,
    env: { PATH: "/usr/bin:/bin", CCW_DATA: server.dataFolder },
  });
  expect(await child.exited).toBe(0);
});

test("doctor says what a machine lacks and how to mend it, and fails; so do the commands that need it", async () => {
  const bare = { PATH: "/nowhere", CCW_ENGINE_SOCKET: "/nowhere/engine.sock" };
  const { code, out } = await run(["doctor"], "", bare);
  expect(code).toBe(1);
  expect(out).toContain(
    "FAILED   container engine: No container engine answers (/nowhere/engine.sock: not there)",
  );
  expect(out).toContain("FAILED   git: not installed");
  expect(out).toContain("apt-get install -y git");
  const checks = JSON.parse((await run(["doctor", "--json"], "", bare)).out) as {
    name: string;
    status: string;
  }[];
  expect(checks).toContainEqual(expect.objectContaining({ name: "git", status: "failed" }));
  const list = await run(["image", "list"], "", bare);
  expect(list.code).toBe(69);
  expect(list.err).toStartWith("error: No container engine answers");
});

/** What it has printed so far. */
function told(child: { stdout: ReadableStream<Uint8Array> }): { text: string; over: Promise<void> } {
  const said = { text: "", over: Promise.resolve() };
  const decoder = new TextDecoder();
  said.over = (async () => {
    for await (const chunk of child.stdout) said.text += decoder.decode(chunk, { stream: true });
  })();
  return said;
}
