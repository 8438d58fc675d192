import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { until } from "../../test/until.ts";
import type { TaskId } from "../domain/ids.ts";
import { exitCodes } from "./exit-codes.ts";
import { beginCli } from "./wiring.fixture.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function bench() {
  const house = startAppServer();
  closers.push(() => house.close());
  return { ...house, run: (...argv: string[]) => beginCli(house.dataFolder, argv).ended };
}
type Bench = ReturnType<typeof bench>;

/** A task whose first prompt the agent has taken. */
function running({ submit, play }: Bench): TaskId {
  const id = submit({ title: "first" });
  play(id);
  return id;
}
const waiting = ({ store }: Bench, id: TaskId) =>
  store.prompts.list(id).flatMap(({ state, text }) => (state === "queued" ? [text] : []));

test("the queue is seen and changed by place or by id", async () => {
  const all = bench();
  const { run, store } = all;
  const id = running(all);
  for (const word of ["a", "b", "c", "d"]) expect((await run("task", "prompt", id, word)).code).toBe(0);
  expect((await run("task", "move", id, "3", "1")).code).toBe(0);
  expect((await run("task", "edit", id, "2", "A", "and", "more")).code).toBe(0);
  expect(waiting(all, id)).toEqual(["c", "A and more", "b", "d"]);
  const end = store.prompts.list(id).at(-1)?.id.slice(-6) ?? "";
  // Both are meant as they stood when it was said.
  expect((await run("task", "unqueue", id, "1", "2", end)).code).toBe(0);
  expect(waiting(all, id)).toEqual(["b"]);
  const shown = await run("task", "prompts", id);
  expect(shown.out).toMatch(/^#\s+ID\s+STATE\s+PERSON\s+PROMPT\n/);
  expect(shown.out).toMatch(/\n1\s+\w{6}\s+queued\s+ada\s+b\n$/);
  const gone = await run("task", "edit", id, "9", "x");
  expect([gone.code, gone.err]).toEqual([exitCodes.notFound, expect.stringContaining("place 9")]);
});

test("a prompt that is not to wait says so, and one with files carries them", async () => {
  const all = bench();
  const { run, store } = all;
  const folder = mkdtempSync(join(tmpdir(), "ccw-attach-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "-notes.txt"), "some notes");
  const id = running(all);
  const path = join(folder, "-notes.txt");
  expect((await run("task", "prompt", id, "--now", "--attach", path, "read this")).code).toBe(0);
  expect(store.prompts.list(id).at(-1)?.attachments).toMatchObject([{ name: "notes.txt", bytes: 10 }]);
  expect(store.events.last(id, "prompt_sent_now")).toBeDefined();
  writeFileSync(join(folder, "empty"), "");
  const empty = await run("task", "create", "--attach", path, "--attach", join(folder, "empty"), "x");
  expect(empty.err).toContain(`${join(folder, "empty")} was not attached. The attachment is empty.`);
  const missing = await run("task", "create", "--attach", join(folder, "none"), "x");
  expect([missing.code, missing.out]).toEqual([exitCodes.usage, ""]);
  const made = await run("task", "submit", "--attach", path, "--mode", "plan", "--model", "opus", "look");
  const task = store.tasks.get(made.out.trim() as TaskId);
  expect(task).toMatchObject({ mode: "plan", model: "opus" });
  expect(store.prompts.list(made.out.trim() as TaskId)[0]?.attachments).toHaveLength(1);
  expect((await run("task", "show", "last")).out).toContain("[notes.txt, 10B]");
});

test("model, mode, interrupting, stopping and going on are one word each", async () => {
  const all = bench();
  const { run, store } = all;
  const id = running(all);
  expect((await run("task", "model", id, "haiku")).code).toBe(0);
  expect((await run("task", "mode", id, "plan")).code).toBe(0);
  expect(store.tasks.get(id)).toMatchObject({ model: "haiku", mode: "plan" });
  expect((await run("task", "model", id, "default")).code).toBe(0);
  expect(store.tasks.get(id)?.model).toBe("");
  expect((await run("task", "mode", id, "yolo")).code).toBe(exitCodes.usage);
  expect((await run("task", "resume", id)).code).toBe(exitCodes.conflict);
  expect((await run("task", "interrupt", id)).code).toBe(0);
  expect((await run("task", "stop", id)).code).toBe(0);
  expect(store.events.last(id, "interrupt_requested")).toBeDefined();
  expect(store.events.last(id, "cancel_requested")).toBeDefined();
});

test("following ends when nothing is left to do, though the sandbox is awake, and not before", async () => {
  const all = bench();
  const { store } = all;
  const id = running(all);
  const sandboxId = store.sandboxes.current(id)?.id;
  if (sandboxId === undefined) throw new Error("no sandbox");
  // It was done once before, and went on.
  store.tasks.move(id, { kind: "idle", sandboxId, summary: "First.", interrupted: false });
  store.tasks.move(id, { kind: "running", sandboxId });
  const { written, ended } = beginCli(all.dataFolder, ["task", "follow", id]);
  await until("it follows", () => written.out.includes("Idle: First."));
  store.tasks.move(id, { kind: "idle", sandboxId, summary: "Second.", interrupted: false });
  expect((await ended).code).toBe(exitCodes.ok);
  expect(written.out).toEndWith("= Idle: Second.\n");
});

test("a paused task, and one that was interrupted, have an exit code of their own", async () => {
  const all = bench();
  const { run, store } = all;
  const [paused, held] = [running(all), running(all)];
  store.tasks.move(paused, { kind: "paused", why: "broken", reason: "It died.", hint: "Look at it." });
  const followed = await run("task", "follow", paused);
  expect(followed.code).toBe(exitCodes.paused);
  expect(followed.out).toEndWith("= Paused: It died. Look at it.\n");
  const sandboxId = store.sandboxes.current(held)?.id;
  if (sandboxId === undefined) throw new Error("no sandbox");
  store.tasks.move(held, { kind: "idle", sandboxId, summary: "", interrupted: true });
  store.tasks.update(held, { held: true });
  expect((await run("task", "follow", held)).code).toBe(exitCodes.paused);
  expect((await run("task", "show", held)).out).toContain("`ccw-server task resume`");
});
