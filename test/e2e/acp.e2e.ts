import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../src/domain/errors.ts";
import { buildAcpImage, claudeAcp, opencode } from "./acp-image.ts";
import {
  type AgentUnderTest,
  changesNothingYet,
  fixesTheTest,
  isInterrupted,
  isKilledInMidTurn,
  plansFirst,
  remembersElsewhere,
} from "./agent-life.ts";
import {
  type Appliance,
  bodiesOf,
  type EngineUnderTest,
  enginesUnderTest,
  freshFolder,
  reaches,
  startAppliance,
  submit,
} from "./appliance.ts";
import { begun, lastText, say } from "./turns.ts";

/** As an operator sets up agents of the Agent Client Protocol: two that exist, and one that does not. */
const configOf = (image: string) => `
[agents.claude-acp]
title = "Claude over ACP"
command = ["claude-agent-acp"]
image = "${image}"
conversation = [".claude/projects"]
variables.ANTHROPIC_BASE_URL = "{model_url}"
variables.ANTHROPIC_AUTH_TOKEN = "{model_token}"
variables.ANTHROPIC_MODEL = "{model}"
variables.CLAUDE_CODE_EXECUTABLE = "/usr/local/bin/claude"
variables.CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC = "1"

[agents.opencode]
title = "OpenCode"
command = ["opencode", "acp"]
image = "${image}"
conversation = [".local/share/opencode"]
variables.OPENCODE_DISABLE_AUTOUPDATE = "1"
variables.OPENCODE_DISABLE_MODELS_FETCH = "1"
variables.OPENCODE_CONFIG_CONTENT = '''{
  "model": "anthropic/claude-sonnet-4-5",
  "small_model": "anthropic/claude-sonnet-4-5",
  "agent": { "plan": { "permission": { "bash": "ask" } } },
  "provider": { "anthropic": { "options": { "baseURL": "{model_url}/v1", "apiKey": "{model_token}" } } },
  "autoupdate": false,
  "share": "disabled"
}'''

[agents.nobody]
title = "Nobody"
command = ["no-such-agent", "acp"]
`;

/**
 * Real agents behind the Agent Client Protocol, in containers, with the demo model as their model. Each scenario is played on
 * all engines at once: most of it is waiting.
 */
const houses = enginesUnderTest().map((engine) => ({ engine, dataFolder: freshFolder() }));
const appliances = new Map<EngineUnderTest, Appliance>();
const onAll = <Outcome>(act: (house: (typeof houses)[number]) => Promise<Outcome>) =>
  Promise.allSettled(houses.map(act)).then((outcomes) => {
    const failed = outcomes.flatMap((outcome, index) =>
      outcome.status === "rejected"
        ? [
            new Error(`on ${houses[index]?.engine.name}: ${messageOf(outcome.reason)}`, {
              cause: outcome.reason,
            }),
          ]
        : [],
    );
    if (failed.length > 0) throw failed.length === 1 ? failed[0] : new AggregateError(failed);
  });

beforeAll(
  () =>
    onAll(async ({ engine, dataFolder }) => {
      const image = await buildAcpImage(engine, [claudeAcp, opencode]);
      writeFileSync(join(dataFolder, "ccw.toml"), configOf(image));
      appliances.set(engine, await startAppliance({ engine, dataFolder }));
    }),
  600_000,
);
afterAll(
  () =>
    onAll(async ({ engine, dataFolder }) => {
      await appliances.get(engine)?.stop();
      rmSync(dataFolder, { recursive: true, force: true });
    }),
  600_000,
);

function scenario(name: string, agent: string, play: (under: AgentUnderTest) => Promise<void>): void {
  const onEach = () =>
    onAll(async ({ engine }) => {
      const appliance = appliances.get(engine);
      if (appliance === undefined) throw new Error("its appliance did not start");
      await play({ appliance, engine, agent });
    });
  test(`${agent}: ${name}`, onEach, 600_000);
}

for (const agent of ["claude-acp", "opencode"]) {
  scenario(
    "a failing test is fixed and pushed, the requests are metered, and the turn is kept",
    agent,
    async (under) => {
      const id = await fixesTheTest(under, "Edit");
      // OpenCode looks for packages of its own at npm's, and does without.
      const refused = (await bodiesOf(under.appliance, id, "egress_refused")).map(({ target }) => target);
      expect(refused.filter((target) => agent !== "opencode" || target !== "registry.npmjs.org:443")).toEqual(
        [],
      );
    },
  );
  scenario("the conversation goes on after sleep, and in another container", agent, remembersElsewhere);
}

scenario(
  "in plan mode its edits are refused, and its commands are put before a person",
  "opencode",
  changesNothingYet,
);
scenario(
  "what runs is interrupted, and what a person says next comes before what waits",
  "claude-acp",
  isInterrupted,
);
scenario(
  "a sandbox that is killed in mid-turn is started again, and the turn goes on",
  "claude-acp",
  isKilledInMidTurn,
);
scenario("a plan is put before a person, and carried out when it is approved", "claude-acp", plansFirst);

scenario(
  "its question is put before a person, and the answer is acted on",
  "claude-acp",
  async ({ appliance, agent }) => {
    const { id } = await submit(appliance, { prompt: "demo: ask", agent });
    await reaches(appliance, id, "waiting");
    const [asked] = await bodiesOf(appliance, id, "question");
    const question = "Which colour shall I write down?";
    expect(asked).toMatchObject({
      tool: "AskUserQuestion",
      input: {
        questions: [{ question, header: "Colour", options: [{ label: "Red" }, { label: "Green" }, {}] }],
      },
    });
    const api = appliance.client.api.tasks[":id"];
    const answer = { kind: "answers" as const, answers: { [question]: "Green" } };
    const json = { requestId: asked?.requestId ?? "", answer };
    await appliance.client.read(api.answers.$post({ param: { id }, json }));
    await reaches(appliance, id, "completed");
    const [diff] = await appliance.client.read(api.diff.$get({ param: { id } }));
    expect(diff?.diff).toContain("+Green");
    expect(await bodiesOf(appliance, id, "notice")).toEqual([]);
  },
);
scenario(
  "a prompt sent at once has the next turn, before what waits",
  "claude-acp",
  async ({ appliance, agent }) => {
    const task = await submit(appliance, { prompt: "demo: slow 12", agent });
    await begun(appliance, task.id);
    await say(appliance, task.id, "demo: jot later");
    await say(appliance, task.id, "demo: jot now", true);
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_started")).toHaveLength(3);
    expect(await lastText(appliance, task.id)).toContain("now\nlater");
  },
);

scenario(
  "an agent that the image does not have fails its task, and says what is missing",
  "nobody",
  async ({ appliance, agent }) => {
    const task = await submit(appliance, { prompt: "demo: fix-test", agent });
    const failed = await reaches(appliance, task.id, "failed");
    expect(JSON.stringify(failed)).toContain("no Nobody that can be started");
  },
);

scenario(
  "agents are named to people, and one that there is not is refused",
  "gemini",
  async ({ appliance, agent }) => {
    const { agents } = await appliance.client.read(appliance.client.api.status.$get());
    expect(agents.map(({ title }) => title)).toContain("Claude over ACP");
    await expect(submit(appliance, { prompt: "x", agent })).rejects.toThrow('no agent named "gemini"');
  },
);
