import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId, type SandboxId, type TaskId } from "../../src/domain/ids.ts";
import { createSnapshotWorld, type SnapshotWorld } from "../../src/forge/snapshots.fixture.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { useTerminal } from "../fixtures/terminal.ts";
import { executable } from "./appliance.ts";

/** A task's life from the compiled terminal view, in 80 columns and 24 rows: queue, turns, search, archive. */

let world: SnapshotWorld;
let server: AppServer;
let folder: string;
let program: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ccw-tui-e2e-"));
  program = join(folder, "ccw-server");
  copyFileSync(executable, program);
  world = await createSnapshotWorld({ "README.md": "hello\n", "src/basket.js": "let sum = 0;\n" });
  server = startAppServer({ snapshots: world.snapshots });
}, 600_000);

afterAll(async () => {
  await server?.close();
  await world?.close();
  rmSync(folder, { recursive: true, force: true });
});

const { open, keys, type, shows, screen } = useTerminal(() => ({
  ...{ program, folder, dataFolder: server.dataFolder },
}));

const repositories = [{ name: "demo", baseBranch: "main", workBranch: "claude/work" }];

function addPrompt(id: TaskId, text: string) {
  const person = server.store.people.ensure("ada");
  const promptId = newId("PromptId", server.ids);
  server.store.prompts.add({ id: promptId, taskId: id, person, text });
  return promptId;
}

const sandboxOf = (id: TaskId): SandboxId => {
  const state = server.store.tasks.get(id)?.state;
  if (state === undefined || !("sandboxId" in state)) throw new Error("The task is not active.");
  return state.sandboxId;
};

function complete(id: TaskId): void {
  const { tasks } = server.store;
  tasks.move(id, { kind: "idle", sandboxId: sandboxOf(id), summary: "All done.", interrupted: false });
  tasks.move(id, { kind: "completed", summary: "All done." });
}

/** A completed task with two turns, of which each has asked the model. */
async function worked(): Promise<TaskId> {
  const id = server.submit({ title: "Round the basket's sum", repositories });
  const say = server.play(id);
  for (const [turn, text] of ["Round the basket's sum", "Test it, too"].entries()) {
    if (turn > 0) addPrompt(id, text);
    const prompt = server.store.prompts.list(id).at(-1);
    if (prompt === undefined) throw new Error("no prompt");
    server.store.prompts.mark(prompt.id, "taken");
    const taken = await world.take(id, {
      "src/basket.js": `let sum = ${turn + 1};\n`,
      [`n${turn}`]: "kept\n",
    });
    const session = await world.takeSession(id, `turn ${turn}\n`);
    server.store.snapshots.add({ taskId: id, promptId: prompt.id, repositories: [taken], session });
    const day = new Date().toISOString().slice(0, 10);
    server.store.usage.record(
      {
        ...{ taskId: id, sandboxId: sandboxOf(id), promptId: prompt.id, at: Date.now(), model: "demo-1" },
        ...{ status: 200, firstByteMs: 1, totalMs: 2, costNano: (turn + 1) * 250_000_000 },
        ...{ inputTokens: 1200, outputTokens: 300, cacheReadTokens: 5000, cacheWriteTokens: 0 },
        ...{ cacheWriteHourTokens: 0, webSearches: 0 },
      },
      day,
    );
    say({ kind: "assistant_text", blockId: `b${turn}`, text: `Turn ${turn + 1} has rounded a halibut.` });
    say({ kind: "snapshot", promptId: prompt.id, repositories: [taken], session, ms: 3 });
  }
  complete(id);
  while (server.store.search.indexPortion());
  return id;
}

test("turns stand with their cost; a diff is read, a task rolled back and forked after a yes", async () => {
  const id = await worked();
  await open();
  await shows("$0.7500 today");
  await shows("✓ completed");
  expect(await screen()).toMatch(/✓ completed\s+Round the basket's sum\s.*\$0\.7500/);
  await keys("Enter");
  await shows("0.7500");
  await keys("t");
  const turns = await shows("Turns: Round the basket's sum");
  await shows("Test it, too");
  expect(await screen()).toMatch(/2\s+\d+s\s+2\s+6\.2k\s+300\s+\$0\.5000\s+Test it, too/);
  expect(turns).toContain("q back");
  await shows("This one: 1 request, 6.2k tokens in (5.0k from the cache), 300 out, $0.5000");
  await keys("Enter");
  await shows("Turn 2 compared with turn 1");
  await shows("+let sum = 2;");
  await keys("b");
  await shows("compared with the base branch");
  await shows("-let sum = 0;");
  await keys("q", "Down", "b");
  await shows("Put files and conversation back to turn 1? [y/N]");
  await keys("n", "Enter");
  await shows("Nothing was changed.");
  expect(server.store.events.last(id, "rolled_back")).toBeUndefined();
  await keys("b");
  await shows("[y/N]");
  await keys("y", "Enter");
  await shows("The task is as it was after turn 1");
  expect(server.store.events.last(id, "rolled_back")?.body).toMatchObject({ turn: 1 });
  await keys("f");
  await shows("A new task that begins as after turn 1");
  await type("Use integers");
  await keys("Enter");
  await shows("at turn 1? [y/N]");
  await keys("y", "Enter");
  await shows("Submitted as tsk_");
  const [forked] = server.store.tasks.list({ limit: 1 });
  expect(forked).toMatchObject({ title: "Use integers", restore: { taskId: id, turn: 1 } });
}, 600_000);

test("the queue is read, reordered, edited, shortened and sent from the keyboard", async () => {
  const id = server.submit({ title: "Mend the queue", repositories });
  server.play(id);
  for (const text of ["First of all", "Second", "Third"]) addPrompt(id, text);
  const waiting = () =>
    server.store.prompts
      .list(id)
      .filter(({ state }) => state === "queued")
      .map(({ text }) => text);
  await open();
  await shows("Mend the queue");
  await keys("Enter");
  const task = await shows("w queue");
  expect(task).toContain("P at once  i interrupt");
  await keys("w");
  await shows("Prompts that wait: Mend the queue");
  await shows("3  Third");
  await keys("K");
  await Bun.sleep(400);
  expect(waiting()).toEqual(["First of all", "Second", "Third"]);
  await keys("J");
  await shows("1  Second");
  expect(waiting()).toEqual(["Second", "First of all", "Third"]);
  await keys("e");
  await shows("Prompt: First of all");
  await type(", please");
  await keys("Enter");
  await shows("The prompt was changed.");
  expect(waiting()).toEqual(["Second", "First of all, please", "Third"]);
  await keys("Down", "d");
  await shows("Remove the prompt “Third”? [y/N]");
  await keys("y", "Enter");
  await shows("The prompt was removed.");
  expect(waiting()).toEqual(["Second", "First of all, please"]);
  await keys("Up", "s");
  await shows("The agent gets it at its next step.");
  expect(server.store.events.last(id, "prompt_sent_now")).toBeDefined();
  await keys("q", "i");
  await shows("The agent is being interrupted.");
  await keys("q");
  complete(id);
}, 600_000);

test("the search leads to its place in a transcript", async () => {
  await open();
  await keys("s");
  await shows("Search titles, prompts and transcripts for:");
  await type("halib");
  await keys("Enter");
  await shows("Found for “halib”");
  const found = await shows("rounded a halibut");
  expect(found).toContain("Round the basket's sum");
  await keys("Enter");
  await shows("G end");
  await shows("has rounded a halibut.");
  await keys("q");
  await shows("Found for “halib”");
  await keys("s");
  await keys("C-u");
  await type("nobody said this");
  await keys("Enter");
  await shows("Nothing was found.");
  await keys("q");
  await shows("STATE");
}, 600_000);

test("a plan is read before it is approved, or sent back with words", async () => {
  const id = server.submit({ title: "Plan the move", repositories });
  const say = server.play(id);
  const ask = (requestId: string) => {
    const input = { plan: "1. Look around\n2. Move everything" };
    say({ kind: "question", requestId, tool: "ExitPlanMode", input });
    server.store.tasks.move(id, { kind: "waiting", sandboxId: sandboxOf(id), requestId });
  };
  ask("q1");
  await open();
  await shows("? waiting");
  await keys("a");
  await shows("2. Move everything");
  await shows("Carry out the plan above? y, or say what is to be different:");
  await type("Not the fish");
  await keys("Enter");
  await shows("Answered.");
  const answered = () => server.store.events.last(id, "answered")?.body;
  expect(answered()).toMatchObject({ answer: { behavior: "deny" } });
  expect(JSON.stringify(answered())).toContain("Not the fish");
  server.store.tasks.move(id, { kind: "running", sandboxId: sandboxOf(id) });
  ask("q2");
  await shows("? waiting");
  await keys("a");
  await shows("Carry out the plan");
  await keys("y", "Enter");
  await shows("Answered.");
  expect(answered()).toMatchObject({ requestId: "q2", answer: { behavior: "allow" } });
  server.store.tasks.move(id, { kind: "running", sandboxId: sandboxOf(id) });
  complete(id);
}, 600_000);

test("a question is declined as a whole", async () => {
  const id = server.submit({ title: "Ask for a colour", repositories });
  const say = server.play(id);
  const questions = [{ question: "Which colour?", header: "Colour", options: [{ label: "Green" }] }];
  say({ kind: "question", requestId: "q1", tool: "AskUserQuestion", input: { questions } });
  server.store.tasks.move(id, { kind: "waiting", sandboxId: sandboxOf(id), requestId: "q1" });
  await open();
  await shows("? waiting");
  await keys("a");
  await shows("Which colour? (1 Green, - to decline)");
  await keys("-", "Enter");
  await shows("Answered.");
  expect(server.store.events.last(id, "answered")?.body).toMatchObject({ answer: { behavior: "deny" } });
  server.store.tasks.move(id, { kind: "running", sandboxId: sandboxOf(id) });
  complete(id);
}, 600_000);

test("a task is archived and deleted after a yes, and help shows every key", async () => {
  const id = server.submit({ title: "Put me away", repositories });
  server.play(id);
  complete(id);
  await open();
  await shows("Put me away");
  await keys("x");
  await shows("Archive “Put me away”?");
  await keys("Enter");
  await shows("Nothing was archived.");
  await keys("x");
  await shows("[y/N]");
  await keys("y", "Enter");
  await shows("The task is in the archive");
  expect(server.store.tasks.get(id)?.archivedAt).toBeDefined();

  const other = server.submit({ title: "Throw me away", repositories });
  server.play(other);
  complete(other);
  await shows("Throw me away");
  await keys("Enter");
  await shows("D delete");
  await keys("D");
  await shows("Delete “Throw me away” with everything that belongs to it? [y/N]");
  await keys("y", "Enter");
  await shows("ccw-server task restore");
  expect(server.store.tasks.get(other)).toBeUndefined();
  await keys("?");
  const help = await shows("draw the screen anew");
  for (const key of ["s ", "w ", "t ", "x D", "m M", "p P"]) expect(help).toContain(` ${key}`);
}, 600_000);
