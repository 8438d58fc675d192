import { expect, test } from "bun:test";
import { configuredAgentsSchema, createAgents } from "./agents.ts";

const agentsOf = (given: object) => createAgents(configuredAgentsSchema.parse(given));
const why = (given: object) => {
  const [issue] = configuredAgentsSchema.safeParse(given).error?.issues ?? [];
  return `${issue?.path.join(".")}: ${issue?.message}`;
};

test("an agent that the operator sets up stands behind the built-in ones, with its own image", () => {
  const agents = agentsOf({ mine: { title: "Mine", command: ["mine", "acp"], image: "acme/mine:1" } });
  expect(agents.all.map(({ name }) => name)).toEqual(["claude", "codex", "mine"]);
  const mine = agents.named("mine");
  expect(mine).toMatchObject({ title: "Mine", api: "messages", acp: { command: ["mine", "acp"] } });
  expect(mine?.imageFor("slim")).toBe("acme/mine:1");
  expect(agents.named("codex")?.imageFor("slim")).toBe("slim-codex");
  expect(agents.named("codex")?.imageFor("own")).toBe("own");
  expect(agentsOf({ bare: { command: ["bare"] } }).named("bare")).toMatchObject({ title: "bare" });
  expect(agents.named("constructor")).toBeUndefined();
});

test("a bad entry is refused where it is bad, with the reason", () => {
  const command = ["mine"];
  expect(why({ claude: { command } })).toContain("built in");
  expect(why({ "My agent": { command } })).toContain("small letters");
  expect(why({ mine: {} })).toStartWith("mine.command");
  expect(why({ mine: { command: [] } })).toContain("must name a program");
  expect(why({ mine: { command, comand: 1 } })).toContain("comand");
  expect(why({ mine: { command, api: "chat" } })).toContain('"messages" or "responses"');
  expect(why({ mine: { command, image: "-bad image" } })).toBe(
    "mine.image: That is not an image reference such as `slim` or `registry/name:tag`.",
  );
  expect(why({ mine: { command, title: "a\nb" } })).toContain("control characters");
  expect(why({ mine: { command, variables: { KEY: "{modell}" } } })).toBe(
    "mine.variables.KEY: {modell} is no placeholder; there are {model_url}, {model_token}, {model}",
  );
  expect(why({ mine: { command, variables: { https_proxy: "x" } } })).toContain("appliance's own variable");
  expect(why({ mine: { command, variables: { "A B": "x" } } })).toContain("must be a variable's name");
  for (const path of ["../x", "/etc", "a//b", ".git", "a/*", ":(top)"])
    expect(why({ mine: { command, conversation: [path] } })).toContain("below the home folder");
});

test("braces of JSON are no placeholders", () => {
  const variables = { CONFIG: '{"a":{"url":"{model_url}/v1"},"b":{}}' };
  expect(agentsOf({ mine: { command: ["mine"], variables } }).named("mine")?.acp?.variables).toEqual(
    variables,
  );
});
