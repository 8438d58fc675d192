import { afterEach, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { createProcesses, listProcesses } from "../../src/guest/processes.ts";
import { pidsWith } from "../machine.ts";
import { until } from "../until.ts";
import { closeHouses, type House, later, openHouse, textOf } from "./guest-house.ts";

/** The guest with the real agent CLI and real git: turns, questions, crashes, and how it ends. */

afterEach(closeHouses);

/** All is done: commits, pushes, and is told to stop. */
async function finish(house: House, guest: Bun.Subprocess): Promise<void> {
  house.command({ kind: "finish" });
  await house.until((event) => event.kind === "finished");
  guest.kill("SIGTERM");
  expect(await guest.exited).toBe(143);
}

test("a whole turn: clone, set-up, agent, commit, push", async () => {
  const house = await openHouse({ setupScript: "echo setting up; echo $COLOUR > /dev/stderr" });
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash echo changed >> file.txt" });
  await house.until((event) => event.kind === "turn_ended");
  await finish(house, guest);

  const kinds = house.events().map((event) => event.kind);
  expect(kinds.filter((kind) => kind === "turn_started" || kind === "turn_ended")).toEqual([
    "turn_started",
    "turn_ended",
  ]);
  expect(kinds.indexOf("turn_started")).toBeLessThan(kinds.indexOf("tool_use"));
  expect(kinds.indexOf("tool_use")).toBeLessThan(kinds.indexOf("tool_result"));
  expect(kinds.at(-1)).toBe("finished");
  expect(textOf(house.events(), "step_output")).toContain("setting up\nblue");
  expect(textOf(house.events(), "assistant_text")).toBe("All done.");
  expect(house.find("turn_ended")).toMatchObject({ promptId: "prm_1", outcome: "done", text: "All done." });
  const pushed = house.find("pushed");
  expect(await house.git("rev-parse", "claude/work")).toBe(pushed?.commit ?? "");
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\nchanged");
  expect(await house.git("log", "-1", "--format=%an <%ae>", "claude/work")).toBe("Ada <ada@example.org>");
  expect(await house.git("show", "main:file.txt")).toBe("first");
}, 600_000);

test("a question waits for its answer, and the turn goes on with it", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY ask" });
  const question = await house.until((event) => event.kind === "question");
  if (question.kind !== "question") throw new Error("no question");
  expect(question.tool).toBe("AskUserQuestion");
  const input = z.object({ questions: z.array(z.json()) }).parse(question.input);
  house.command({
    kind: "answer",
    requestId: question.requestId,
    answer: { behavior: "allow", updatedInput: { ...input, answers: { "Which colour?": "Blue" } } },
  });
  await house.until((event) => event.kind === "turn_ended");
  expect(textOf(house.events(), "tool_result")).toContain('"Which colour?"="Blue"');
  expect(house.find("question_closed")).toMatchObject({ requestId: question.requestId });
}, 600_000);

test("what even a free agent has to ask for is asked, and a refusal reaches it", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash rm -rf /" });
  const question = await house.until((event) => event.kind === "question");
  if (question.kind !== "question") throw new Error("no question");
  expect(question).toMatchObject({ tool: "Bash", input: { command: "rm -rf /" } });
  const answer = { behavior: "deny", message: "Certainly not." };
  house.command({ kind: "answer", requestId: question.requestId, answer });
  await house.until((event) => event.kind === "turn_ended");
  expect(house.find("tool_result")).toMatchObject({ isError: true, text: "Certainly not." });
}, 600_000);

test("an interrupt ends the turn, and the next prompt is taken", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY slow 200" });
  await house.until((event) => event.kind === "assistant_delta");
  house.command({ kind: "interrupt" });
  const ended = await house.until((event) => event.kind === "turn_ended");
  expect(ended).toMatchObject({ promptId: "prm_1", outcome: "interrupted" });
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  const next = await house.until((event) => event.kind === "turn_ended" && event.promptId === "prm_2");
  expect(next).toMatchObject({ outcome: "done" });
}, 600_000);

test("an interrupt right behind the prompt ends its turn too", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY slow 200" });
  house.command({ kind: "interrupt" });
  expect(await house.until((event) => event.kind === "turn_ended")).toMatchObject({ outcome: "interrupted" });
}, 600_000);

test("an interrupt while a question waits closes the question and ends the turn", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY ask" });
  await house.until((event) => event.kind === "question");
  house.command({ kind: "interrupt" });
  expect(await house.until((event) => event.kind === "turn_ended")).toMatchObject({ outcome: "interrupted" });
  expect(house.find("question_closed")).toBeDefined();
}, 600_000);

test("a model that refuses ends the turn as an error, in its words", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY fail" });
  const ended = await house.until((event) => event.kind === "turn_ended");
  expect(ended).toMatchObject({ outcome: "error" });
  expect(ended.kind === "turn_ended" && ended.text).toContain("No such model here.");
}, 600_000);

test("a turn that the agent starts by itself does not end the next prompt's", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY background" });
  await house.until((event) => event.kind === "turn_ended");
  // The background command ends after a second, and starts a turn of its own.
  await house.until(
    (_, index) =>
      house
        .events()
        .slice(0, index + 1)
        .filter((e) => e.kind === "turn_ended").length === 2,
  );
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  await house.until((event) => event.kind === "turn_ended" && event.promptId === "prm_2");
  const turns = house
    .events()
    .flatMap((e) =>
      e.kind === "turn_started" || e.kind === "turn_ended" ? [`${e.kind} ${e.promptId}`] : [],
    );
  expect(turns).toEqual([
    "turn_started prm_1",
    "turn_ended prm_1",
    "turn_started prm_1",
    "turn_ended prm_1",
    "turn_started prm_2",
    "turn_ended prm_2",
  ]);
}, 600_000);

test("while the door is away the agent works on, and no event is lost or doubled", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY local 20" });
  for (let round = 0; round < 4; round++) {
    await house.until((event, index) => event.kind === "tool_result" && index > round * 8);
    house.closeControl();
    await Bun.sleep(300);
    house.openControl();
  }
  await house.until((event) => event.kind === "turn_ended");
  await finish(house, guest);
  expect(house.received.map(({ n }) => n)).toEqual(house.received.map((_, index) => index + 1));
  expect(house.events().filter((event) => event.kind === "tool_result").length).toBe(20);
}, 600_000);

/** A shell's command that is killed the first time, and done at once when it is run again. */
const hangsOnce = (mark: string) =>
  `PLAY bash [ -e ${mark} ] || { touch ${mark}; sleep 60; }; echo through >> file.txt`;

test("a sandbox killed in mid-turn and started again goes on with the turn", async () => {
  const house = await openHouse();
  const first = house.startGuest();
  const once = join(house.folder, "once");
  house.command({ kind: "prompt", promptId: "prm_1", text: hangsOnce(once) });
  await until("the command runs", () => existsSync(once));
  createProcesses().killTree(first.pid);
  await first.exited;
  const before = house.received.length;

  const second = house.startGuest();
  await house.until((event) => event.kind === "turn_ended");
  await finish(house, second);
  expect(house.received.map(({ n }) => n)).toEqual(house.received.map((_, index) => index + 1));
  expect(
    house.received.slice(before).some(({ event }) => event.kind === "step_started" && event.step === "clone"),
  ).toBe(false);
  expect(house.find("turn_ended")).toMatchObject({ promptId: "prm_1", outcome: "done" });
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\nthrough");
}, 600_000);

test("an agent that dies is started again, and one that keeps dying fails the task with the reason", async () => {
  const house = await openHouse();
  const broken = join(house.folder, "claude");
  writeFileSync(broken, "#!/bin/sh\necho out of ideas >&2\nexit 3\n", { mode: 0o755 });
  const guest = house.startGuest({ claudeCommand: broken });
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello" });
  expect(await guest.exited).toBe(1);
  expect(house.find("finished")).toMatchObject({ outcome: "failed" });
  const last = house.find("finished");
  expect(last?.text).toContain("ended 3 times");
  expect(last?.text).toContain("exit code 3");
  expect(last?.text).toContain("out of ideas");
}, 600_000);

test("an agent that is killed in mid-turn goes on with the turn, and what it did is kept", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  const once = join(house.folder, "once");
  house.command({ kind: "prompt", promptId: "prm_1", text: hangsOnce(once) });
  await until("the command runs", () => existsSync(once));
  const agent = listProcesses().find(({ parent }) => parent === guest.pid);
  createProcesses().killTree(agent?.pid ?? 0);
  expect(await house.until((event) => event.kind === "turn_ended")).toMatchObject({ outcome: "done" });
  await finish(house, guest);
  expect(textOf(house.events(), "notice")).toContain("(signal SIGKILL) and was started again");
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\nthrough");
}, 600_000);

test.each([
  ["an image without the agent", { claudeCommand: "/nonexistent/claude" }, {}, "no Claude Code"],
  [
    "a set-up script that fails",
    {},
    { setupScript: "echo no such package; exit 4" },
    "exit code 4: no such package",
  ],
  ["a branch that is not there", {}, { baseBranch: "gone" }, "has no branch gone"],
  ["an agent of another kind", {}, { kind: "oracle" }, 'no agent "oracle"'],
])("%s fails the task with words that say so", async (_, options, setting, words) => {
  const house = await openHouse(setting);
  const guest = house.startGuest(options);
  expect(await guest.exited).toBe(1);
  const last = house.find("finished");
  expect(last).toMatchObject({ outcome: "failed" });
  expect(last?.text).toContain(words);
  expect(last?.text).not.toMatch(/\n\s+at /);
  expect(last?.hint).not.toBe("");
});

test("two hundred tools and a hundred megabytes of output leave the guest small", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY local 200" });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentBytes(guest.pid));
  }, 100);
  later(() => clearInterval(watch));
  await house.until((event, index) => event.kind === "tool_result" && index > 100);
  const early = residentBytes(guest.pid);
  await house.until((event) => event.kind === "turn_ended");
  expect(house.events().filter((event) => event.kind === "tool_result").length).toBe(200);
  const late = residentBytes(guest.pid);
  house.command({
    kind: "prompt",
    promptId: "prm_2",
    text: "PLAY bash head -c 100000000 /dev/zero | tr '\\0' x",
  });
  await house.until((event) => event.kind === "turn_ended" && event.promptId === "prm_2");
  process.stderr.write(
    `guest memory, MB: early ${early / 1e6}, after 200 tools ${late / 1e6}, peak ${peak / 1e6}\n`,
  );
  expect(late - early).toBeLessThan(40e6);
  expect(peak).toBeLessThan(200e6);
}, 600_000);

test("SIGTERM ends the agent and what it started, and the guest with 143", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  const mark = join(house.folder, "mark");
  house.command({ kind: "prompt", promptId: "prm_1", text: `PLAY bash sleep 60; touch ${mark}` });
  await until("the command runs", () => pidsWith(mark).length > 0);
  guest.kill("SIGTERM");
  expect(await guest.exited).toBe(143);
  expect(pidsWith(mark)).toEqual([]);
  expect(existsSync(mark)).toBe(false);
}, 600_000);

function residentBytes(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
  return Number(pages) * 4096;
}
