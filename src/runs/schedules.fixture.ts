import { randomBytes } from "node:crypto";
import { createAgents } from "../domain/agents.ts";
import { environmentSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import type { RepositoryHost } from "../domain/ports.ts";
import { type NewSchedule, newScheduleSchema } from "../domain/schedule.ts";
import type { Store } from "../domain/store.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { createScheduleClock } from "./schedule-clock.ts";
import { addSchedule } from "./schedules.ts";

/** Schedules on a real store, by a clock that a test sets. The table of branches stands for every repository. */
export function createAgenda(start: string, path = ":memory:") {
  const clock = { now: Date.parse(start) };
  const ids = { now: () => clock.now, randomBytes: (count: number) => randomBytes(count) };
  const store = openStore(path, createSeal(new Uint8Array(32)), ids);
  const person = store.people.ensure("ada");
  if (store.environments.get("default") === undefined) furnish(store);
  const forge = { branches: ["main"], away: false, asked: 0 };
  const never = () => Promise.reject(new Error("not asked here"));
  const host: RepositoryHost = {
    endpointOf: () => ({ serve: never, isSymbolicRef: async () => false }),
    ...{ create: never, objectsOf: never, diff: never, commits: never, fileOf: never, merge: never },
    isHere: () => true,
    branches: async () => {
      forge.asked += 1;
      if (forge.away) throw new CcwError("unavailable", "The forge does not answer.");
      return forge.branches.map((name) => ({ name, commit: "0".repeat(40) }));
    },
  };
  const log = { info() {}, warn() {}, error() {} };
  const context = { store, host, ids, log, agents: createAgents() };
  const clocks: { close(): Promise<void> }[] = [];
  return {
    ...{ clock, store, person, forge, context },
    add: (change: Partial<NewSchedule> = {}) =>
      addSchedule(
        context,
        person,
        newScheduleSchema.parse({
          ...{ name: "nightly", time: { kind: "cron", expression: "0 3 * * *", zone: "UTC" } },
          task: { prompt: "Update the dependencies", repositories: [{ name: "demo" }] },
          ...change,
        }),
      ),
    startClock() {
      const made = createScheduleClock(context, { tickMs: 10 });
      clocks.push(made);
      made.start();
      return made;
    },
    at(time: string) {
      clock.now = Date.parse(time);
    },
    prompts: () => tasksOf(store).map(({ id }) => store.prompts.list(id)[0]?.text),
    async close() {
      for (const each of clocks) await each.close();
      store.close();
    },
  };
}

export const tasksOf = (store: Store) => store.tasks.list({ limit: 500 });

/** Waits for long enough that it would have happened, and says whether it has. */
export async function happens(probe: () => boolean): Promise<boolean> {
  for (let i = 0; i < 60 && !probe(); i++) await Bun.sleep(5);
  return probe();
}

function furnish(store: Store): void {
  store.environments.save(environmentSchema.parse({ name: "default" }));
  store.repositories.add({
    ...{ kind: "hosted", name: "demo", defaultBranch: "main", createdAt: 0 },
    push: { force: false, delete: false },
  });
}
