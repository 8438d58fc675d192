import { afterEach, beforeEach, expect, test } from "bun:test";
import { createAcpHouse, type PlayedAgent } from "./acp.fixture.ts";
import { formIn } from "./acp-forms.ts";

/** What an agent wants to know from a person in the middle of a turn. */

let house: ReturnType<typeof createAcpHouse>;
beforeEach(() => {
  house = createAcpHouse();
});
afterEach(() => house.close());

const requestOf = (properties: object, more: object = {}) => ({
  ...{ mode: "form", sessionId: "s1", message: "Tell me." },
  requestedSchema: { type: "object", properties, ...more },
});
const answers: unknown[] = [];
const asking = (request: object): PlayedAgent => ({
  async prompt({ client }) {
    answers.push(await client.request<unknown, object>("elicitation/create", request));
    return { stopReason: "end_turn" };
  },
});
const asked = async (request: object) => {
  answers.length = 0;
  const agent = house.start(asking(request));
  agent.prompt(crypto.randomUUID());
  return agent;
};
const said = (...pairs: [string, string][]) => ({
  ...{ behavior: "allow", updatedInput: { answers: Object.fromEntries(pairs) } },
});
const age = requestOf({ age: { type: "integer" }, name: { type: "string" } }, { required: ["age"] });
const form = formIn(age);
const [ageWords, nameWords] = form.kind === "form" ? form.questions.map(({ question }) => question) : [];

test("forms are offered, put before a person, and answered with what they said", async () => {
  const agent = await asked(age);
  await agent.until(() => agent.of("question").length === 1);
  expect(house.askedFor("initialize")).toMatchObject([{ clientCapabilities: { elicitation: { form: {} } } }]);
  const [question] = agent.of("question");
  expect(question).toMatchObject({ tool: "AskUserQuestion" });
  await agent.run.answer(question?.requestId ?? "", said([ageWords ?? "", "40"], [nameWords ?? "", "Ada"]));
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(answers).toEqual([{ action: "accept", content: { age: 40, name: "Ada" } }]);
  expect(agent.of("question_closed").map(({ requestId }) => requestId)).toEqual([question?.requestId ?? ""]);
});

test("what does not fit is asked again, alone, and never told to the agent", async () => {
  const agent = await asked(age);
  await agent.until(() => agent.of("question").length === 1);
  const ask = async (at: number, ...pairs: [string, string][]) =>
    await agent.run.answer(agent.of("question")[at]?.requestId ?? "", said(...pairs));
  await ask(0, [ageWords ?? "", "old"], [nameWords ?? "", "Ada"]);
  expect(agent.of("notice").map(({ text }) => text)).toEqual([expect.stringContaining("a whole number")]);
  expect(answers).toEqual([]);
  expect(agent.of("question")[1]?.input).toMatchObject({ questions: [{ question: ageWords }] });
  await ask(1, [ageWords ?? "", "41"]);
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(answers).toEqual([{ action: "accept", content: { age: 41, name: "Ada" } }]);
  expect(agent.of("question_closed")).toHaveLength(2);
});

test("a person's no is told, and their words after it", async () => {
  const agent = await asked(requestOf({}));
  await agent.until(() => agent.of("question").length === 1);
  expect(agent.of("question")[0]).toMatchObject({ tool: "a form", input: { description: "Tell me." } });
  await agent.run.answer(agent.of("question")[0]?.requestId ?? "", { behavior: "deny", message: "Not now." });
  await agent.until(() => agent.of("question").length === 2);
  expect(JSON.stringify(house.askedFor("session/prompt")[1])).toContain("Not now.");
  await agent.run.answer(agent.of("question")[1]?.requestId ?? "", { behavior: "allow" });
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(answers).toEqual([{ action: "decline" }, { action: "accept", content: {} }]);
});

test("a form that cannot be asked is declined with words, and one of another session is cancelled", async () => {
  const agent = await asked({ ...age, mode: "url", url: "https://example.org", elicitationId: "e" });
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(answers).toEqual([{ action: "decline" }]);
  expect(agent.of("notice").map(({ text }) => text)).toEqual([
    expect.stringContaining("sends a person to an address"),
  ]);
  const other = await asked({ ...age, sessionId: "s2" });
  await other.until(() => other.of("turn_ended").length === 1);
  expect(answers).toEqual([{ action: "cancel" }]);
  expect([...agent.of("question"), ...other.of("question")]).toEqual([]);
});

test("an open form is cancelled by an interrupt and closed with the agent", async () => {
  const interrupted = await asked(age);
  await interrupted.until(() => interrupted.of("question").length === 1);
  interrupted.run.interrupt();
  await interrupted.until(() => interrupted.of("turn_ended").length === 1);
  expect(answers).toEqual([{ action: "cancel" }]);
  expect(interrupted.of("question_closed")).toHaveLength(1);
  const dying = await asked(age);
  await dying.until(() => dying.of("question").length === 1);
  dying.die();
  await dying.run.exited;
  expect(dying.of("question_closed")).toHaveLength(1);
});

test("a form that the agent withdraws is closed, and its turn goes on", async () => {
  const withdrawn = new AbortController();
  const agent = house.start({
    async prompt({ client }) {
      const options = { cancellationSignal: withdrawn.signal };
      await client.request<unknown, object>("elicitation/create", age, options).catch(() => {});
      return { stopReason: "end_turn" };
    },
  });
  agent.prompt("p1");
  await agent.until(() => agent.of("question").length === 1);
  withdrawn.abort();
  await agent.until(() => agent.of("turn_ended").length === 1);
  await agent.until(() => agent.of("question_closed").length === 1);
  expect(agent.of("turn_ended")).toMatchObject([{ outcome: "done" }]);
});
