import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildAcpImage, claudeAcp, opencode } from "./acp-image.ts";
import {
  fixesTheTest,
  isInterrupted,
  isKilledInMidTurn,
  plansFirst,
  remembersElsewhere,
  wasMeteredAndKept,
} from "./agent-life.ts";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  freshFolder,
  reaches,
  startAppliance,
  submit,
} from "./appliance.ts";
import { begun, lastText, say } from "./turns.ts";

/** As an operator sets up agents of the Agent Client Protocol: two that exist, and one that does not. */
const configOf = (images: { claude: string; opencode: string }) => `
[agents.claude-acp]
title = "Claude over ACP"
command = ["claude-agent-acp"]
image = "${images.claude}"
conversation = [".claude/projects"]
variables.ANTHROPIC_BASE_URL = "{model_url}"
variables.ANTHROPIC_AUTH_TOKEN = "{model_token}"
variables.ANTHROPIC_MODEL = "{model}"
variables.CLAUDE_CODE_EXECUTABLE = "/usr/local/bin/claude"
variables.CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC = "1"
variables.IS_SANDBOX = "1"

[agents.opencode]
title = "OpenCode"
command = ["opencode", "acp"]
image = "${images.opencode}"
conversation = [".local/share/opencode"]
variables.OPENCODE_DISABLE_AUTOUPDATE = "1"
variables.OPENCODE_DISABLE_MODELS_FETCH = "1"
variables.OPENCODE_CONFIG_CONTENT = '''{
  "model": "anthropic/claude-sonnet-4-5",
  "small_model": "anthropic/claude-sonnet-4-5",
  "provider": { "anthropic": { "options": { "baseURL": "{model_url}/v1", "apiKey": "{model_token}" } } },
  "autoupdate": false,
  "share": "disabled"
}'''

[agents.nobody]
title = "Nobody"
command = ["no-such-agent", "acp"]
`;

/** Real agents behind the Agent Client Protocol, in containers, with the demo model as their model. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  let appliance: Appliance;
  const dataFolder = freshFolder();
  beforeAll(async () => {
    const images = {
      claude: await buildAcpImage(engine, claudeAcp),
      opencode: await buildAcpImage(engine, opencode),
    };
    writeFileSync(join(dataFolder, "ccw.toml"), configOf(images));
    appliance = await startAppliance({ engine, dataFolder });
  }, 600_000);
  afterAll(async () => {
    await appliance?.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  }, 600_000);

  const api = () => appliance.client.api.tasks[":id"];
  const claude = () => ({ appliance, engine, agent: "claude-acp" });

  test(
    "a failing test is fixed and pushed, the requests are metered, and the turn is kept",
    () => fixesTheTest(claude(), "Edit"),
    600_000,
  );

  test("OpenCode does the same by its own tools", async () => {
    const task = await submit(appliance, { prompt: "demo: jot pear", agent: "opencode" });
    await reaches(appliance, task.id, "completed");
    const [diff] = await appliance.client.read(api().diff.$get({ param: { id: task.id } }));
    expect(diff).toMatchObject({ pushed: true, diff: expect.stringContaining("+pear") });
    expect(await bodiesOf(appliance, task.id, "tool_use")).toMatchObject([{ name: "Bash" }]);
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toMatchObject([{ outcome: "done" }]);
    await wasMeteredAndKept({ appliance, engine, agent: "opencode" }, task.id);
  }, 600_000);

  test(
    "what runs is interrupted, and what a person says next comes before what waits",
    () => isInterrupted(claude()),
    600_000,
  );

  test("a prompt sent at once has the next turn, before what waits", async () => {
    const task = await submit(appliance, { prompt: "demo: slow 12", agent: "claude-acp" });
    await begun(appliance, task.id);
    await say(appliance, task.id, "demo: jot later");
    await say(appliance, task.id, "demo: jot now", true);
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_started")).toHaveLength(3);
    expect(await lastText(appliance, task.id)).toContain("now\nlater");
  }, 600_000);

  test(
    "a sandbox that is killed in mid-turn is started again, and the turn goes on",
    () => isKilledInMidTurn(claude()),
    600_000,
  );

  test(
    "a plan is put before a person, and carried out when it is approved",
    () => plansFirst(claude()),
    600_000,
  );

  for (const agent of ["claude-acp", "opencode"]) {
    test(
      `${agent}: the conversation goes on after sleep, and in another container`,
      () => remembersElsewhere({ appliance, engine, agent }),
      600_000,
    );
  }

  test("an agent that the image does not have fails its task, and says what is missing", async () => {
    const task = await submit(appliance, { prompt: "demo: fix-test", agent: "nobody" });
    const failed = await reaches(appliance, task.id, "failed");
    expect(JSON.stringify(failed)).toContain("no Nobody that can be started");
  }, 600_000);

  test("the agents are named to people, and another is refused", async () => {
    const { agents } = await appliance.client.read(appliance.client.api.status.$get());
    expect(agents.map(({ title }) => title)).toContain("Claude over ACP");
    await expect(submit(appliance, { prompt: "x", agent: "gemini" })).rejects.toThrow(
      'no agent named "gemini"',
    );
  });
});
