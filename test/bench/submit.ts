import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { TaskEvent } from "../../src/domain/event.ts";
import type { SessionStart } from "../../src/domain/session.ts";
import { createClaude } from "../../src/guest/agents/claude.ts";
import { claudeVariables } from "../../src/guest/agents/claude-command.ts";
import { instructionsFor } from "../../src/guest/instructions.ts";
import { createProcesses } from "../../src/guest/processes.ts";
import { sandboxVariables } from "../../src/guest/variables.ts";
import {
  type Appliance,
  type EngineUnderTest,
  enginesUnderTest,
  eventsOf,
  freshFolder,
  reaches,
  required,
  run,
  sleeps,
  startAppliance,
  submit,
} from "../e2e/appliance.ts";
import { median, preciseNow, quantile, type Report, rounded } from "./figures.ts";
import { type RecordingModel, startRecordingModel } from "./recording-model.ts";
import { withAppliance } from "./with-appliance.ts";

/**
 * From submitting a task to the agent's first model request, on each engine, and the same CLI with the same flags,
 * environment and prompt on the host, in a checkout of the same repository, from its spawn. In turns, so that both
 * meet the same machine. The checkout of the bare run is made beforehand.
 */
const rounds = 9;
const prompt = "Look around.";
const maxOverheadMs = 1000;
const patienceMs = 60_000;

/** One task's way to its first model request, in milliseconds. */
interface Way {
  total: number;
  parts: Record<string, number>;
}

export async function benchSubmit(): Promise<Report> {
  const report: Report = { name: "submit to first model request", tables: [], promises: [] };
  const model = startRecordingModel();
  try {
    for (const engine of enginesUnderTest()) await onEngine(engine, model, report);
  } finally {
    await model.close();
  }
  return report;
}

async function onEngine(engine: EngineUnderTest, model: RecordingModel, report: Report): Promise<void> {
  const dataFolder = freshFolder();
  try {
    // With the demo model an appliance makes its demo repository; the model under test comes with the second start.
    await (await startAppliance({ engine, dataFolder })).stop();
    const env = { CCW_MODEL_BASE_URL: `http://127.0.0.1:${model.port}`, CCW_MODEL_API_KEY: model.key };
    const ways: Way[] = [];
    const bare: number[] = [];
    await withAppliance(engine, { dataFolder, env }, async (appliance) => {
      for (let round = 0; round <= rounds; round++) {
        const way = await submitted(appliance, engine, model);
        const alone = await bareRun(join(dataFolder, "repositories/demo.git"), model);
        if (round === 0) continue; // the warm-up
        ways.push(way);
        bare.push(alone);
      }
    });
    addFigures(report, engine.name, ways, bare);
  } finally {
    rmSync(dataFolder, { recursive: true, force: true });
  }
}

async function submitted(appliance: Appliance, engine: EngineUnderTest, model: RecordingModel): Promise<Way> {
  const asked = model.nextRequest();
  const began = preciseNow();
  const task = await submit(appliance, { prompt });
  // Nobody asks the server how far it is while this is measured.
  const answered = await Promise.race([asked, Bun.sleep(patienceMs)]);
  if (answered === undefined) throw new Error(`task ${task.id} did not ask the model`);
  await reaches(appliance, task.id, "completed");
  await sleeps(engine, task.id);
  const events = await eventsOf(appliance, task.id);
  return { total: answered - began, parts: partsOf(events, appliance.output(), began, answered) };
}

/** The way in parts, by the times that the appliance gave to the task's events, and by its log. */
function partsOf(events: TaskEvent[], log: string, began: number, asked: number): Record<string, number> {
  const started = events.find(({ body }) => body.kind === "sandbox_started")?.body;
  const sandboxId = started?.kind === "sandbox_started" ? started.sandboxId : "";
  const line = log.split("\n").find((text) => text.includes("createMs") && text.includes(sandboxId));
  const engine = z.object({ createMs: z.number(), startMs: z.number() }).parse(JSON.parse(line ?? "{}"));
  const at = (is: (body: TaskEvent["body"]) => boolean): number =>
    events.find(({ body }) => is(body))?.at ?? Number.NaN;
  const running = at((body) => body.kind === "sandbox_started");
  const points: [name: string, at: number][] = [
    ["submit: request, checks, row", at((body) => body.kind === "state" && body.state === "queued")],
    ["queue: claim", at((body) => body.kind === "state" && body.state === "starting")],
    ["door: open", running - engine.startMs - engine.createMs],
    ["container: create", running - engine.startMs],
    ["container: start", running],
    [
      "guest: starts, fetches its session",
      at((body) => body.kind === "step_started" && body.step === "clone"),
    ],
    ["guest: clones, checks out", at((body) => body.kind === "step_done" && body.step === "clone")],
    ["guest: spawns the agent", at((body) => body.kind === "step_done" && body.step === "agent")],
    ["agent: starts, asks the model", asked],
  ];
  let before = began;
  return Object.fromEntries(
    points.map(([name, point]) => {
      const ms = point - before;
      before = point;
      return [name, ms];
    }),
  );
}

/** Milliseconds from the agent's spawn on the host to its first model request. */
async function bareRun(repository: string, model: RecordingModel): Promise<number> {
  const folder = freshFolder();
  try {
    const checkout = {
      name: "demo",
      url: repository,
      baseBranch: "main",
      workBranch: "claude/bare",
      folder: join(folder, "demo"),
    };
    await must(["git", "clone", "--quiet", "--branch", "main", repository, checkout.folder]);
    await must(["git", "-C", checkout.folder, "checkout", "--quiet", "-b", checkout.workBranch]);
    const start: SessionStart = {
      sandboxId: "",
      taskId: "",
      acked: 0,
      repositories: [checkout],
      author: { name: "bench", email: "bench@ccw.invalid" },
      trailers: [],
      variables: {},
      setupScript: "",
      agent: { kind: "claude", model: "", sessionId: randomUUID() },
      tokens: { model: model.key, git: "" },
    };
    const { agent: env } = sandboxVariables({
      inherited: { PATH: process.env["PATH"], HOME: folder },
      start,
      port: model.port,
      gitConfigPath: join(folder, "gitconfig"),
      trust: undefined,
      agent: claudeVariables,
    });
    const asked = model.nextRequest();
    const began = preciseNow();
    const agent = createClaude(required("CCW_TEST_CLAUDE")).start({
      processes: createProcesses(),
      cwd: checkout.folder,
      env,
      model: "",
      mode: "act",
      sessionId: start.agent.sessionId,
      instructions: instructionsFor([checkout], folder, { asksWith: "AskUserQuestion" }),
      lastPromptId: null,
      unfinished: null,
      trailers: [],
      emit: async () => {},
      modeChanged() {},
    });
    agent.prompt({ promptId: "prm_bare", key: "prm_bare", text: prompt, images: [] });
    const ended = agent.exited.then(({ how, stderr }) => Promise.reject(new Error(`${how}: ${stderr}`)));
    const answered = await Promise.race([asked, ended]);
    ended.catch(() => {});
    await agent.kill();
    return answered - began;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function must(argv: string[]): Promise<void> {
  const { code, err } = await run(argv);
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${err}`);
}

function addFigures(report: Report, engine: string, ways: Way[], bare: number[]): void {
  const totals = ways.map(({ total }) => total);
  const overheads = ways.map(({ total }, round) => total - (bare[round] ?? Number.NaN));
  const row = (what: string, figures: number[]) => ({
    what,
    "median ms": rounded(median(figures), 0),
    "least ms": rounded(Math.min(...figures), 0),
    "most ms": rounded(Math.max(...figures), 0),
  });
  const parts = Object.keys(ways[0]?.parts ?? {});
  report.tables.push({
    caption: `on ${engine}, ${rounds} rounds`,
    rows: [
      row("submit → first model request", totals),
      row("bare on the host: spawn → first model request", bare),
      row("overhead (the difference, round by round)", overheads),
      ...parts.map((name) =>
        row(
          `  ${name}`,
          ways.map(({ parts }) => parts[name] ?? Number.NaN),
        ),
      ),
    ],
  });
  report.promises.push({
    what: `overhead over the bare CLI, on ${engine}, median (p90 ${rounded(quantile(overheads, 0.9), 0)})`,
    unit: "ms",
    measured: rounded(median(overheads), 0),
    limit: maxOverheadMs,
  });
}
