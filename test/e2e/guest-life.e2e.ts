import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { GuestEvent } from "../../src/domain/event.ts";
import { sessionSnapshots, snapshotRepository } from "../../src/domain/session.ts";
import { createProcesses, listProcesses } from "../../src/guest/processes.ts";
import { until } from "../until.ts";
import { closeHouses, git, type House, openHouse, textOf } from "./guest-house.ts";

/** What the guest does beyond one turn: goes on after its work, is told things in mid-turn, and moves to another sandbox. */

afterEach(closeHouses);

const turnsOf = (house: House) =>
  house
    .events()
    .flatMap((event) =>
      event.kind === "turn_started" || event.kind === "prompt_taken"
        ? [`${event.kind} ${event.promptId}`]
        : event.kind === "turn_ended"
          ? [`${event.kind} ${event.promptId} ${event.outcome}`]
          : [],
    );
const endOf = (promptId: string) => (event: GuestEvent) =>
  event.kind === "turn_ended" && event.promptId === promptId;
const countOf = (house: House, kind: GuestEvent["kind"]) =>
  house.events().filter((event) => event.kind === kind).length;
const agentOf = (guest: Bun.Subprocess) =>
  listProcesses().find(({ parent, state }) => parent === guest.pid && state !== "Z")?.pid ?? 0;
/** Until the guest, whose child it is, has seen its end. */
async function endAgent(guest: Bun.Subprocess): Promise<void> {
  const agent = agentOf(guest);
  createProcesses().killTree(agent);
  await until("it is no process any more", () => !listProcesses().some(({ pid }) => pid === agent));
  await Bun.sleep(200);
}

test("after its work is pushed the session goes on, in the same process of the agent", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash echo one >> file.txt" });
  await house.until(endOf("prm_1"));
  const agent = agentOf(guest);
  house.command({ kind: "finish" });
  await house.until((event) => event.kind === "finished");
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\none");

  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY bash echo two >> file.txt" });
  await house.until(endOf("prm_2"));
  expect(agentOf(guest)).toBe(agent);
  house.command({ kind: "finish" });
  await house.until(() => countOf(house, "finished") === 2);
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\none\ntwo");
  expect(house.events().filter((event) => event.kind === "finished")).toMatchObject([
    { outcome: "completed" },
    { outcome: "completed" },
  ]);
}, 600_000);

test("a push that fails is told, and mended by the next prompt", async () => {
  const house = await openHouse();
  house.startGuest();
  const hook = join(house.repos, "demo.git/hooks/update");
  writeFileSync(hook, "#!/bin/sh\necho not now >&2; exit 1\n", { mode: 0o755 });
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash echo one >> file.txt" });
  await house.until(endOf("prm_1"));
  house.command({ kind: "finish" });
  await house.until((event) => event.kind === "finished");
  expect(house.find("finished")).toMatchObject({ outcome: "failed" });
  expect(house.find("finished")?.text).toContain("not now");
  rmSync(hook);
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  await house.until(endOf("prm_2"));
  house.command({ kind: "finish" });
  await house.until(() => countOf(house, "finished") === 2);
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\none");
}, 600_000);

test.each([0, 1])(
  "a guest that is killed in the middle of its last push does it again, asked %d times more",
  async (more) => {
    const house = await openHouse();
    const first = house.startGuest();
    const hook = join(house.repos, "demo.git/hooks/update");
    const pushing = join(house.folder, "pushing");
    writeFileSync(hook, `#!/bin/sh\ntouch ${pushing}; sleep 60; exit 1\n`, { mode: 0o755 });
    house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash echo one >> file.txt" });
    await house.until(endOf("prm_1"));
    house.command({ kind: "finish" });
    await until("it pushes", () => existsSync(pushing));
    createProcesses().killTree(first.pid);
    await first.exited;
    rmSync(hook);
    for (let n = 0; n < more; n++) house.command({ kind: "finish" });
    const second = house.startGuest();
    await house.until((event) => event.kind === "finished");
    expect(house.find("finished")).toMatchObject({ outcome: "completed" });
    expect(await house.git("show", "claude/work:file.txt")).toBe("first\none");
    second.kill("SIGTERM");
    expect(await second.exited).toBe(143);
    expect(countOf(house, "finished")).toBe(1);
    // No agent is started for that.
    expect(
      house.events().filter((event) => event.kind === "step_started" && event.step === "agent").length,
    ).toBe(1);
  },
  600_000,
);

test("what ended a guest at its start is tried again when it is started again", async () => {
  const house = await openHouse();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello" });
  const hidden = `${house.repos}/demo.git`;
  renameSync(hidden, `${hidden}.away`);
  expect(await house.startGuest().exited).toBe(1);
  renameSync(`${hidden}.away`, hidden);
  expect(await house.startGuest({ claudeCommand: "/nonexistent/claude" }).exited).toBe(1);
  expect(house.events().flatMap((event) => (event.kind === "finished" ? [event.outcome] : []))).toEqual([
    "failed",
    "failed",
  ]);
  house.startGuest();
  await house.until(endOf("prm_1"));
}, 600_000);

test("an agent that ends while nothing is to do is started again by the next prompt, and knows what was said", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello blue moon" });
  await house.until(endOf("prm_1"));
  await endAgent(guest);
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  await house.until(endOf("prm_2"));
  expect(house.asked.at(-1)).toContain("blue moon");
  expect(textOf(house.events(), "notice")).not.toContain("ended by itself");
}, 600_000);

test("a stopped sandbox that is started again with a prompt asks the model at once, with all that was said", async () => {
  const house = await openHouse();
  const first = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello blue moon" });
  await house.until(endOf("prm_1"));
  first.kill("SIGTERM");
  expect(await first.exited).toBe(143);
  const asked = house.asked.length;
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  const began = performance.now();
  house.startGuest();
  await house.until((event) => event.kind === "turn_started" && event.promptId === "prm_2");
  process.stderr.write(`from a stopped guest to its turn: ${Math.round(performance.now() - began)} ms\n`);
  await house.until(endOf("prm_2"));
  expect(house.asked[asked]).toContain("blue moon");
}, 600_000);

test("prompts sent now reach the agent within its turn, each once", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY local 12" });
  await house.until((event) => event.kind === "tool_use");
  house.command({ kind: "prompt", promptId: "prm_2", text: "mind the gap", now: true });
  house.command({ kind: "prompt", promptId: "prm_3", text: "and the step", now: true });
  await house.until(endOf("prm_1"));
  expect(turnsOf(house)).toEqual([
    "turn_started prm_1",
    "prompt_taken prm_2",
    "prompt_taken prm_3",
    "turn_ended prm_1 done",
  ]);
  const last = house.asked.at(-1) ?? "";
  expect(last.split("mind the gap").length).toBe(2);
  expect(last.split("and the step").length).toBe(2);
}, 600_000);

test("what comes too late for a turn has one of its own; a prompt that waits has its own after that", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY slow 15" });
  await house.until((event) => event.kind === "assistant_delta");
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello two", now: true });
  house.command({ kind: "prompt", promptId: "prm_3", text: "PLAY hello three" });
  await house.until(endOf("prm_3"));
  expect(turnsOf(house)).toEqual([
    "turn_started prm_1",
    "turn_ended prm_1 done",
    "turn_started prm_2",
    "turn_ended prm_2 done",
    "turn_started prm_3",
    "turn_ended prm_3 done",
  ]);
}, 600_000);

test("an interrupt takes back what was not taken yet, which may be sent again", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 60" });
  await house.until((event) => event.kind === "tool_use");
  await Bun.sleep(500);
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello again", now: true });
  house.command({ kind: "prompt", promptId: "prm_3", text: "PLAY hello later", now: true });
  await Bun.sleep(300);
  house.command({ kind: "interrupt" });
  for (const prompt of ["prm_1", "prm_2", "prm_3"]) await house.until(endOf(prompt));
  await Bun.sleep(1000);
  expect(turnsOf(house).toSorted()).toEqual([
    "turn_ended prm_1 interrupted",
    "turn_ended prm_2 interrupted",
    "turn_ended prm_3 interrupted",
    "turn_started prm_1",
  ]);
  expect(house.asked.at(-1)).not.toContain("hello again");
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello again" });
  await house.until(
    (event) => endOf("prm_2")(event) && event.kind === "turn_ended" && event.outcome === "done",
  );
  expect(house.asked.at(-1)).toContain("hello again");
}, 600_000);

test.each(["before it had it", "before the agent had begun with it"])(
  "a prompt whose sandbox was stopped %s does not begin where an interruption follows, and may be given again",
  async (when) => {
    const house = await openHouse();
    const first = house.startGuest();
    house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello" });
    await house.until(endOf("prm_1"));
    first.kill("SIGTERM");
    await first.exited;
    const text = "PLAY bash echo once >> file.txt";
    house.command({ kind: "prompt", promptId: "prm_2", text });
    if (when === "before the agent had begun with it") {
      const busy = join(house.folder, "busy");
      writeFileSync(busy, "#!/bin/sh\nexec sleep 600\n", { mode: 0o755 });
      const second = house.startGuest({ claudeCommand: busy });
      while (agentOf(second) === 0) await Bun.sleep(50);
      createProcesses().killTree(second.pid);
      await second.exited;
    }
    house.command({ kind: "interrupt" });
    house.startGuest();
    await house.until(endOf("prm_2"));
    house.command({ kind: "prompt", promptId: "prm_3", text: "PLAY hello" });
    await house.until(endOf("prm_3"));
    house.command({ kind: "prompt", promptId: "prm_2", text });
    await house.until(
      (event) => endOf("prm_2")(event) && event.kind === "turn_ended" && event.outcome === "done",
    );
    expect(turnsOf(house)).toEqual([
      ...["turn_started prm_1", "turn_ended prm_1 done"],
      "turn_ended prm_2 interrupted",
      ...["turn_started prm_3", "turn_ended prm_3 done"],
      ...["turn_started prm_2", "turn_ended prm_2 done"],
    ]);
    expect((house.asked.at(-1) ?? "").split("PLAY bash echo once").length).toBe(2);
    expect(readFileSync(join(house.checkout, "file.txt"), "utf8")).toBe("first\nonce\n");
    // What has not begun has no state of its own to go back to.
    expect(house.events().flatMap((event) => (event.kind === "snapshot" ? [event.promptId] : []))).toEqual([
      "prm_1",
      "prm_3",
      "prm_2",
    ]);
  },
  600_000,
);

test.each(["runs", "is started"])(
  "an interruption in the instant in which a turn begins, of an agent that %s, ends it or gives its prompt back unread",
  async (agent) => {
    const house = await openHouse();
    const guest = house.startGuest();
    house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello" });
    await house.until(endOf("prm_1"));
    if (agent === "is started") {
      createProcesses().killTree(agentOf(guest));
      while (agentOf(guest) !== 0) await Bun.sleep(20);
    }
    house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello two" });
    house.command({ kind: "interrupt" });
    await house.until(endOf("prm_2"));
    house.command({ kind: "prompt", promptId: "prm_3", text: "PLAY hello three" });
    await house.until(endOf("prm_3"));
    const begun = turnsOf(house).includes("turn_started prm_2");
    process.stderr.write(`the interruption came ${begun ? "after" : "before"} the beginning\n`);
    expect((house.asked.at(-1) ?? "").includes("hello two")).toBe(begun);
  },
  600_000,
);

test.each(["has not begun", "has begun"])(
  "an interruption of a turn that %s outlives the guest that had carried it out",
  async (how) => {
    const house = await openHouse();
    const busy = join(house.folder, "busy");
    writeFileSync(busy, "#!/bin/sh\nexec sleep 600\n", { mode: 0o755 });
    let guest = house.startGuest();
    const die = async () => {
      createProcesses().killTree(guest.pid);
      await guest.exited;
    };
    house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 20; echo done >> file.txt" });
    if (how === "has begun") {
      await house.until((event) => event.kind === "tool_use");
      await Bun.sleep(1000);
    } else await house.until((event) => event.kind === "step_started" && event.step === "agent");
    await die();
    // An agent that hears nothing.
    guest = house.startGuest({ claudeCommand: busy });
    while (agentOf(guest) === 0) await Bun.sleep(50);
    house.command({ kind: "interrupt" });
    const stateFile = join(house.folder, "spool/state.json");
    while (JSON.parse(readFileSync(stateFile, "utf8")).lastCommand < 2) await Bun.sleep(50);
    await die();
    guest = house.startGuest();
    await house.until(endOf("prm_1"));
    expect(turnsOf(house).filter((turn) => turn.startsWith("turn_ended"))).toEqual([
      "turn_ended prm_1 interrupted",
    ]);
    expect(readFileSync(join(house.checkout, "file.txt"), "utf8")).toBe("first\n");
  },
  600_000,
);

test("an interruption that the agent's process has not carried out outlives it", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 20; echo done >> file.txt" });
  await house.until((event) => event.kind === "tool_use");
  await Bun.sleep(1000);
  // It hears nothing any more.
  const deaf = agentOf(guest);
  process.kill(deaf, "SIGSTOP");
  house.command({ kind: "interrupt" });
  const stateFile = join(house.folder, "spool/state.json");
  await until(
    "the interruption has arrived",
    () => JSON.parse(readFileSync(stateFile, "utf8")).lastCommand === 2,
  );
  createProcesses().killTree(deaf);
  await house.until(endOf("prm_1"));
  expect(turnsOf(house).filter((turn) => turn.startsWith("turn_ended"))).toEqual([
    "turn_ended prm_1 interrupted",
  ]);
  expect(readFileSync(join(house.checkout, "file.txt"), "utf8")).toBe("first\n");

  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  await house.until(endOf("prm_2"));
  expect(turnsOf(house).at(-1)).toBe("turn_ended prm_2 done");
}, 600_000);

test("an agent that is killed twice before it has answered goes on all the same", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY slow 100" });
  for (const requests of [1, 2]) {
    await until("the model is asked", () => house.asked.length >= requests);
    // The conversation is written a moment later.
    await Bun.sleep(1000);
    createProcesses().killTree(agentOf(guest));
  }
  await house.until(endOf("prm_1"));
  expect(turnsOf(house).at(-1)).toBe("turn_ended prm_1 done");
  expect(textOf(house.events(), "assistant_text")).toContain("word 99");
  expect(house.asked.at(-1)?.split("PLAY slow 100")).toHaveLength(2);
}, 600_000);

const requested = (house: House, words: string) =>
  house.asked.filter((request) => request.includes(words) && request.includes('"tools":[{')).length;

test("an answer that breaks off behind its first words is gone on with, in the same turn", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY broken 2" });
  await house.until(endOf("prm_1"));
  expect(turnsOf(house)).toEqual(["turn_started prm_1", "turn_ended prm_1 done"]);
  expect(textOf(house.events(), "notice").match(/broke off/g)).toHaveLength(2);
  expect(requested(house, "PLAY broken")).toBe(3);
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  await house.until(endOf("prm_2"));
  expect(turnsOf(house).slice(2)).toEqual(["turn_started prm_2", "turn_ended prm_2 done"]);
}, 600_000);

test("an endpoint that never ends an answer ends the turn, after some tries", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY broken 1000" });
  await house.until(endOf("prm_1"));
  expect(turnsOf(house)).toEqual(["turn_started prm_1", "turn_ended prm_1 error"]);
  expect(requested(house, "PLAY broken")).toBe(11);
}, 600_000);

test.each(["torn sleep 3", "broken 1"])(
  "an agent that is killed when an answer broke off goes on with it: %s",
  async (play) => {
    const house = await openHouse();
    const guest = house.startGuest();
    house.command({ kind: "prompt", promptId: "prm_1", text: `PLAY ${play}` });
    await house.until((event) => event.kind === "assistant_text" && event.text.startsWith("API Error"));
    await endAgent(guest);
    await house.until(endOf("prm_1"));
    expect(turnsOf(house).at(-1)).toBe("turn_ended prm_1 done");
    expect(textOf(house.events(), "assistant_text")).toEndWith("All done.");
    expect(requested(house, "PLAY")).toBeGreaterThan(1);
  },
  600_000,
);

test("a turn that ended with an error is over: the next process begins with what it is asked then", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY fail" });
  await house.until(endOf("prm_1"));
  await Bun.sleep(1000);
  await endAgent(guest);
  const before = house.asked.length;
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY bash echo next >> file.txt" });
  await house.until(endOf("prm_2"));
  expect(turnsOf(house)).toEqual([
    ...["turn_started prm_1", "turn_ended prm_1 error"],
    ...["turn_started prm_2", "turn_ended prm_2 done"],
  ]);
  expect(house.asked.slice(before).filter((request) => !request.includes("PLAY bash"))).toEqual([]);
  expect(readFileSync(join(house.checkout, "file.txt"), "utf8")).toBe("first\nnext\n");
}, 600_000);

test("a turn in whose middle its sandbox is told to end is not over: it goes on with the next guest", async () => {
  const house = await openHouse();
  const first = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 5; echo done >> file.txt" });
  await house.until((event) => event.kind === "tool_use");
  await Bun.sleep(1000);
  first.kill("SIGTERM");
  expect(await first.exited).toBe(143);
  house.startGuest();
  await house.until(endOf("prm_1"));
  expect(turnsOf(house).filter((turn) => turn.startsWith("turn_ended"))).toEqual(["turn_ended prm_1 done"]);
  expect(textOf(house.events(), "tool_result")).not.toContain("doesn't want to proceed");
  expect(textOf(house.events(), "notice")).not.toContain("interrupted");
}, 600_000);

test("a turn that had begun before its sandbox was stopped is interrupted when that is started again", async () => {
  const house = await openHouse();
  const first = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 20; echo done >> file.txt" });
  await house.until((event) => event.kind === "tool_use");
  await Bun.sleep(1000);
  createProcesses().killTree(first.pid);
  await first.exited;
  house.command({ kind: "interrupt" });
  house.startGuest();
  await house.until(endOf("prm_1"));
  expect(turnsOf(house).filter((turn) => turn.startsWith("turn_ended"))).toEqual([
    "turn_ended prm_1 interrupted",
  ]);
  expect(readFileSync(join(house.checkout, "file.txt"), "utf8")).toBe("first\n");
}, 600_000);

test.each(["agent", "sandbox"])(
  "a prompt sent now survives the death of the %s in mid-turn, and is told to the model once",
  async (whose) => {
    const house = await openHouse();
    let guest = house.startGuest();
    house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 3" });
    await house.until((event) => event.kind === "tool_use");
    await Bun.sleep(500);
    house.command({ kind: "prompt", promptId: "prm_2", text: "mind the gap", now: true });
    await Bun.sleep(500);
    createProcesses().killTree(whose === "agent" ? agentOf(guest) : guest.pid);
    if (whose === "sandbox") {
      await guest.exited;
      guest = house.startGuest();
    }
    await house.until(endOf("prm_1"));
    await house.until(
      (event) => (event.kind === "prompt_taken" && event.promptId === "prm_2") || endOf("prm_2")(event),
    );
    expect((house.asked.at(-1) ?? "").split("mind the gap").length).toBe(2);
    expect(house.events().filter((event) => event.kind === "prompt_taken").length).toBeLessThan(2);
  },
  600_000,
);

test("what the agent had just taken when it died is told to it again, and once", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 1" });
  await house.until((event) => event.kind === "tool_use");
  house.command({ kind: "prompt", promptId: "prm_2", text: "mind the gap", now: true });
  // The agent says so some 100 ms before it writes it down.
  await house.until((event) => event.kind === "prompt_taken");
  createProcesses().killTree(agentOf(guest));
  await house.until(endOf("prm_1"));
  await Bun.sleep(3000);
  expect((house.asked.at(-1) ?? "").split("mind the gap").length).toBe(2);
  expect(countOf(house, "prompt_taken")).toBe(1);
}, 600_000);

test("the model is changed between turns", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello" });
  await house.until(endOf("prm_1"));
  house.command({ kind: "set_model", model: "other-model" });
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  await house.until(endOf("prm_2"));
  const modelOf = (raw: string | undefined) =>
    z.object({ model: z.string() }).parse(JSON.parse(raw ?? "{}")).model;
  expect(modelOf(house.asked.at(-1))).toBe("other-model");
  await endAgent(guest);
  house.command({ kind: "prompt", promptId: "prm_3", text: "PLAY hello" });
  await house.until(endOf("prm_3"));
  expect(modelOf(house.asked.at(-1))).toBe("other-model");
}, 600_000);

test("a plan is asked for, and what is approved is done without further questions", async () => {
  const house = await openHouse({ mode: "plan" });
  const guest = house.startGuest();
  const early = join(house.folder, "early.txt");
  house.command({ kind: "prompt", promptId: "prm_0", text: `PLAY write ${early}` });
  await house.until(endOf("prm_0"));
  expect(existsSync(early)).toBe(false);
  expect(textOf(house.events(), "tool_result")).toContain("The task is in plan mode");
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY plan" });
  const question = await house.until((event) => event.kind === "question");
  if (question.kind !== "question") throw new Error("no question");
  expect(question).toMatchObject({ tool: "ExitPlanMode", input: { plan: "1. Do it." } });
  expect(house.asked.at(-1)).toContain("Plan mode is active");
  house.command({ kind: "answer", requestId: question.requestId, answer: { behavior: "allow" } });
  await house.until(endOf("prm_1"));
  expect(countOf(house, "question")).toBe(1);
  expect(readFileSync(join(house.checkout, "file.txt"), "utf8")).toBe("first\nplanned\n");

  // Not planning again in a new process, and planning again when that is asked for.
  await endAgent(guest);
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY bash echo more >> file.txt" });
  await house.until(endOf("prm_2"));
  expect(countOf(house, "question")).toBe(1);
  house.command({ kind: "set_mode", mode: "plan" });
  house.command({ kind: "prompt", promptId: "prm_3", text: "PLAY plan" });
  await house.until(() => countOf(house, "question") === 2);
}, 600_000);

test("attachments are placed and named, pictures are shown, and one that is missing is said", async () => {
  const pixel = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  );
  const house = await openHouse({ attachments: { att_1: Buffer.from("words"), att_2: pixel } });
  house.startGuest();
  const attachment = (id: string, name: string, mediaType: string, bytes: number) => ({
    ...{ id, name, mediaType, bytes },
  });
  house.command({
    kind: "prompt",
    promptId: "prm_0123456789abcdefghjk",
    text: "PLAY hello",
    attachments: [
      attachment("att_1", "notes.txt", "text/plain", 5),
      attachment("att_2", "pixel.png", "image/png", pixel.length),
      attachment("att_3", "gone.txt", "text/plain", 7),
    ],
  });
  await house.until((event) => event.kind === "turn_ended");
  const folder = join(house.folder, "workspace/.attachments/cdefghjk");
  expect(readdirSync(folder).toSorted()).toEqual(["notes.txt", "pixel.png"]);
  expect(readFileSync(join(folder, "notes.txt"), "utf8")).toBe("words");
  const asked = house.asked.at(-1) ?? "";
  expect(asked).toContain(`${folder}/notes.txt (text/plain, 5B)`);
  expect(asked).toContain("gone.txt (text/plain): could not be fetched");
  expect(asked).toContain(pixel.toString("base64"));
  expect(textOf(house.events(), "notice")).toContain("The attachment gone.txt could not be fetched");
  expect(await git(house.checkout, "status", "--porcelain")).toBe("");
}, 600_000);

test("what a turn left is in its snapshot, an interrupted turn's too, and goes on in another sandbox", async () => {
  const house = await openHouse();
  const first = house.startGuest();
  const script =
    "echo committed >> file.txt; git commit -qam More; echo open >> file.txt; echo new > new.txt; git add new.txt; echo beside > ../beside.txt";
  house.command({ kind: "prompt", promptId: "prm_1", text: `PLAY bash ${script}` });
  await house.until(endOf("prm_1"));
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY bash echo last > last.txt; sleep 60" });
  await until("the command runs", () => existsSync(join(house.checkout, "last.txt")));
  const [status, head] = [
    await git(house.checkout, "status", "--porcelain"),
    await git(house.checkout, "rev-parse", "HEAD"),
  ];
  house.command({ kind: "interrupt" });
  await house.until(endOf("prm_2"));
  const kinds = house.events().map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "snapshot" || kind === "turn_ended")).toEqual([
    ...(["snapshot", "turn_ended", "snapshot", "turn_ended"] as const),
  ]);
  const snapshot = house.events().findLast((event) => event.kind === "snapshot");
  if (snapshot?.kind !== "snapshot") throw new Error("no snapshot");
  const [ofDemo] = snapshot.repositories;
  expect(ofDemo?.head).toBe(head);
  expect(await git(house.checkout, "status", "--porcelain")).toBe(status);
  const kept = join(house.repos, `${snapshotRepository(0)}.git`);
  expect(await git(kept, "ls-tree", "-r", "--name-only", ofDemo?.commit ?? "")).toBe(
    "file.txt\nlast.txt\nnew.txt",
  );
  const session = join(house.repos, `${sessionSnapshots}.git`);
  expect(await git(session, "ls-tree", "-r", "--name-only", snapshot.session)).toContain(
    "workspace/beside.txt",
  );
  first.kill("SIGTERM");
  await first.exited;

  const other = await openHouse({
    beside: house,
    restore: { title: "turn 2", repositories: [ofDemo ?? null], session: snapshot.session },
  });
  other.startGuest();
  other.command({ kind: "prompt", promptId: "prm_3", text: "PLAY hello" });
  await other.until(endOf("prm_3"));
  expect(other.asked.at(-1)).toContain("echo committed");
  expect(await git(other.checkout, "rev-parse", "--abbrev-ref", "HEAD")).toBe("claude/work");
  expect(await git(other.checkout, "rev-parse", "HEAD")).toBe(head);
  expect(readFileSync(join(other.checkout, "file.txt"), "utf8")).toBe("first\ncommitted\nopen\n");
  expect(readFileSync(join(other.checkout, "last.txt"), "utf8")).toBe("last\n");
  expect(readFileSync(join(other.folder, "workspace/beside.txt"), "utf8")).toBe("beside\n");
  expect(await git(other.checkout, "status", "--porcelain")).toBe("M file.txt\n?? last.txt\n?? new.txt");
  expect(textOf(other.events(), "notice")).toContain("Restored from turn 2: demo, The conversation");
  expect(existsSync(join(other.checkout, ".git/ccw-snapshot-index"))).toBe(true);

  // Of a turn of which the conversation alone was kept.
  const third = await openHouse({
    beside: house,
    restore: { title: "turn 2", repositories: [null], session: snapshot.session },
  });
  third.startGuest();
  third.command({ kind: "prompt", promptId: "prm_3", text: "PLAY hello" });
  await third.until(endOf("prm_3"));
  expect(textOf(third.events(), "notice")).toContain("Restored from turn 2: The conversation.");
}, 600_000);

test("a turn that a full disk kept from its snapshot has it before the next turn begins, as it was left", async () => {
  const house = await openHouse();
  house.startGuest();
  const hooks = [snapshotRepository(0), sessionSnapshots].map((place) =>
    join(house.repos, `${place}.git/hooks/pre-receive`),
  );
  for (const hook of hooks)
    writeFileSync(hook, "#!/bin/sh\necho 'fatal: No space left on device' >&2; exit 1\n", { mode: 0o755 });
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash echo one >> file.txt" });
  await house.until(endOf("prm_1"));
  expect(countOf(house, "snapshot")).toBe(0);
  expect(textOf(house.events(), "notice")).toContain("The disk is full, so this turn is not kept");
  for (const hook of hooks) rmSync(hook);
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY bash echo two >> file.txt" });
  await house.until(endOf("prm_2"));
  expect(
    house
      .events()
      .flatMap((event) =>
        event.kind === "snapshot" || event.kind === "turn_started" ? [`${event.kind} ${event.promptId}`] : [],
      ),
  ).toEqual(["turn_started prm_1", "snapshot prm_1", "turn_started prm_2", "snapshot prm_2"]);
  const first = house.find("snapshot")?.repositories[0]?.commit ?? "";
  const kept = join(house.repos, `${snapshotRepository(0)}.git`);
  expect(await git(kept, "show", `${first}:file.txt`)).toBe("first\none");
}, 600_000);

test("what cannot be restored is said, and the task goes on from what there is", async () => {
  const gone = "0123456789012345678901234567890123456789";
  const house = await openHouse({
    restore: { title: "turn 9", repositories: [{ commit: gone, head: gone }], session: gone },
  });
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello" });
  await house.until(endOf("prm_1"));
  const said = textOf(house.events(), "notice");
  expect(said).toContain("demo could not be restored from turn 9");
  expect(said).toContain("The conversation could not be restored from turn 9");
  expect(said).not.toContain("Restored from");
}, 600_000);
