import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environmentSchema } from "../../src/domain/environment.ts";
import { newId, type SandboxId, type TaskId } from "../../src/domain/ids.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { useTerminal } from "../fixtures/terminal.ts";
import { until } from "../until.ts";
import { executable } from "./appliance.ts";

/** The compiled terminal view in a real terminal (tmux), in a folder without source, with an empty terminfo. */

let server: AppServer;
let folder: string;
let program: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ccw-tui-e2e-"));
  program = join(folder, "ccw-server");
  copyFileSync(executable, program);
  server = startAppServer({ branches: { demo: ["main", "develop", "claude/pushed"] } });
}, 600_000);

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const { open, tmux, screen, shows } = useTerminal(() => ({
  ...{ program, folder, dataFolder: server.dataFolder },
}));

async function processId(): Promise<number> {
  const shell = (await tmux("list-panes", "-F", "#{pane_pid}")).trim();
  const children = await Bun.file(`/proc/${shell}/task/${shell}/children`).text();
  return Number(children.trim().split(" ")[0]);
}

/** What a shell needs of its terminal: lines, echo, the cursor, the first screen. */
async function isRestored(): Promise<void> {
  await tmux("send-keys", "stty -a", "Enter");
  const text = await shows("icanon");
  expect(text).not.toMatch(/-icanon|-echo /);
  expect(await tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}")).toBe(
    "0 1 0\n",
  );
}

function submit(title: string, person = "ada"): TaskId {
  const id = newId("TaskId", server.ids);
  const environment = server.store.environments.get("default");
  if (environment === undefined) throw new Error("no environment");
  server.store.tasks.create({
    id,
    title,
    person: server.store.people.ensure(person),
    environment,
    agent: "claude",
    model: "",
    repositories: [{ name: "demo", baseBranch: "main", workBranch: "claude/x" }],
    prompt: { id: newId("PromptId", server.ids), text: title },
  });
  return id;
}

function begin(title: string): { id: TaskId; sandboxId: SandboxId } {
  const id = submit(title);
  const sandboxId = newId("SandboxId", server.ids);
  const task = server.store.tasks.claim({ owner: "test", until: 9e15 }, sandboxId, 100);
  if (task?.id !== id) throw new Error("another task was claimed");
  server.store.tasks.move(id, { kind: "running", sandboxId });
  return { id, sandboxId };
}

function end({ id, sandboxId }: { id: TaskId; sandboxId: SandboxId }): void {
  const summary = "It is done.";
  server.store.tasks.move(id, { kind: "idle", sandboxId, summary, interrupted: false });
  server.store.tasks.move(id, { kind: "completed", summary });
}

test("tasks appear by themselves, one is opened and followed live to its end", async () => {
  await open();
  await shows("There are no tasks yet.");
  const task = begin("Look at 世界 ✅ {bold}this{/bold} \x1b[31m");
  await shows("● running");
  await shows("{bold}this{/bold}");
  await tmux("send-keys", "Enter");
  await shows("G end");
  const say = (n: number, kind: "assistant_delta" | "assistant_text", text: string) =>
    server.store.sandboxes.appendEvents(task.sandboxId, [{ n, event: { kind, blockId: "b", text } }]);
  say(1, "assistant_delta", "I am wri");
  await shows("I am wri");
  say(2, "assistant_text", "I am writing ✅ 世界|\x1b[2J\x1b[H");
  const text = await shows("I am writing ✅ 世界|␛[2J␛[H");
  // Nothing else has moved: the header is in its row, the rule is a line.
  expect(text.split("\n")[0]).toStartWith(" ccw-server 9.9.9");
  expect(text.split("\n")[2]).toBe("─".repeat(80));
  end(task);
  await shows("= Completed: It is done.");
  await tmux("send-keys", "q");
  await shows("✓ completed");
  await tmux("send-keys", "q");
  await shows("ended with 0");
  await isRestored();
}, 600_000);

test("a task is cancelled only after a yes", async () => {
  await open();
  const task = submit("Cancel me");
  await shows("Cancel me");
  await tmux("send-keys", "c");
  await shows("Stop “Cancel me”? [y/N]");
  await tmux("send-keys", "n", "Enter");
  await shows("Nothing was stopped.");
  expect(server.store.tasks.get(task)?.state.kind).toBe("queued");
  await tmux("send-keys", "c");
  await shows("[y/N]");
  await tmux("send-keys", "y", "Enter");
  await shows("- cancelled");
  expect(server.store.tasks.get(task)?.state).toEqual({ kind: "cancelled", by: "ada" });
}, 600_000);

test("a task is submitted, asked and answered from the keyboard", async () => {
  await open({ columns: 160, rows: 50 });
  await tmux("send-keys", "n");
  await shows("Repository");
  await tmux("send-keys", "Enter");
  await shows("What is to be done:");
  await tmux("send-keys", "-l", "Mend the tset");
  await tmux("send-keys", "BSpace", "BSpace", "BSpace", "BSpace");
  await tmux("send-keys", "-l", "test, ünd 世界");
  await shows("Mend the test, ünd 世界");
  await tmux("send-keys", "Enter");
  await shows("Submitted as tsk_");
  const [made] = server.store.tasks.list({ limit: 1 });
  expect(made).toMatchObject({ title: "Mend the test, ünd 世界", person: { name: "ada" } });

  const sandboxId = newId("SandboxId", server.ids);
  const claimed = server.store.tasks.claim({ owner: "test", until: 9e15 }, sandboxId, 100);
  if (claimed === undefined || claimed.id !== made?.id) throw new Error("not claimed");
  server.store.tasks.move(claimed.id, { kind: "running", sandboxId });
  const question = { question: "Which?", options: [{ label: "One" }, { label: "Two" }] };
  server.store.sandboxes.appendEvents(sandboxId, [
    {
      n: 1,
      event: { kind: "question", requestId: "q", tool: "AskUserQuestion", input: { questions: [question] } },
    },
  ]);
  server.store.tasks.move(claimed.id, { kind: "waiting", sandboxId, requestId: "q" });
  await shows("? waiting");
  await tmux("send-keys", "a");
  await shows("Which? (1 One, 2 Two, - to decline)");
  await tmux("send-keys", "2", "Enter");
  await shows("Answered.");
  expect(server.store.events.last(claimed.id, "answered")?.body).toMatchObject({
    answer: { updatedInput: { answers: { "Which?": "Two" } } },
  });
  end({ id: claimed.id, sandboxId });
}, 600_000);

test("a refused host is seen at once, and allowed or denied from the keyboard", async () => {
  server.store.environments.save(environmentSchema.parse({ name: "default", access: "limited" }));
  await open();
  const { id, sandboxId } = begin("Install things");
  await shows("Install things");
  server.refuse(id, "one.example");
  await shows("Access asked for to one.example:443: press r");
  await shows("! running");
  await tmux("send-keys", "r");
  await shows("o once  t task  e environment  d deny");
  const stateOf = (host: string) =>
    server.store.access.list({ taskId: id, limit: 10 }).find((request) => request.host === host)?.state;
  await tmux("send-keys", "t");
  await shows("ada allowed it for this task.");
  expect(stateOf("one.example")).toMatchObject({ kind: "granted", scope: "task", person: "ada" });

  // A key held down does not go on to the next host: the selection stays where it was.
  server.refuse(id, "two.example", 8443);
  await shows("two.example:8443");
  await tmux("send-keys", "t", "t", "d");
  await Bun.sleep(300);
  expect(stateOf("two.example")?.kind).toBe("pending");
  await tmux("send-keys", "Up");
  await shows("Nobody has decided yet.");
  await tmux("send-keys", "e");
  await shows("Allow two.example:8443 for every task of the environment default? [y/N]");
  await tmux("send-keys", "n", "Enter");
  await shows("Nothing was allowed.");
  expect(stateOf("two.example")?.kind).toBe("pending");
  await tmux("send-keys", "e");
  await shows("[y/N]");
  await tmux("send-keys", "y", "Enter");
  await shows("ada allowed it for the environment.");
  expect(server.store.environments.get("default")?.egress.allow).toEqual(["two.example port=8443"]);

  server.refuse(id, "three.example");
  await shows("three.example:443");
  await tmux("send-keys", "Home", "d");
  await shows("ada denied it.");
  expect(stateOf("three.example")?.kind).toBe("denied");
  await tmux("send-keys", "q");
  await shows("● running");
  end({ id, sandboxId });
}, 600_000);

test("the window may change its size", async () => {
  await open();
  submit("Stay in sight");
  await shows("Stay in sight");
  await tmux("resize-window", "-x", "160", "-y", "50");
  await shows("REPOSITORY");
  await until("it is wide", async () => (await screen()).trimEnd().split("\n").length === 50);
  await tmux("resize-window", "-x", "40", "-y", "10");
  await until("it fits", async () => {
    const small = (await screen()).trimEnd().split("\n");
    return small.length === 10 && small[0]?.startsWith(" ccw-server") === true;
  });
}, 600_000);

test("a server that goes away is said to, and its tasks go on when it is back; nothing typed is lost", async () => {
  await open();
  submit("There before");
  await shows("There before");
  await server.stop();
  await shows("NO CONNECTION");
  await tmux("send-keys", "p");
  await shows("Prompt:");
  await tmux("send-keys", "Go by the other way", "Enter");
  await shows("No ccw-server answers");
  server.start();
  submit("Born meanwhile");
  await shows("DEMO MODEL");
  await shows("Born meanwhile");
  await tmux("send-keys", "Down", "p");
  await shows("Prompt: Go by the other way");
}, 600_000);

test.each(["SIGTERM", "SIGHUP"] as const)(
  "%s gives the terminal back",
  async (signal) => {
    await open();
    process.kill(await processId(), signal);
    await shows(signal === "SIGTERM" ? "ended with 143" : "ended with 129");
    await isRestored();
  },
  600_000,
);

test("control-c gives the terminal back", async () => {
  await open();
  await tmux("send-keys", "C-c");
  await shows("ended with 0");
  await isRestored();
}, 600_000);

test.each(["screen", "screen-256color", "tmux-256color", "xterm", "vt100"])(
  "it works with TERM=%s",
  async (term) => {
    await open({ term });
    submit(`Seen by ${term}`);
    const text = await shows(`Seen by ${term}`);
    expect(text).toContain("─".repeat(80));
    await tmux("send-keys", "q");
    await shows("ended with 0");
  },
  600_000,
);

test("no path of the machine it was built on is in the executable's terminal part", async () => {
  const built = Buffer.from(await Bun.file(program).arrayBuffer());
  expect(built.includes("xterm-256color")).toBe(true);
  expect(built.includes(join("node_modules", "blessed"))).toBe(false);
});
