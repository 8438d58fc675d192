import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { environmentSchema } from "../../src/domain/environment.ts";
import { newId } from "../../src/domain/ids.ts";
import { workBranchOf } from "../../src/domain/task.ts";
import { idSource } from "../../src/server.ts";
import { createSeal, loadSealKey } from "../../src/store/seal.ts";
import { openStore } from "../../src/store/store.ts";
import {
  type Appliance,
  enginesUnderTest,
  executable,
  freshFolder,
  run,
  startAppliance,
} from "../e2e/appliance.ts";
import { median, type Report, residentMiB, rounded } from "./figures.ts";

/**
 * Resident memory of a server with nothing to do: a new one, and one with a past and people who look on. And how soon the
 * executable answers at all.
 */
const servers = 5;
const idleMs = 10_000;
const tasks = 1000;
const eventsOfTask = 20;
const maxMiB = 120;
const starts = 9;
const maxStartMs = 500;

interface Idle {
  fresh: number[];
  withPast: number[];
  watched: number[];
}

export async function benchIdle(): Promise<Report> {
  const [engine] = enginesUnderTest();
  if (engine === undefined) throw new Error("there is no engine");
  const idle: Idle = { fresh: [], withPast: [], watched: [] };
  const folders = Array.from({ length: servers }, freshFolder);
  const past = freshFolder();
  try {
    await withServers(folders, engine.socket, async (appliances) => {
      await Bun.sleep(idleMs);
      idle.fresh = await resident(appliances);
    });
    const taskId = writePast(past);
    for (const folder of folders) {
      rmSync(folder, { recursive: true });
      cpSync(past, folder, { recursive: true });
    }
    await withServers(folders, engine.socket, async (appliances) => {
      await Bun.sleep(idleMs);
      idle.withPast = await resident(appliances);
      const leaving = new AbortController();
      const watching = appliances.flatMap(({ client }) => [
        drain(client.watchTasks(leaving.signal)),
        drain(client.watchTasks(leaving.signal)),
        drain(client.followTask(taskId, 0, leaving.signal)),
      ]);
      await Bun.sleep(idleMs);
      idle.watched = await resident(appliances);
      leaving.abort();
      await Promise.all(watching);
    });
  } finally {
    for (const folder of [...folders, past]) rmSync(folder, { recursive: true, force: true });
  }
  const started: number[] = [];
  for (let i = 0; i < starts; i++) {
    const before = performance.now();
    await run([executable, "version"]);
    started.push(performance.now() - before);
  }
  return reportOf(idle, median(started));
}

async function withServers(
  folders: string[],
  engine: string,
  work: (appliances: Appliance[]) => Promise<void>,
): Promise<void> {
  const appliances: Appliance[] = [];
  try {
    for (const dataFolder of folders) appliances.push(await startAppliance({ engine, dataFolder }));
    await work(appliances);
  } finally {
    // They have no tasks, so nothing outlives them.
    await Promise.all(appliances.map((appliance) => appliance.stop()));
  }
}

const resident = (appliances: Appliance[]) => Promise.all(appliances.map(({ pid }) => residentMiB(pid)));

async function drain(frames: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of frames);
}

/** Fills a data folder with ended tasks and their transcripts; returns the id of one. */
function writePast(folder: string): string {
  const store = openStore(join(folder, "ccw.sqlite"), createSeal(loadSealKey(folder)), idSource);
  const person = store.people.ensure("ada");
  const environment = environmentSchema.parse({ name: "default" });
  store.environments.save(environment);
  let last = "";
  store.atomically(() => {
    for (let i = 0; i < tasks; i++) {
      const id = newId("TaskId", idSource);
      const title = `Task ${i} of a long past`;
      store.tasks.create({
        ...{ id, title, person, environment, agent: "claude", model: "" },
        repositories: [{ name: "demo", baseBranch: "main", workBranch: workBranchOf(title, id) }],
        prompt: { id: newId("PromptId", idSource), text: title },
      });
      for (let n = 0; n < eventsOfTask; n++)
        store.events.append(id, { kind: "appliance_notice", level: "info", text: "x".repeat(500) });
      store.tasks.move(id, { kind: "cancelled", by: person.name });
      last = id;
    }
  });
  store.close();
  return last;
}

function reportOf({ fresh, withPast, watched }: Idle, startMs: number): Report {
  const row = (what: string, figures: number[]) => ({
    what,
    "median MiB": rounded(median(figures)),
    "least MiB": rounded(Math.min(...figures)),
    "most MiB": rounded(Math.max(...figures)),
  });
  const past = `${tasks} ended tasks, ${tasks * eventsOfTask} events`;
  const rows = [
    row("new server", fresh),
    row(`with ${past}`, withPast),
    row("the same, with 3 clients connected", watched),
  ];
  return {
    name: "idle server, resident memory",
    tables: [{ caption: `${servers} servers, ${idleMs / 1000} s after the start or the last change`, rows }],
    promises: [
      ...rows.map((row) => ({
        what: `idle: ${row.what}, median`,
        unit: "MiB",
        measured: row["median MiB"],
        limit: maxMiB,
      })),
      {
        what: "`ccw-server version` answers, median",
        unit: "ms",
        measured: rounded(startMs),
        limit: maxStartMs,
      },
    ],
  };
}
