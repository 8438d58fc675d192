import { newId, type TaskId } from "../../src/domain/ids.ts";
import { idSource } from "../../src/server.ts";
import { type Report, rounded } from "./figures.ts";
import { residentNow, submitTo, timed, withStore } from "./filled-store.ts";

/**
 * A queue of 100,000 tasks of twenty people, one of whom has sent a fifth of them: what the scheduler, submitting and the
 * list of tasks take, in the store itself, in a file on the disk of TMPDIR, with a synced commit for each change. Twenty
 * tasks are active.
 */
const people = 20;
const batch = 1000;
const active = 20;
const lease = { owner: "bench", until: 9e15 };

export function benchQueue({ queued = 100_000, rounds = 1000 } = {}): Promise<Report> {
  return withStore(async (store) => {
    const persons = Array.from({ length: people }, (_, i) => store.people.ensure(`person ${i}`));
    const personOf = (i: number) => persons[i % 5 === 0 ? 0 : i % people] ?? store.people.ensure("nobody");
    for (let i = 0; i < queued; i += batch)
      store.atomically(() => {
        for (let at = i; at < i + batch; at++) submitTo(store, personOf(at), `Task ${at}`);
      });
    // As the scheduler does it.
    const claim = () => {
      const next = store.tasks.next();
      if (next === undefined) return undefined;
      return store.atomically(() => store.tasks.claim(lease, newId("SandboxId", idSource), active, next.id));
    };
    /** The worst that it can look for: all tasks wait for this repository. */
    const fetching = { tasks: new Set<TaskId>(), repositories: new Set(["demo"]) };
    while (claim() !== undefined);
    for (let i = 0; i < 50; i++) store.tasks.list({ limit: 100 }); // the runtime compiles what it has seen often
    const before = residentNow();
    // A place becomes free each time, outside of what is measured.
    const claims = timed(
      "claim, with its commit",
      rounds,
      () => void claim(),
      () => {
        const [task] = store.tasks.list({ limit: 1, states: ["starting"] });
        if (task !== undefined) store.tasks.move(task.id, { kind: "cancelled", by: "bench" });
      },
    );
    const notice = { kind: "appliance_notice", level: "info", text: "beside" } as const;
    const some = store.tasks.list({ limit: 1 })[0]?.id ?? newId("TaskId", idSource);
    const looks = [
      timed("for comparison: one row, with its commit", rounds, () => store.events.append(some, notice)),
      timed("claim where all places are taken", rounds, () => void claim()),
      timed("submit, with its commit", rounds, (at) => void submitTo(store, personOf(at), "one more")),
      timed("list: the first 100, with their places", 100, () => void store.tasks.list({ limit: 100 })),
      timed("next", rounds, () => void store.tasks.next()),
      timed(
        "next, where all wait for a repository that is fetched",
        rounds,
        () => void store.tasks.next(fetching),
      ),
      timed("needing: of each person the first that need it", 100, () => void store.tasks.needing("demo")),
      timed("longestIdle", rounds, () => void store.tasks.longestIdle()),
      timed("takeUp", rounds, () => void store.tasks.takeUp(lease, false)),
      timed("duePauses", rounds, () => void store.tasks.duePauses(Date.now())),
      timed("count of those that wait", 100, () => void store.tasks.count(["queued"])),
    ];
    return {
      name: `scheduler with ${queued} queued tasks`,
      tables: [{ caption: `of ${people} people`, rows: [claims, ...looks].map(({ row }) => row) }],
      promises: [
        { what: "claim, p99", unit: "ms", measured: claims.p99, limit: 5 },
        {
          what: `growth of memory over ${rounds} claims and all else`,
          unit: "MiB",
          measured: rounded(residentNow() - before),
          limit: 10,
        },
      ],
    };
  });
}
