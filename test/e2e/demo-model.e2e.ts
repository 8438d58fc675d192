import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { demoRepositoryFiles } from "../../src/demo/demo-repository.ts";
import { startDemoModel } from "../../src/demo/serve-demo-model.ts";
import type { SandboxId, TaskId } from "../../src/domain/ids.ts";
import type { MeteredRequest } from "../../src/domain/model.ts";
import { createModelDoor } from "../../src/gateway/model/model-door.ts";
import { priced } from "../../src/runs/model-port.ts";

/** The real agent CLI works in a real repository, through the model door, for the demo model. */

setDefaultTimeout(600_000);

const scoped = "scoped-token-of-the-sandbox";
const records: MeteredRequest[] = [];
const cleanUp: (() => unknown)[] = [];
let claude = "";
let baseUrl = "";

beforeAll(async () => {
  claude = process.env["CCW_TEST_CLAUDE"] || (Bun.which("claude") ?? "");
  if (claude === "" || !existsSync(claude)) {
    throw new Error(
      `There is no Claude Code CLI at "${claude}": put \`claude\` on the PATH, or its path into CCW_TEST_CLAUDE.`,
    );
  }
  const demo = startDemoModel();
  const door = createModelDoor({
    port: {
      endpointFor: () => ({
        kind: "demo",
        baseUrl: demo.baseUrl,
        credential: { header: "x-api-key", value: demo.key },
      }),
      admit: () => ({ kind: "pass", promptId: undefined }),
      limited() {},
      record: (record) => records.push(record),
    },
    tokens: { tokenFor: () => scoped, matches: (_id, _purpose, token) => token === scoped },
    log: { info() {}, warn() {}, error() {} },
    now: Date.now,
    limits: { idleMs: 15_000 },
  });
  const sandbox = { id: "sbx_e2e" as SandboxId, taskId: "tsk_e2e" as TaskId };
  const server = createServer((request, response) => {
    void door.handle(sandbox, request, response, (request.url ?? "").replace(/^\/model/, ""));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  baseUrl = `http://127.0.0.1:${address.port}/model`;
  cleanUp.push(demo.close, door.close, () => server.closeAllConnections());
});

afterAll(async () => {
  for (const undo of cleanUp.reverse()) await undo();
});

test("fix-test mends the failing test and commits", async () => {
  const repository = await newRepository();
  expect(await exitCode(repository, "node", "--test")).not.toBe(0);
  const result = await runAgent(repository, "Fix the failing test.");
  expect(result.text).toContain("The failing test passes now.");
  expect(await exitCode(repository, "node", "--test")).toBe(0);
  expect(await git(repository, "log", "--format=%s")).toBe(
    "Count the quantity of every line of the basket\ninitial",
  );
  expect(await git(repository, "status", "--porcelain")).toBe("");

  const again = await runAgent(repository, "Fix the failing test.");
  expect(again.text).toContain("nothing to fix");
});

test("every request was metered by the door, with what the agent itself was told", async () => {
  const repository = await newRepository();
  records.length = 0;
  const result = await runAgent(repository, "demo: many-tools 5");
  expect(result.turns).toBe(6);
  expect(records.length).toBe(6);
  expect(records.every(({ status, model }) => status === 200 && model === "claude-opus-4-8")).toBe(true);
  expect(sum(records.map(({ outputTokens }) => outputTokens))).toBe(result.usage.output_tokens);
  expect(sum(records.map(({ inputTokens }) => inputTokens))).toBe(result.usage.input_tokens);
  expect(sum(records.map(({ cacheReadTokens }) => cacheReadTokens))).toBe(
    result.usage.cache_read_input_tokens,
  );
  expect(sum(records.map(({ cacheWriteTokens }) => cacheWriteTokens))).toBe(
    result.usage.cache_creation_input_tokens,
  );
  expect(sum(records.map(({ cacheWriteHourTokens }) => cacheWriteHourTokens))).toBe(
    result.usage.cache_creation.ephemeral_1h_input_tokens,
  );
});

test("an uninterrupted turn costs what the agent itself says, by both price tables", async () => {
  const repository = await newRepository();
  records.length = 0;
  const result = await runAgent(repository, "Fix the failing test.");
  const costs = records.map((record) => priced(record, new Map()).costNano ?? Number.NaN);
  expect(costs.length).toBeGreaterThan(2);
  expect(result.costUsd).toBeGreaterThan(0);
  expect(sum(costs) / 1e9).toBeCloseTo(result.costUsd, 8);
});

test("two hundred tools are used, one after another", async () => {
  const result = await runAgent(await newRepository(), "demo: many-tools 200");
  expect(result.turns).toBe(201);
  expect(result.text).toContain("200 commands ran");
});

test("ask acts on the answer to its question", async () => {
  const repository = await newRepository();
  const result = await runAgent(repository, "demo: ask", "Blue-ish $(touch evil) 'quoted'");
  expect(result.failed).toBe(false);
  expect(await Bun.file(join(repository, "answer.txt")).text()).toBe("Blue-ish $(touch evil) 'quoted'\n");
  expect(await git(repository, "log", "-1", "--format=%s", "--name-only")).toBe(
    "Write the answer down\n\nanswer.txt",
  );
});

test("slow takes the time it was given, and commits", async () => {
  const repository = await newRepository();
  const started = performance.now();
  await runAgent(repository, "demo: slow 4");
  expect(performance.now() - started).toBeGreaterThan(3900);
  expect(await git(repository, "log", "-1", "--format=%s")).toBe("Take 4 seconds");
});

test("push-main tries to push and shows the refusal", async () => {
  const repository = await newRepository();
  const remote = join(repository, "..", "remote.git");
  await git(repository, "init", "-q", "--bare", remote);
  const refuse = "#!/bin/sh\necho 'not to main' >&2\nexit 1\n";
  await writeFile(join(remote, "hooks/pre-receive"), refuse, { mode: 0o755 });
  await git(repository, "remote", "add", "origin", remote);
  const result = await runAgent(repository, "demo: push-main");
  expect(result.text).toContain("The push was refused:");
  expect(result.text).toContain("remote: not to main");
});

test("fail ends the turn with the API's error", async () => {
  const result = await runAgent(await newRepository(), "demo: fail");
  expect(result.failed).toBe(true);
  expect(result.text).toBe("API Error: 400 The demo model was asked to fail, and does.");
});

test.each([
  ["overloaded", "I was overloaded 2 times", 529],
  ["cut", "I was cut off 1 times", 200],
  ["stall", "I stalled 1 times", 200],
])("the agent gets over %s", async (scenario, text, firstStatus) => {
  records.length = 0;
  const result = await runAgent(await newRepository(), `demo: ${scenario}`);
  expect(result.failed).toBe(false);
  expect(result.text).toContain(text);
  expect(records[0]?.status).toBe(firstStatus);
  expect(records.length).toBeGreaterThan(1);
});

test("a prompt in plain words is answered with what the demo model is", async () => {
  const result = await runAgent(await newRepository(), "Rewrite it all in Rust, please.");
  expect(result.text).toStartWith("I am the built-in demo model: a script, not an AI.");
  expect(result.text).toContain("package.json"); // it looked into the folder
  expect(result.text).toContain("demo: fix-test");
});

interface AgentResult {
  text: string;
  failed: boolean;
  turns: number;
  usage: {
    input_tokens: number;
    output_tokens: number;
    cache_read_input_tokens: number;
    cache_creation_input_tokens: number;
    cache_creation: { ephemeral_1h_input_tokens: number };
  };
  /** Of the process so far, by the agent's own prices. */
  costUsd: number;
}

/** One prompt to the CLI as a sandbox drives it; `answer` is given to the first question that it asks. */
async function runAgent(repository: string, prompt: string, answer = ""): Promise<AgentResult> {
  const flags =
    "-p --input-format stream-json --output-format stream-json --verbose --include-partial-messages";
  const agent = Bun.spawn({
    cmd: [
      claude,
      ...flags.split(" "),
      "--dangerously-skip-permissions",
      ...["--permission-prompt-tool", "stdio", "--model", "claude-opus-4-8"],
    ],
    cwd: repository,
    env: {
      PATH: process.env["PATH"],
      HOME: join(repository, "../home"),
      IS_SANDBOX: "1",
      CLAUDE_CODE_REMOTE: "true",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      NO_PROXY: "127.0.0.1",
      ANTHROPIC_BASE_URL: baseUrl,
      ANTHROPIC_AUTH_TOKEN: scoped,
    },
    stdin: "pipe",
    stderr: "inherit",
  });
  const send = (message: object) => {
    agent.stdin.write(`${JSON.stringify(message)}\n`);
    agent.stdin.flush();
  };
  try {
    send({ type: "user", message: { role: "user", content: prompt } });
    for await (const line of linesOf(agent.stdout)) {
      const event = JSON.parse(line);
      if (event.type === "control_request" && event.request.subtype === "can_use_tool") {
        const { questions } = event.request.input;
        const updatedInput = { questions, answers: { [questions[0].question]: answer } };
        const response = { behavior: "allow", updatedInput };
        send({
          type: "control_response",
          response: { subtype: "success", request_id: event.request_id, response },
        });
      }
      if (event.type === "result") {
        return {
          text: event.result,
          failed: event.is_error,
          turns: event.num_turns,
          usage: event.usage,
          costUsd: event.total_cost_usd,
        };
      }
    }
    throw new Error("The agent ended without a result.");
  } finally {
    agent.kill("SIGKILL");
    await agent.exited;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line !== "");
  }
}

/** The demo repository, committed, in a folder of its own with an empty home beside it. */
async function newRepository(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "demo-model-"));
  cleanUp.push(() => rm(folder, { recursive: true, force: true }));
  const repository = join(folder, "repository");
  await mkdir(join(folder, "home"));
  for (const [path, content] of Object.entries(demoRepositoryFiles)) {
    await Bun.write(join(repository, path), content);
  }
  await git(repository, "init", "-q", "-b", "main");
  await git(repository, "config", "user.name", "Tester");
  await git(repository, "config", "user.email", "tester@example.com");
  await git(repository, "add", "-A");
  await git(repository, "commit", "-qm", "initial");
  return repository;
}

async function git(folder: string, ...args: string[]): Promise<string> {
  const run = Bun.spawn(["git", ...args], { cwd: folder, stderr: "inherit" });
  const text = await new Response(run.stdout).text();
  if ((await run.exited) !== 0) throw new Error(`git ${args.join(" ")} failed`);
  return text.trim();
}

function exitCode(folder: string, ...command: string[]): Promise<number> {
  return Bun.spawn(command, { cwd: folder, stdout: "ignore", stderr: "ignore" }).exited;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
