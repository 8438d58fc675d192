import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestEvent } from "../domain/event.ts";
import { sessionEventSchema } from "../domain/session.ts";
import { partOf } from "./agents/heard.ts";
import { followSpool } from "./follow-spool.ts";
import { keepPrompts } from "./kept-prompts.ts";
import { openSpool } from "./spool.ts";
import type { SpoolFollower } from "./spool-follower.ts";
import { type GuestState, openStateFile } from "./state.ts";

const root = mkdtempSync(join(tmpdir(), "ccw-follow-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const fixtures = join(import.meta.dir, "fixtures");

/** As a guest opens them. */
function open(folder: string, acked: number) {
  const state = openStateFile(join(folder, "state.json"));
  const spool = openSpool({ folder, acked, segmentBytes: 300, follower: followSpool(state) });
  return { state, spool };
}

/** What is remembered, without how far it was written. */
const remembered = ({ value }: { value: GuestState }) => ({ ...value, events: 0, format: 0 });

type Remembered = ReturnType<typeof remembered>;

const ended = (promptId: string): GuestEvent => ({
  ...{ kind: "turn_ended", promptId, outcome: "done", text: "" },
  usage: { inputTokens: 0, outputTokens: 0 },
});
const use = (toolUseId: string): GuestEvent => ({ kind: "tool_use", toolUseId, name: "Bash", input: {} });
const result = (toolUseId: string): GuestEvent => ({
  ...{ kind: "tool_result", toolUseId, isError: false, text: "x".repeat(100), omitted: 0 },
});

test("killed at any write, a guest is followed by one that remembers exactly what is told", async () => {
  const folder = join(root, "life");
  /** Copies of what was on the disk at an instant, and what the next guest has to remember there. */
  const deaths: { folder: string; acked: number; last: number; state: () => Remembered }[] = [];
  let acked = 0;
  const die = (last: number, state: () => Remembered) => {
    const copy = join(root, `death-${deaths.length}`);
    cpSync(folder, copy, { recursive: true });
    deaths.push({ folder: copy, acked, last, state });
  };

  const state = openStateFile(join(folder, "state.json"));
  const inner = followSpool(state);
  const follower: SpoolFollower = {
    ...inner,
    take(line) {
      let after = remembered(state);
      die(line.n, () => after);
      inner.take(line);
      after = remembered(state);
      const now = after;
      die(line.n, () => now);
    },
  };
  const spool = openSpool({ folder, acked: 0, segmentBytes: 300, follower });
  const prompts = keepPrompts(state);
  const known = () => {
    const now = remembered(state);
    die(spool.last, () => now);
  };
  const acknowledge = () => {
    acked = spool.last;
    spool.acknowledge(acked);
    known();
  };

  state.update({ heard: { upTo: "", parts: [] }, prepared: true });
  prompts.add({ promptId: "a", text: "a", images: [] }, false);
  known();
  await spool.append({ kind: "turn_started", promptId: "a" });
  await spool.append({ kind: "assistant_text", blockId: "msg:0", text: "Well." });
  prompts.add({ promptId: "b", text: "b", images: [] }, true);
  prompts.add({ promptId: "c", text: "c", images: [] }, false);
  known();
  await spool.append(use("t1"));
  await spool.append({ kind: "prompt_taken", promptId: "b" });
  await spool.append(result("t1"));
  acknowledge();
  await spool.append({ kind: "question", requestId: "q", tool: "AskUserQuestion", input: {} });
  await spool.append({ kind: "question_closed", requestId: "q" });
  for (let i = 2; i < 8; i++) {
    await spool.append(use(`t${i}`));
    await spool.append(result(`t${i}`));
    if (i % 3 === 0) acknowledge();
  }
  await spool.append(ended("a"));
  prompts.interrupt();
  known();
  await spool.append({ kind: "turn_started", promptId: "c" });
  await spool.append(ended("c"));
  await spool.append({ kind: "finished", outcome: "completed", text: "", hint: "" }, { command: 7 });
  acknowledge();
  spool.close();

  expect(deaths.length).toBeGreaterThan(50);
  for (const death of deaths) {
    // In the middle of the next write, too.
    writeFileSync(join(death.folder, "state.json.new"), '{"lastComm');
    const segment = readdirSync(death.folder).findLast((name) => name.startsWith("events-"));
    if (segment !== undefined) appendFileSync(join(death.folder, segment), '{"n":99,"event":{"kin');
    const next = open(death.folder, death.acked);
    expect(next.spool.last).toBe(death.last);
    expect(remembered(next.state)).toEqual(death.state());
    next.spool.close();
  }
  expect(state.value).toMatchObject({ lastCommand: 7, lastPromptId: "c", questions: [] });
});

test("what is remembered is on the disk before its lines are deleted, without a write for each line", async () => {
  const { state, spool } = open(join(root, "trimmed"), 0);
  state.update({ heard: { upTo: "", parts: [] } });
  const told: string[] = [];
  for (let i = 0; i < 40; i++) {
    const event = use(`t${i}`);
    await spool.append(event);
    told.push(partOf(event) ?? "");
    if (i % 7 === 0) spool.acknowledge(spool.last);
  }
  expect(JSON.parse(readFileSync(join(root, "trimmed/state.json"), "utf8")).heard.parts.length).toBeLessThan(
    40,
  );
  spool.close();
  const next = open(join(root, "trimmed"), spool.acked);
  expect(next.state.value.heard?.parts).toEqual(told);
});

const linesOf = (body: string) => body.split("\n").filter((line) => line !== "");

test.each(["format-1", "format-2"])("state and spool of %s are understood by this guest", async (name) => {
  const folder = join(root, name);
  cpSync(join(fixtures, name), folder, { recursive: true });
  const { state, spool } = open(folder, 5);
  expect(state.unread).toBeUndefined();
  expect(state.value).toMatchObject({
    lastCommand: 3,
    openPrompt: { promptId: "prm_1", key: "prm_1", images: [{ mediaType: "image/png" }] },
    joining: [{ promptId: "prm_2", taken: false, told: false, withdrawn: false }],
    nextPrompts: [{ promptId: "prm_3" }],
    lastPromptId: "prm_1",
    questions: ["req_1"],
    prepared: true,
    mode: { base: "act", value: "plan" },
    snapshots: { count: 1, warned: ["big file"] },
  });
  expect(state.value.heard).toEqual(
    name === "format-1"
      ? { upTo: "a1000000-0000-4000-8000-000000000003", parts: [] }
      : { upTo: "", parts: ["block msg_1:0", "tool_use toolu_1", "tool_result toolu_1"] },
  );
  const events = linesOf(spool.batch().body).map((line) => sessionEventSchema.parse(JSON.parse(line)));
  expect(events.map(({ n }) => n)).toEqual([6, 7, 8, 9]);
  await spool.append(ended("prm_1"));
  spool.close();
  expect(open(folder, 5).state.value.openPrompt?.promptId).toBe("prm_2");
});

test("what a newer guest wrote beside what is known here is left alone", () => {
  const folder = join(root, "newer");
  mkdirSync(folder);
  writeFileSync(join(folder, "state.json"), '{"format":9,"events":1,"prepared":true,"colour":"blue"}');
  writeFileSync(
    join(folder, "events-0000000000000001.ndjson"),
    '{"n":1,"colour":"blue","event":{"kind":"turn_started","promptId":"a","colour":"blue"}}\n',
  );
  const { state, spool } = open(folder, 0);
  expect(state.unread).toBeUndefined();
  expect(state.value.prepared).toBe(true);
  expect(linesOf(spool.batch().body)).toHaveLength(1);
});

test("a state of which a part cannot be read is told, and all else goes on", () => {
  const folder = join(root, "part");
  mkdirSync(folder);
  const path = join(folder, "state.json");
  writeFileSync(path, '{"lastCommand":4,"prepared":true,"questions":"none","model":7}');
  const state = openStateFile(path);
  expect(state.unread).toContain("questions, model");
  expect(state.value).toMatchObject({ lastCommand: 4, prepared: true, questions: [], model: null });
  state.update({});
  // Told once.
  expect(openStateFile(path).unread).toBeUndefined();
  expect(readFileSync(`${path}.unread`, "utf8")).toContain('"none"');
});

test.each(["", "{", "null", "\0\0\0\0"])(
  "a state that is %j is told, and what was worked on is not made anew",
  (text) => {
    const folder = mkdtempSync(join(root, "torn-"));
    const path = join(folder, "state.json");
    writeFileSync(path, text);
    const state = openStateFile(path, () => ({ prepared: true }));
    expect(state.unread).toContain("cannot be read");
    expect(state.value).toMatchObject({ prepared: true, lastCommand: 0 });
  },
);

test("an event that cannot be read any more is replaced by a word about it, and the others are sent", async () => {
  const folder = join(root, "rotten");
  const first = openSpool({ folder, acked: 0 });
  for (const id of ["a", "b", "c"]) await first.append({ kind: "turn_started", promptId: id });
  first.close();
  const path = join(folder, "events-0000000000000001.ndjson");
  writeFileSync(path, readFileSync(path, "utf8").replace('"turn_started","promptId":"b"', "\0".repeat(29)));
  const spool = openSpool({ folder, acked: 0 });
  const events = linesOf(spool.batch().body).map((line) => sessionEventSchema.parse(JSON.parse(line)));
  expect(events.map(({ n, event }) => [n, event.kind])).toEqual([
    [1, "turn_started"],
    [2, "notice"],
    [3, "turn_started"],
  ]);
  await spool.append({ kind: "turn_started", promptId: "d" });
  expect(spool.last).toBe(4);
  spool.close();
  // An empty last segment, as a guest leaves that dies before its first line.
  writeFileSync(join(folder, "events-0000000000000005.ndjson"), "");
  truncateSync(path);
  expect(openSpool({ folder, acked: 4 }).last).toBe(4);
});
