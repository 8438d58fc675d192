import { rmSync } from "node:fs";
import {
  type Appliance,
  type EngineUnderTest,
  enginesUnderTest,
  freshFolder,
  reaches,
  submit,
} from "../e2e/appliance.ts";
import { pidsWith } from "../machine.ts";
import { cpuSeconds, type Report, type Row, rounded } from "./figures.ts";
import { withAppliance } from "./with-appliance.ts";

/**
 * What it costs that sandboxes are there and awake: processor time of the server and of the engine's service while ten tasks have
 * nothing to do. Their agents are in the containers' own account, and not in this.
 */
const tasks = 10;
const settleMs = 10_000;
const watchedSeconds = 30;
/** Of one core. */
const maxPercent = 10;

export async function benchWatching(): Promise<Report> {
  const rows: Row[] = [];
  for (const engine of enginesUnderTest()) rows.push(await onEngine(engine));
  const caption = `processor time of one core while ${tasks} sandboxes are awake and idle, over ${watchedSeconds} s, in %`;
  const promises = rows.map((row) => ({
    ...{ what: `${tasks} idle sandboxes on ${row["engine"]}: server and engine`, unit: "% of a core" },
    ...{ measured: Number(row["both"]), limit: maxPercent },
  }));
  return { name: "n. sandboxes that are awake", tables: [{ caption, rows }], promises };
}

async function onEngine(engine: EngineUnderTest): Promise<Row> {
  const dataFolder = freshFolder();
  const env = { CCW_IDLE_MINUTES: "60", CCW_PARALLEL: String(tasks) };
  try {
    return await withAppliance(engine, { dataFolder, env }, async (appliance) => {
      const prompt = { prompt: "demo: many-tools 1" };
      const all = await Promise.all(Array.from({ length: tasks }, () => submit(appliance, prompt)));
      await Promise.all(all.map(({ id }) => reaches(appliance, id, "idle")));
      await Bun.sleep(settleMs);
      const before = await used(appliance, engine);
      await Bun.sleep(watchedSeconds * 1000);
      const after = await used(appliance, engine);
      const percent = (seconds: number) => rounded((seconds / watchedSeconds) * 100);
      const [server, service] = [after.server - before.server, after.engine - before.engine];
      return {
        engine: engine.name,
        server: percent(server),
        "its service": percent(service),
        both: percent(server + service),
      };
    });
  } finally {
    rmSync(dataFolder, { recursive: true, force: true });
  }
}

/** Seconds so far. The service is the one that listens at the engine's socket. */
async function used({ pid }: Appliance, { socket }: EngineUnderTest) {
  const [service] = pidsWith(`unix://${socket}`);
  if (service === undefined) throw new Error(`no process was started with unix://${socket}`);
  return { server: await cpuSeconds(pid), engine: await cpuSeconds(service) };
}
