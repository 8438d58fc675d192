import { afterEach, beforeEach, expect, test } from "bun:test";
import type { SessionUpdate } from "@agentclientprotocol/sdk";
import type { GuestEvent } from "../../domain/event.ts";
import { createAcpHouse, type PlayedAgent } from "./acp.fixture.ts";
import { alsoHeard, type Heard, nothingHeard } from "./heard.ts";

let house: ReturnType<typeof createAcpHouse>;
beforeEach(() => {
  house = createAcpHouse();
});
afterEach(() => house.close());

const words = (text: string, messageId: string, who: "agent" | "user" = "agent"): SessionUpdate => ({
  sessionUpdate: `${who}_message_chunk`,
  messageId,
  content: { type: "text", text },
});
const call = (toolCallId: string): SessionUpdate => ({
  ...{ sessionUpdate: "tool_call", toolCallId, title: "ls", kind: "execute", status: "in_progress" },
});
const result = (toolCallId: string, rawOutput: string): SessionUpdate => ({
  ...{ sessionUpdate: "tool_call_update", toolCallId, status: "completed", rawOutput },
});

/** One turn, as it is said, and as it stands in the conversation afterwards. */
const said = [
  words("I ", "m1"),
  words("look.", "m1"),
  call("t1"),
  words("Mean", "m2"),
  result("t1", "a.txt"),
  words("while.", "m2"),
  call("t2"),
  result("t2", "b.txt"),
  words("Done.", "m3"),
];
const shown: SessionUpdate[] = [
  words("Earlier", "u0", "user"),
  words("Of before.", "m0"),
  words("<system-reminder>\nMind.\n</system-reminder>", "u1", "user"),
  words("Do it", "u1", "user"),
  words("I look.", "m1"),
  call("t1"),
  result("t1", "a.txt"),
  words("Meanwhile.", "m2"),
  call("t2"),
  result("t2", "b.txt"),
  { sessionUpdate: "plan", entries: [{ content: "Look", priority: "high", status: "completed" }] },
  words("Done.", "m3"),
];

/** A first process that has said so much of it, and what was told then. */
async function cutOff(updates: SessionUpdate[]): Promise<GuestEvent[]> {
  const agent = house.start({
    async prompt({ say }) {
      for (const update of updates) await say(update);
      return new Promise(() => {});
    },
  });
  agent.prompt("p1", "Do it");
  await agent.until(() => house.askedFor("session/prompt").length === 1);
  await Bun.sleep(20);
  agent.die();
  await agent.run.exited;
  return agent.events;
}

/** What the next process tells before it goes on. */
async function toldNext(conversation: SessionUpdate[], heard: Heard, key = "p1"): Promise<string[]> {
  const next: PlayedAgent = { capabilities: { loadSession: true }, shown: conversation };
  const agent = house.start(next, { unfinished: { key, heard } });
  agent.prompt("p1", "Do it");
  await agent.until(() => agent.of("turn_ended").length === 1);
  return agent.events.slice(0, agent.kinds().indexOf("turn_started")).map(nameOf);
}

const nameOf = (event: GuestEvent): string => {
  if (event.kind === "assistant_text") return event.text;
  if (event.kind === "tool_use") return `calls ${event.toolUseId}`;
  return event.kind === "tool_result" ? event.text : event.kind;
};
const isPart = ({ kind }: GuestEvent) => ["assistant_text", "tool_use", "tool_result"].includes(kind);

test("what was said and not heard is told by the next process: all of it once, wherever it was cut off", async () => {
  const events = (await cutOff(said)).filter(isPart);
  expect(events.map(nameOf)).toEqual([
    ...["I look.", "calls t1", "a.txt", "Meanwhile.", "calls t2", "b.txt", "Done."],
  ]);
  const all = events.map(nameOf).sort();
  for (let count = 0; count <= events.length; count++) {
    const heard = events.slice(0, count).reduce(alsoHeard, nothingHeard);
    const told = await toldNext(shown, heard);
    expect([...events.slice(0, count).map(nameOf), ...told].sort()).toEqual(all);
  }
});

test("a call whose end nobody wrote down is told to have ended", async () => {
  await cutOff(said);
  const heard = alsoHeard(nothingHeard, { kind: "tool_use", toolUseId: "t1", name: "Bash", input: {} });
  expect(
    await toldNext([...shown.slice(0, 6), words("Continue from where you left off.", "u2", "user")], heard),
  ).toEqual(["I look.", "The turn ended before it did."]);
});

test("words that an agent names anew each time are not told twice; its calls are known", async () => {
  const events = (await cutOff(said.slice(0, 3))).filter(isPart);
  const renamed = shown.map((update) =>
    "messageId" in update ? { ...update, messageId: `x${update.messageId}` } : update,
  );
  const heard = events.slice(0, 2).reduce(alsoHeard, nothingHeard);
  expect(await toldNext(renamed, heard)).toEqual(["a.txt", "calls t2", "b.txt"]);
  const nameless = shown.map((update) => ("messageId" in update ? { ...update, messageId: null } : update));
  expect(await toldNext(nameless, heard)).toEqual(["a.txt", "calls t2", "b.txt"]);
});

test("of a turn that was told to its end, and of a prompt that never arrived, nothing is told", async () => {
  await cutOff(said);
  expect(await toldNext(shown, nothingHeard, "p0")).toEqual([]);
  expect(await toldNext(shown.slice(0, 2), nothingHeard)).toEqual([]);
});
