import { afterEach, beforeEach, expect, test } from "bun:test";
import { createAcpHouse, type PlayedAgent } from "./acp.fixture.ts";

let house: ReturnType<typeof createAcpHouse>;
beforeEach(() => {
  house = createAcpHouse();
});
afterEach(() => house.close());

const text = (words: string, messageId = "m") => ({
  sessionUpdate: "agent_message_chunk",
  messageId,
  content: { type: "text", text: words },
});
const answering: PlayedAgent = {
  async prompt({ texts, say }) {
    await say(text(`heard: ${texts.at(-1)}`));
    return { stopReason: "end_turn" };
  },
};

test("a turn is told once and in order, with its words, thoughts, tools and usage", async () => {
  const agent = house.start({
    async prompt({ say }) {
      await say({ sessionUpdate: "agent_thought_chunk", content: { type: "text", text: "Hm. " } });
      await say({ sessionUpdate: "agent_thought_chunk", content: { type: "text", text: "So." } });
      await say(text("I "));
      await say(text("look."));
      const tool = { toolCallId: "t1", title: "ls", kind: "execute", status: "pending", rawInput: {} };
      await say({ sessionUpdate: "tool_call", ...tool });
      await say({ sessionUpdate: "tool_call_update", toolCallId: "t1", rawInput: { command: "ls" } });
      await say({
        sessionUpdate: "tool_call_update",
        toolCallId: "t1",
        status: "completed",
        rawOutput: "a.txt",
      });
      const edit = { toolCallId: "t2", title: "Edit a.txt", kind: "edit", status: "completed" };
      const diff = { type: "diff", path: "/w/a.txt", oldText: "x", newText: "y" };
      await say({ sessionUpdate: "tool_call", ...edit, content: [diff] });
      await say(text("Done.", "m2"));
      return { stopReason: "end_turn", usage: { inputTokens: 5, outputTokens: 2, cachedReadTokens: 10 } };
    },
  });
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(agent.events.filter(({ kind }) => kind !== "assistant_delta")).toMatchObject([
    { kind: "turn_started", promptId: "p1" },
    { kind: "thinking", text: "Hm. So." },
    { kind: "assistant_text", text: "I look." },
    { kind: "tool_use", toolUseId: "t1", name: "Bash", input: { command: "ls" } },
    { kind: "tool_result", toolUseId: "t1", isError: false, text: "a.txt" },
    { kind: "tool_use", name: "Edit", input: { file_path: "/w/a.txt", old_string: "x", new_string: "y" } },
    { kind: "tool_result", toolUseId: "t2", isError: false },
    { kind: "assistant_text", text: "Done." },
    { kind: "turn_ended", outcome: "done", text: "Done.", usage: { inputTokens: 15, outputTokens: 2 } },
  ]);
});

test("a thousand updates and the answer in one go keep their order", async () => {
  const agent = house.start({
    async prompt({ raw, sessionId }) {
      const lines = Array.from({ length: 1000 }, (_, n) =>
        JSON.stringify({
          jsonrpc: "2.0",
          method: "session/update",
          params: { sessionId, update: text(`${n},`) },
        }),
      );
      raw(lines.join("\n"));
      return { stopReason: "end_turn" };
    },
  });
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  const whole = Array.from({ length: 1000 }, (_, n) => `${n},`).join("");
  expect(agent.of("turn_ended")[0]?.text).toBe(whole);
});

test("an agent without a place for instructions is given them with its first prompt, once", async () => {
  const agent = house.start(answering);
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  agent.prompt("p2");
  await agent.until(() => agent.of("turn_ended").length === 2);
  const given = house.askedFor("session/prompt").map((params) => JSON.stringify(params));
  expect(given[0]).toContain("Mind the sandbox.");
  expect(given[1]).not.toContain("Mind the sandbox.");
  const [hello] = house.askedFor("initialize");
  expect(hello).toMatchObject({ clientCapabilities: { fs: { readTextFile: false }, terminal: false } });
});

test("one that has such a place is given them there", async () => {
  const agent = house.start({ ...answering, capabilities: { sessionCapabilities: { systemPrompt: {} } } });
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(JSON.stringify(house.askedFor("session/new"))).toContain("Mind the sandbox.");
  expect(JSON.stringify(house.askedFor("session/prompt"))).not.toContain("Mind the sandbox.");
});

test("what is sent at once has the next turn", async () => {
  const go = Promise.withResolvers<void>();
  const agent = house.start({
    async prompt() {
      await go.promise;
      return { stopReason: "end_turn" };
    },
  });
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_started").length === 1);
  agent.now("p2");
  go.resolve();
  await agent.until(() => agent.of("turn_ended").length === 2);
  expect(agent.kinds()).toEqual(["turn_started", "turn_ended", "turn_started", "turn_ended"]);
});

test("an interruption cancels the turn and what was open in it, and what waited never runs", async () => {
  const outcomes: unknown[] = [];
  const agent = house.start(
    {
      async prompt({ client, sessionId, cancelled }) {
        const toolCall = { toolCallId: "t", title: "rm", kind: "execute" as const };
        const options = [{ optionId: "y", name: "Yes", kind: "allow_once" as const }];
        outcomes.push(await client.request("session/request_permission", { sessionId, toolCall, options }));
        await cancelled;
        return { stopReason: "cancelled" };
      },
    },
    { mode: "plan" },
  );
  agent.prompt("p1");
  await agent.until(() => agent.of("question").length === 1);
  agent.now("p2");
  agent.run.interrupt();
  await agent.until(() => agent.of("turn_ended").length === 2);
  expect(outcomes).toEqual([{ outcome: { outcome: "cancelled" } }]);
  expect(agent.of("turn_ended")).toMatchObject([
    { promptId: "p2", outcome: "interrupted" },
    { promptId: "p1", outcome: "interrupted" },
  ]);
  expect(agent.of("question_closed")).toHaveLength(1);
  expect(house.askedFor("session/cancel")).toEqual([{ sessionId: "s1" }]);
});

test("modes and models are set where the agent offers them, and said where not", async () => {
  const modes = {
    currentModeId: "ask",
    availableModes: [
      { id: "ask", name: "Ask" },
      { id: "plan", name: "Plan" },
    ],
  };
  const options = [
    { value: "big", name: "Big" },
    { value: "small", name: "Small" },
  ];
  const model = { id: "m", category: "model", name: "Model", type: "select", currentValue: "big", options };
  const agent = house.start(
    { ...answering, session: { modes, configOptions: [model] } },
    { mode: "plan", model: "small" },
  );
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(house.askedFor("session/set_mode")).toEqual([{ sessionId: "s1", modeId: "plan" }]);
  expect(house.askedFor("session/set_config_option")).toEqual([
    { sessionId: "s1", configId: "m", value: "small" },
  ]);
  agent.run.setMode("act");
  agent.run.setModel("huge");
  await agent.until(() => agent.of("notice").length === 1);
  expect(house.askedFor("session/set_mode")[1]).toEqual({ sessionId: "s1", modeId: "ask" });
  expect(agent.of("notice")[0]?.text).toContain('no model "huge"');

  const other = house.start(answering, { mode: "plan" });
  other.prompt("p2");
  await other.until(() => other.of("turn_ended").length === 1);
  expect(JSON.stringify(other.of("notice"))).toContain("no plan mode");
});

test("the turn of an agent that dies is not ended, and the next process goes on with it", async () => {
  const never = new Promise<never>(() => {});
  const first = house.start({ prompt: () => never });
  first.prompt("p1", "Do it");
  await first.until(() => house.askedFor("session/prompt").length === 1);
  first.die();
  expect(await first.run.exited).toMatchObject({ how: "signal SIGKILL", stderr: "it said so" });
  expect(first.of("turn_ended")).toEqual([]);

  const shown = [
    { sessionUpdate: "user_message_chunk" as const, content: { type: "text" as const, text: "Do it" } },
    { sessionUpdate: "agent_message_chunk" as const, content: { type: "text" as const, text: "old words" } },
  ];
  const second = house.start({ ...answering, capabilities: { loadSession: true }, shown });
  second.prompt("p1", "Do it");
  await second.until(() => second.of("turn_ended").length === 1);
  expect(house.askedFor("session/prompt")[1]).toEqual({
    sessionId: "s1",
    prompt: [{ type: "text", text: "Continue from where you left off." }],
  });
  expect(JSON.stringify(second.events)).not.toContain("old words");

  // Killed before it was told that it had ended.
  const third = house.start({ ...answering, capabilities: { loadSession: true }, shown });
  third.prompt("p1", "Do it");
  await third.until(() => third.of("turn_ended").length === 1);
  expect(house.askedFor("session/prompt")).toHaveLength(2);
  expect(third.of("turn_ended")).toMatchObject([{ outcome: "done" }]);
});

test("a prompt that did not get into the conversation is given again whole", async () => {
  const first = house.start({ prompt: () => new Promise<never>(() => {}) });
  first.prompt("p1", "Do it");
  await first.until(() => house.askedFor("session/prompt").length === 1);
  first.die();
  await first.run.exited;
  const second = house.start({ ...answering, capabilities: { loadSession: true }, shown: [] });
  second.prompt("p1", "Do it");
  await second.until(() => second.of("turn_ended").length === 1);
  expect(house.askedFor("session/prompt")[1]).toMatchObject({ prompt: [{ text: "Do it" }] });
});

test("one that cannot take up its conversation begins a new one, and is told what was said last", async () => {
  const first = house.start(answering);
  first.prompt("p1", "Remember the pear");
  await first.until(() => first.of("turn_ended").length === 1);
  await first.run.kill();
  const second = house.start(answering);
  second.prompt("p2", "And now?");
  await second.until(() => second.of("turn_ended").length === 1);
  expect(second.of("notice")[0]?.text).toContain("cannot take up a conversation");
  const given = JSON.stringify(house.askedFor("session/prompt")[1]);
  expect(given).toContain("Remember the pear");
  expect(given).toContain("heard: Remember the pear");
});

test("what nobody understands is told a few times, and the turn goes on", async () => {
  const agent = house.start({
    async prompt({ raw, say, client, sessionId }) {
      raw("this is no JSON");
      raw(JSON.stringify({ jsonrpc: "2.0", id: 4711, result: {} }));
      raw(JSON.stringify([1, 2]));
      raw(JSON.stringify({ jsonrpc: "2.0", method: "session/update", params: "x" }));
      raw("x".repeat(33 * 1024 * 1024));
      await say({ sessionUpdate: "something_new" });
      for (let i = 0; i < 50; i++) raw("{");
      await client.request("fs/read_text_file", { sessionId, path: "/etc/passwd" }).catch(() => {});
      await client.request("terminal/none", {}).catch(() => {});
      await say(text("Still here."));
      return { stopReason: "because" };
    },
  });
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  const notices = agent.of("notice").map((notice) => notice.text);
  expect(notices.length).toBeLessThan(20);
  for (const words of ["no message of the protocol", "not asked", "over 32 MiB", "something_new", "because"])
    expect(notices.join("\n")).toContain(words);
  expect(agent.of("turn_ended")).toMatchObject([{ outcome: "done", text: "Still here." }]);
});

test("an error of the agent ends the turn with its words", async () => {
  const agent = house.start({ prompt: () => Promise.reject(new Error("out of credit")) });
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(agent.of("turn_ended")).toMatchObject([
    { outcome: "error", text: expect.stringContaining("out of credit") },
  ]);
});

test("one whose every answer breaks off is told to go on ten times, and has failed then", async () => {
  let asked = 0;
  const agent = house.start({
    prompt: () => {
      asked++;
      return Promise.reject(
        new Error("API Error: Connection closed mid-response. What is above may be cut."),
      );
    },
  });
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(agent.of("turn_ended")).toMatchObject([{ outcome: "error" }]);
  expect(agent.of("notice")).toHaveLength(10);
  expect(asked).toBe(11);
});

test("variables are filled in, and a model's name that would break out of one is refused", async () => {
  const variables = {
    CONFIG: '{"url":"{model_url}","key":"{model_token}","model":"x/{model}"}',
    ONLY: "{model}",
  };
  const agent = house.start(answering, { model: "m-1", program: { variables } });
  expect(agent.env()["CONFIG"]).toBe('{"url":"http://door/model","key":"scoped","model":"x/m-1"}');
  expect(agent.env()["ONLY"]).toBe("m-1");
  await agent.run.kill();
  const usual = house.start(answering, { program: { variables } });
  expect(usual.env()).not.toHaveProperty("ONLY");
  await usual.run.kill();
  expect(() => house.start(answering, { model: 'm","key":"', program: { variables } })).toThrow(
    "cannot be the name of a model",
  );
});
