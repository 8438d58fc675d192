import { newId, type TaskId } from "../../src/domain/ids.ts";
import { idSource } from "../../src/server.ts";
import { type Report, rounded } from "./figures.ts";
import { residentNow, submitTo, timed, withStore } from "./filled-store.ts";

/**
 * A store of five million events, 500 bytes each: a hundred tasks of 50,000, appended as guests send them, a batch a
 * commit, in turns, so that a task's events lie spread over the whole file. Then one transcript from its end backwards, as a
 * page that opens it does, and forwards.
 */
const ofTask = 50_000;
const perBatch = 500;
const page = 500;
const text = "words ".repeat(70);

export function benchLongStore({ events = 5_000_000 } = {}): Promise<Report> {
  return withStore(async (store, path) => {
    const tasks = Math.max(1, Math.round(events / ofTask));
    const person = store.people.ensure("ada");
    const lease = { owner: "bench", until: 9e15 };
    const writers = Array.from({ length: tasks }, (_, i) => {
      const id = submitTo(store, person, `Task ${i}`);
      const sandboxId = newId("SandboxId", idSource);
      store.tasks.claim(lease, sandboxId, tasks);
      return { id, sandboxId };
    });
    const before = residentNow();
    const used = process.cpuUsage();
    const began = performance.now();
    for (let n = 0; n < ofTask; n += perBatch)
      for (const { sandboxId } of writers)
        store.atomically(() =>
          store.sandboxes.appendEvents(
            sandboxId,
            Array.from({ length: perBatch }, (_, i) => ({
              n: n + i + 1,
              event: { kind: "assistant_text", blockId: `b${n + i}`, text },
            })),
          ),
        );
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(used);
    const written = residentNow();
    const taskAt = (at: number): TaskId => writers[at % tasks]?.id ?? newId("TaskId", idSource);
    const first = timed("open at the end: 500 events", tasks, (at) => {
      store.events.before(taskAt(at), Number.MAX_SAFE_INTEGER, page);
    });
    const rows = [
      first.row,
      timed("the page before that", tasks, (at) => {
        const seq = store.events.before(taskAt(at), Number.MAX_SAFE_INTEGER, 1)[0]?.seq ?? 0;
        store.events.before(taskAt(at), seq - page * tasks, page);
      }).row,
      timed("all of it, forwards", 3, (at) => {
        for (let seq = 0, more = true; more; ) {
          const last = store.events.after(taskAt(at), seq, page).at(-1);
          more = last !== undefined;
          seq = last?.seq ?? seq;
        }
      }).row,
      timed("append one, with its commit", 200, (at) => {
        store.events.append(taskAt(at), { kind: "appliance_notice", level: "info", text });
      }).row,
    ];
    const rate = Math.round((tasks * ofTask) / seconds);
    return {
      name: `store with ${tasks * ofTask} events`,
      tables: [
        { caption: `transcripts of ${ofTask} events`, rows },
        {
          caption: `appended in batches of ${perBatch}`,
          rows: [
            {
              "events a second": rate,
              "processor, µs each": rounded((user + system) / (tasks * ofTask)),
              "file, MiB": Math.round(Bun.file(path).size / 1024 ** 2),
              "memory before, after, MiB": `${Math.round(before)}, ${Math.round(written)}`,
            },
          ],
        },
      ],
      promises: [
        { what: "a transcript opened at its end, p99", unit: "ms", measured: first.p99, limit: 100 },
        { what: "growth of memory", unit: "MiB", measured: rounded(residentNow() - before), limit: 20 },
      ],
    };
  });
}
