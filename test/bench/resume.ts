import { rmSync } from "node:fs";
import { z } from "zod";
import type { TaskEventBody } from "../../src/domain/event.ts";
import {
  type Appliance,
  containersOf,
  type EngineUnderTest,
  enginesUnderTest,
  eventsOf,
  freshFolder,
  reaches,
  sleeps,
  startAppliance,
  submit,
} from "../e2e/appliance.ts";
import { removeNow } from "../e2e/turns.ts";
import { median, preciseNow, type Report, rounded } from "./figures.ts";
import { type RecordingModel, startRecordingModel } from "./recording-model.ts";
import { withAppliance } from "./with-appliance.ts";

/**
 * From the next prompt of a task that sleeps to the agent's first model request: its container stopped, and its container
 * removed, so that a new one begins with the last snapshot. On each engine, with the demo repository, in turns.
 */
const maxStoppedMs = 2000;
const patienceMs = 60_000;

type Case = "stopped" | "gone";
interface Way {
  total: number;
  parts: Record<string, number>;
}

export async function benchResume({ rounds }: { rounds: number }): Promise<Report> {
  const report: Report = { name: "i. next prompt to first model request", tables: [], promises: [] };
  const model = startRecordingModel();
  try {
    for (const engine of enginesUnderTest()) await onEngine(engine, model, rounds, report);
  } finally {
    await model.close();
  }
  return report;
}

async function onEngine(
  engine: EngineUnderTest,
  model: RecordingModel,
  rounds: number,
  report: Report,
): Promise<void> {
  const dataFolder = freshFolder();
  const ways: Record<Case, Way[]> = { stopped: [], gone: [] };
  try {
    // With the demo model an appliance makes its demo repository; the model under test comes with the second start.
    await (await startAppliance({ engine, dataFolder })).stop();
    const env = { CCW_MODEL_BASE_URL: `http://127.0.0.1:${model.port}`, CCW_MODEL_API_KEY: model.key };
    await withAppliance(engine, { dataFolder, env }, async (appliance) => {
      const task = await submit(appliance, { prompt: "Look around." });
      await reaches(appliance, task.id, "completed");
      await sleeps(engine, task.id);
      for (let round = 0; round < rounds; round++) {
        ways.stopped.push(await resumed(appliance, engine, model, task.id));
        for (const { Id } of await containersOf(engine, task.id))
          await removeNow(engine.docker.getContainer(Id));
        ways.gone.push(await resumed(appliance, engine, model, task.id));
      }
    });
  } finally {
    rmSync(dataFolder, { recursive: true, force: true });
  }
  for (const [how, list] of Object.entries(ways)) {
    const totals = list.map(({ total }) => total);
    const row = (what: string, figures: number[]) => ({
      what,
      "median ms": rounded(median(figures), 0),
      "least ms": rounded(Math.min(...figures), 0),
      "most ms": rounded(Math.max(...figures), 0),
    });
    const parts = Object.keys(list[0]?.parts ?? {});
    report.tables.push({
      caption: `container ${how}, on ${engine.name}, ${rounds} rounds`,
      rows: [
        row("prompt → first model request", totals),
        ...parts.map((name) =>
          row(
            `  ${name}`,
            list.map((way) => way.parts[name] ?? Number.NaN),
          ),
        ),
      ],
    });
    // Nothing was promised of one that is gone.
    if (how === "stopped")
      report.promises.push({
        what: `container stopped, on ${engine.name}, median`,
        unit: "ms",
        measured: rounded(median(totals), 0),
        limit: maxStoppedMs,
      });
  }
}

async function resumed(
  appliance: Appliance,
  engine: EngineUnderTest,
  model: RecordingModel,
  id: string,
): Promise<Way> {
  const seen = (await eventsOf(appliance, id)).at(-1)?.seq ?? 0;
  const printed = appliance.output().length;
  const asked = model.nextRequest();
  const began = preciseNow();
  const prompts = appliance.client.api.tasks[":id"].prompts;
  await appliance.client.read(prompts.$post({ param: { id }, json: { text: "And again." } }));
  // Nobody asks the server how far it is while this is measured.
  const answered = await Promise.race([asked, Bun.sleep(patienceMs)]);
  if (answered === undefined) throw new Error(`task ${id} did not ask the model`);
  await reaches(appliance, id, "completed");
  await sleeps(engine, id);
  const events = (await eventsOf(appliance, id)).filter(({ seq }) => seq > seen);
  const at = (is: (body: TaskEventBody) => boolean) => events.find(({ body }) => is(body))?.at;
  const ready = engineReady(appliance.output().slice(printed));
  const points: [name: string, at: number | undefined][] = [
    ["prompt: request, row", at(({ kind }) => kind === "prompt")],
    ["queue: claim", at((body) => body.kind === "state" && body.state === "starting")],
    ["door, looking for the container, mirror", ready.at - ready.ms],
    ["container: created and started", ready.at],
    ["guest: starts, restores, spawns the agent", at((b) => b.kind === "step_done" && b.step === "agent")],
    ["agent: starts, asks the model", answered],
  ];
  let before = began;
  const parts: Record<string, number> = {};
  for (const [name, point] of points) {
    if (point === undefined || Number.isNaN(point)) continue;
    parts[name] = point - before;
    before = point;
  }
  return { total: answered - began, parts };
}

const startedSchema = z.object({ at: z.string(), createMs: z.number().default(0), startMs: z.number() });

/** When the engine had the container running, and how long it took, by the server's log. */
function engineReady(log: string): { at: number; ms: number } {
  const line = log.split("\n").find((text) => text.includes('"startMs"'));
  const { at, createMs, startMs } = startedSchema.parse(JSON.parse(line ?? "{}"));
  return { at: Date.parse(at), ms: createMs + startMs };
}
