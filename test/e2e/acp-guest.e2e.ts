import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { AcpProgram } from "../../src/domain/acp-program.ts";
import { createProcesses } from "../../src/guest/processes.ts";
import { askingServer } from "../fixtures/asking-mcp.ts";
import { type AcpPackage, claudeAcp, fetchAcpPackage, opencode } from "./acp-image.ts";
import { required, until } from "./appliance.ts";
import { closeHouses, type House, openHouse, textOf } from "./guest-house.ts";

/** Agents of the Agent Client Protocol, driven by the guest on this machine: what shows in no container. */

afterEach(closeHouses);

interface Tried {
  of: AcpPackage;
  /** How it is started from the folder that it was fetched to. */
  program(bin: string): AcpProgram;
  /** Whether what the command has printed is in its own conversation. */
  wroteDown(house: House, printed: string): boolean;
}

const claude: Tried = {
  of: claudeAcp,
  program: (bin) => ({
    title: "Claude over ACP",
    command: [process.execPath, bin],
    conversation: [".claude/projects"],
    variables: {
      ANTHROPIC_BASE_URL: "{model_url}",
      ANTHROPIC_AUTH_TOKEN: "{model_token}",
      CLAUDE_CODE_EXECUTABLE: required("CCW_TEST_CLAUDE"),
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    },
  }),
  wroteDown(house, printed) {
    const projects = join(house.home, ".claude/projects");
    const lines = readdirSync(projects, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".jsonl"))
      .flatMap((name) => readFileSync(join(projects, name), "utf8").split("\n"));
    return lines.some((line) => line.includes('"tool_result"') && line.includes(printed));
  },
};
const agents: Tried[] = [
  claude,
  {
    of: opencode,
    program: (bin) => ({
      title: "OpenCode",
      command: [bin, "acp"],
      conversation: [".local/share/opencode"],
      variables: {
        OPENCODE_DISABLE_AUTOUPDATE: "1",
        OPENCODE_DISABLE_MODELS_FETCH: "1",
        OPENCODE_CONFIG_CONTENT: JSON.stringify({
          model: "anthropic/claude-sonnet-4-5",
          small_model: "anthropic/claude-sonnet-4-5",
          provider: { anthropic: { options: { baseURL: "{model_url}/v1", apiKey: "{model_token}" } } },
          ...{ autoupdate: false, share: "disabled" },
        }),
      },
    }),
    wroteDown(house, printed) {
      const folder = join(house.home, ".local/share/opencode");
      const name = readdirSync(folder).find((each) => each.endsWith(".db"));
      const database = new Database(join(folder, name ?? "none"), { readonly: true });
      try {
        const rows = database.query("SELECT data FROM part").values();
        return rows.some(([data]) => String(data).includes('"completed"') && String(data).includes(printed));
      } finally {
        database.close();
      }
    },
  },
];

const fetched = async ({ of, program }: Pick<Tried, "of" | "program">) =>
  program(join(await fetchAcpPackage(of), "node_modules", of.bin.path));

const parts = (house: House) =>
  house
    .events()
    .flatMap((event) =>
      event.kind === "tool_use" || event.kind === "tool_result" ? [`${event.kind} ${event.toolUseId}`] : [],
    );

test("claude-agent-acp: an answer that breaks off behind its first words is gone on with, in the same turn", async () => {
  const house = await openHouse({ kind: claudeAcp.bin.as, acp: await fetched(claude) });
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY broken 2" });
  await house.until((event) => event.kind === "turn_ended");
  expect(textOf(house.events(), "notice").match(/broke off/g)).toHaveLength(2);
  expect(house.find("turn_ended")).toMatchObject({ outcome: "done", text: "All done." });
}, 600_000);

for (const { of, program, wroteDown } of agents) {
  test(`${of.bin.as}: a result that came unheard is told by the next process, once`, async () => {
    const house = await openHouse({ kind: of.bin.as, acp: await fetched({ of, program }) });
    const first = house.startGuest();
    const go = join(house.folder, "go");
    const command = `until [ -e ${go} ]; do sleep 0.1; done; echo thro''ugh`;
    house.command({ kind: "prompt", promptId: "prm_1", text: `PLAY bash ${command}` });
    await house.until((event) => event.kind === "tool_use");
    first.kill("SIGSTOP");
    writeFileSync(go, "");
    await until("its result is written down", () => wroteDown(house, "through"));
    expect(parts(house)).toHaveLength(1);
    createProcesses().killTree(first.pid);
    await first.exited;
    house.startGuest();
    await house.until((event) => event.kind === "turn_ended");
    expect(parts(house).map((part) => part.split(" ")[0])).toEqual(["tool_use", "tool_result"]);
    expect(house.find("tool_result")).toMatchObject({
      isError: false,
      text: expect.stringContaining("through"),
    });
    expect(textOf(house.events(), "assistant_text")).toBe("All done.");
    expect(house.find("turn_ended")).toMatchObject({ outcome: "done", text: "All done." });
  }, 600_000);
}

test("claude-agent-acp: in plan mode what it would write is refused", async () => {
  const house = await openHouse({ kind: "claude-acp", acp: await fetched(claude), mode: "plan" });
  house.startGuest();
  const early = join(house.checkout, "early.txt");
  house.command({ kind: "prompt", promptId: "prm_1", text: `PLAY write ${early}` });
  await house.until((event) => event.kind === "turn_ended");
  expect(house.find("tool_use")).toMatchObject({ name: "Write" });
  expect(house.find("tool_result")).toMatchObject({ isError: true });
  expect(house.find("turn_ended")).toMatchObject({ outcome: "done" });
  expect(existsSync(early)).toBe(false);
}, 600_000);

const asked = async (house: House, promptId: string, text: string) => {
  const before = house.events().filter(({ kind }) => kind === "question").length;
  house.command({ kind: "prompt", promptId, text });
  return askedAgain(house, before);
};
const askedAgain = async (house: House, before: number) => {
  const questions = () => house.events().filter((event) => event.kind === "question");
  await house.until(() => questions().length > before);
  const { requestId, input } = questions()[before] ?? { requestId: "", input: null };
  const { questions: asked } = z
    .object({ questions: z.array(z.object({ question: z.string() })) })
    .parse(input);
  const answer = (...said: string[]) => {
    const answers = Object.fromEntries(asked.map(({ question }, index) => [question, said[index] ?? ""]));
    house.command({ kind: "answer", requestId, answer: { behavior: "allow", updatedInput: { answers } } });
  };
  return { requestId, answer };
};

test("claude-agent-acp: a question has a person's own words for an answer, or none after an interrupt", async () => {
  const house = await openHouse({ kind: "claude-acp", acp: await fetched(claude) });
  house.startGuest();
  const ended = (promptId: string) =>
    house.until((event) => event.kind === "turn_ended" && event.promptId === promptId);
  const first = await asked(house, "prm_1", "PLAY ask");
  first.answer("Blue, nearly green");
  expect(await ended("prm_1")).toMatchObject({ outcome: "done" });
  expect(textOf(house.events(), "tool_result")).toContain("Blue, nearly green");
  const open = await asked(house, "prm_2", "PLAY ask");
  house.command({ kind: "interrupt" });
  expect(await ended("prm_2")).toMatchObject({ outcome: "interrupted" });
  const closed = house.events().flatMap((each) => (each.kind === "question_closed" ? [each.requestId] : []));
  expect(closed).toEqual([first.requestId, open.requestId]);
}, 600_000);

test("claude-agent-acp: the form of an MCP server is filled in, and asked again for what does not fit", async () => {
  const files = {
    ".mcp.json": { mcpServers: { asking: askingServer } },
    ".claude/settings.json": { enableAllProjectMcpServers: true },
  };
  const lines = Object.entries(files).map(([name, json]) => `echo '${JSON.stringify(json)}' > ${name}`);
  const house = await openHouse({
    ...{ kind: "claude-acp", acp: await fetched(claude) },
    setupScript: ["mkdir .claude", ...lines].join("\n"),
  });
  house.startGuest();
  const first = await asked(house, "prm_1", "PLAY use mcp__asking__ask");
  first.answer("many", "skip", "high");
  const again = await askedAgain(house, 1);
  again.answer("8080");
  await house.until((event) => event.kind === "turn_ended");
  expect(textOf(house.events(), "tool_result")).toContain(
    'They said {"action":"accept","content":{"level":"high","port":8080}}',
  );
}, 600_000);
