import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environmentSchema } from "../../src/domain/environment.ts";
import { newId, type TaskId } from "../../src/domain/ids.ts";
import type { Person } from "../../src/domain/store/people.ts";
import type { Store } from "../../src/domain/store.ts";
import { idSource } from "../../src/server.ts";
import { createSeal } from "../../src/store/seal.ts";
import { openStore } from "../../src/store/store.ts";
import { quantile, type Row, rounded } from "./figures.ts";

const environment = environmentSchema.parse({ name: "default" });

/** A store in a file of its own, for as long as `work` takes. */
export async function withStore<Result>(
  work: (store: Store, path: string) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "ccw-bench-store-"));
  const path = join(folder, "ccw.sqlite");
  const store = openStore(path, createSeal(new Uint8Array(32)), idSource);
  try {
    return await work(store, path);
  } finally {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

export function submitTo(store: Store, person: Person, title: string): TaskId {
  const id = newId("TaskId", idSource);
  store.tasks.create({
    ...{ id, title, person, environment, agent: "claude", model: "" },
    repositories: [{ name: "demo", baseBranch: "main", workBranch: `claude/${id}` }],
    prompt: { id: newId("PromptId", idSource), text: title },
  });
  return id;
}

interface Timed {
  row: Row;
  p50: number;
  p99: number;
}

/** What a call takes, by the clock and of the processor (user and system, of this process alone). */
export function timed(
  what: string,
  times: number,
  call: (at: number) => void,
  /** Before each call, and not measured. */
  prepare: () => void = () => {},
): Timed {
  const walls: number[] = [];
  const processor: number[] = [];
  for (let at = 0; at < times; at++) {
    prepare();
    const [began, used] = [performance.now(), process.cpuUsage()];
    call(at);
    walls.push(performance.now() - began);
    const { user, system } = process.cpuUsage(used);
    processor.push((user + system) / 1000);
  }
  const figures = {
    "p50 ms": rounded(quantile(walls, 0.5), 2),
    "p99 ms": rounded(quantile(walls, 0.99), 2),
    "processor p50": rounded(quantile(processor, 0.5), 2),
    "processor p99": rounded(quantile(processor, 0.99), 2),
  };
  return { row: { what, times, ...figures }, p50: figures["p50 ms"], p99: figures["p99 ms"] };
}

export function residentNow(): number {
  Bun.gc(true);
  return process.memoryUsage.rss() / 1024 ** 2;
}
