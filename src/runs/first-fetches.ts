import { CcwError, messageOf } from "../domain/errors.ts";
import type { PersonId, TaskId } from "../domain/ids.ts";
import type { NextTask, TaskRow } from "../domain/store/tasks.ts";
import { passes, tellThatItWaits } from "./not-now.ts";
import type { RunContext } from "./run-context.ts";

/**
 * What this machine has nothing of yet is fetched before a task that needs it is claimed: that may take an hour at a slow
 * forge, and holds none of the places of those that run. One fetch serves all tasks that need the repository, and each
 * of them brings it up to date when it starts, as ever. All of this is in memory: a server that starts again finds the
 * tasks in the queue and nothing in the folder.
 */
export interface FirstFetches {
  /** Whether the task can be claimed. What is missing is being fetched from now on, and stands among `names`. */
  areHere(task: NextTask): boolean;
  /** Repositories that are being fetched, or will be: who needs them is left out of the queue. */
  names(): ReadonlySet<string>;
  /** Ends those that no task needs any more. */
  endUnneeded(): void;
  /** Why a queued task waits, in words; empty where that is not for a repository. */
  reasonFor(task: Pick<TaskRow, "state" | "sandbox" | "repositories">): string;
  close(): Promise<void>;
}

interface Fetch {
  /** One that needs it; another one where this one does not wait any more. */
  task: TaskId;
  /** Whose task was the first. */
  person: PersonId;
  stop: AbortController;
  /** Before: its tasks have been told. */
  tried: boolean;
  stage: { kind: "waits" } | { kind: "runs" } | { kind: "failed"; cause: CcwError };
}

/** At once: each is a git that works on a pack, and writes it to one disk. */
const atOnce = 3;

export function createFirstFetches(
  { store, host, log }: Pick<RunContext, "store" | "host" | "log">,
  /** `holdMs`: how long what failed is left alone. */
  { holdMs }: { holdMs: number },
): FirstFetches {
  const fetches = new Map<string, Fetch>();
  const working = new Set<Promise<void>>();
  const timers = new Set<Timer>();
  let closed = false;

  /** The oldest of the person for whom the fewest run. */
  const nextToRun = (): [string, Fetch] | undefined => {
    const running = [...fetches.values()].filter(({ stage }) => stage.kind === "runs");
    if (running.length >= atOnce) return undefined;
    const loadOf = (fetch: Fetch) => running.filter(({ person }) => person === fetch.person).length;
    const waiting = [...fetches].filter(([, { stage }]) => stage.kind === "waits");
    return waiting.toSorted(([, a], [, b]) => loadOf(a) - loadOf(b))[0];
  };

  const runSome = () => {
    for (let next = nextToRun(); next !== undefined; next = nextToRun()) {
      const [name, fetch] = next;
      fetch.stage = { kind: "runs" };
      const done = run(name, fetch).then(() => {
        working.delete(done);
        if (closed) return;
        runSome();
        store.wakes.wake("tasks");
      });
      working.add(done);
    }
  };

  const run = async (name: string, fetch: Fetch): Promise<void> => {
    try {
      const text = `${name} is fetched for the first time.`;
      if (!fetch.tried)
        tell(name, (id) => store.events.append(id, { kind: "appliance_notice", level: "info", text }));
      fetch.tried = true;
      await host.objectsOf(name, fetch.stop.signal);
      if (fetches.get(name) === fetch) fetches.delete(name);
    } catch (thrown) {
      if (!fetch.stop.signal.aborted) failed(name, fetch, thrown);
    }
  };

  /** What is refused for good fails the tasks that need it; what may pass is told them, and tried again after a while. */
  const failed = (name: string, fetch: Fetch, thrown: unknown) => {
    const cause = thrown instanceof CcwError ? thrown : defect(name);
    if (cause !== thrown)
      log.error("a fetch broke off", {
        repository: name,
        reason: messageOf(thrown),
        stack: thrown instanceof Error ? thrown.stack : "",
      });
    fetch.stage = { kind: "failed", cause };
    const timer = setTimeout(() => {
      timers.delete(timer);
      fetch.stage = { kind: "waits" };
      runSome();
    }, holdMs);
    timers.add(timer);
    tell(name, (id) => {
      if (passes(cause)) return tellThatItWaits(store, id, cause);
      const { message: reason, hint } = cause;
      store.events.append(id, { kind: "limit_reached", reason, hint });
      store.tasks.move(id, { kind: "failed", reason, hint });
    });
  };

  /** Does it to each task that needs the repository, all or none; where the disk is full, say, it is done without. */
  const tell = (name: string, each: (id: TaskId) => void) => {
    try {
      store.atomically(() => store.tasks.needing(name).forEach(each));
    } catch (thrown) {
      log.error("tasks were not told of a fetch", { repository: name, reason: messageOf(thrown) });
    }
  };

  return {
    areHere({ id, person, repositories }) {
      const missing = repositories.filter((name) => !host.isHere(name));
      for (const name of missing) {
        if (fetches.has(name)) continue;
        const fresh = { tried: false, stop: new AbortController(), stage: { kind: "waits" } } as const;
        fetches.set(name, { task: id, person, ...fresh });
      }
      runSome();
      return missing.length === 0;
    },
    names: () => new Set(fetches.keys()),
    endUnneeded() {
      for (const [name, fetch] of fetches) {
        if (store.tasks.stateOf(fetch.task)?.kind === "queued") continue;
        const [other] = store.tasks.needing(name);
        if (other !== undefined) {
          fetch.task = other;
          continue;
        }
        fetch.stop.abort();
        fetches.delete(name);
      }
    },
    reasonFor({ state, sandbox, repositories }) {
      if (state.kind !== "queued" || sandbox !== "none") return "";
      for (const { name } of repositories) {
        const stage = fetches.get(name)?.stage;
        if (stage !== undefined) return wordsOf(name, stage);
      }
      return "";
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      for (const { stop } of fetches.values()) stop.abort();
      await Promise.all(working);
    },
  };
}

function wordsOf(name: string, stage: Fetch["stage"]): string {
  switch (stage.kind) {
    case "waits":
      return `It waits for ${name}, which is fetched for the first time after others that are fetched now.`;
    case "runs":
      return `It waits for ${name}, which is fetched for the first time.`;
    case "failed":
      return `${stage.cause.message} The task waits and is tried again.`;
  }
}

const defect = (name: string): CcwError =>
  new CcwError("unavailable", `${name} could not be fetched.`, "The server's log says why.");
