import { type ReadonlySignal, signal } from "@preact/signals";
import type { Client } from "../../src/client.ts";
import type { TaskEvent } from "../../src/domain/event.ts";
import { failureOf } from "../appliance.ts";
import type { Failure } from "../parts/hooks.ts";
import { emptyTranscript, extend, type Transcript } from "./transcript.ts";

export type TaskDetail = Awaited<ReturnType<typeof readTask>>;

/** One task, live: its transcript grows by the cursor, and its row is read anew as it moves. */
export interface TaskFeed {
  transcript: ReadonlySignal<Transcript>;
  /** Undefined until it has come. */
  detail: ReadonlySignal<TaskDetail | undefined>;
  failure: ReadonlySignal<Failure | undefined>;
  refresh(): Promise<void>;
}

/** The row is read at most this often, however fast the events come. */
const refreshPauseMs = 1000;

export function followTask(client: Client, id: string, ended: AbortSignal): TaskFeed {
  const transcript = signal<Transcript>(emptyTranscript);
  const detail = signal<TaskDetail | undefined>(undefined);
  const failure = signal<Failure | undefined>(undefined);
  let buffered: TaskEvent[] = [];
  let refreshing: ReturnType<typeof setTimeout> | undefined;

  const refresh = async () => {
    try {
      const read = await readTask(client, id);
      if (!ended.aborted) detail.value = read;
      failure.value = undefined;
    } catch (thrown) {
      failure.value = failureOf(thrown);
    }
  };
  const refreshSoon = (ms: number) => {
    refreshing ??= setTimeout(() => {
      refreshing = undefined;
      if (!ended.aborted) void refresh();
    }, ms);
  };
  // One rendering a frame, however many events a frame brings.
  const show = () => {
    const events = buffered;
    buffered = [];
    transcript.value = extend(transcript.value, events);
    const moved = events.some(({ body }) => body.kind === "state");
    refreshSoon(moved ? 50 : refreshPauseMs);
  };

  const follow = async () => {
    await refresh();
    // A task that is not there has nothing to follow; the page says so.
    if (detail.value === undefined) return;
    for await (const events of client.followTask(id, 0, ended)) {
      if (buffered.length === 0) requestAnimationFrame(show);
      buffered.push(...events);
    }
  };
  follow().catch((thrown: unknown) => {
    failure.value = failureOf(thrown);
  });
  ended.addEventListener("abort", () => clearTimeout(refreshing));
  return { transcript, detail, failure, refresh };
}

function readTask(client: Client, id: string) {
  return client.read(client.api.tasks[":id"].$get({ param: { id } }));
}
