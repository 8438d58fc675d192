import { type ReadonlySignal, signal } from "@preact/signals";
import type { Client } from "../../src/client.ts";
import { CcwError } from "../../src/domain/errors.ts";
import { type TaskEvent, taskEventSchema } from "../../src/domain/event.ts";
import { failureOf } from "../appliance.ts";
import type { Failure } from "../parts/hooks.ts";
import { emptyTranscript, extend, type Transcript } from "./transcript.ts";

export type TaskDetail = Awaited<ReturnType<typeof readTask>>;
export type PromptRow = TaskDetail["prompts"][number];

/** One task, live: its transcript grows by the cursor, and its row is read anew as it moves. */
export interface TaskFeed {
  transcript: ReadonlySignal<Transcript>;
  /** Undefined until it has come. */
  detail: ReadonlySignal<TaskDetail | undefined>;
  failure: ReadonlySignal<Failure | undefined>;
  /** Reads the row anew, soon. */
  refresh(): void;
}

/** An appliance that is away is asked again after this pause. */
const awayPauseMs = 2000;
/** Events of a long transcript that are shown first. */
const endLength = 400;
/** Events that change what stands in the row or in the queue, besides its figures. */
const telling = /^(state|prompt.*|turn_started|question|answered|\w+_changed|resume_requested|sandbox_\w+)$/;
/** The row is read at most this often, however fast the events come. */
const loadPauseMs = 1000;

export function followTask(client: Client, id: string, ended: AbortSignal): TaskFeed {
  const transcript = signal<Transcript>(emptyTranscript);
  const detail = signal<TaskDetail | undefined>(undefined);
  const failure = signal<Failure | undefined>(undefined);
  /** From the first event on; while it comes, the page shows the end. */
  let whole = emptyTranscript;
  let buffered: TaskEvent[] = [];
  let loading: { timer: ReturnType<typeof setTimeout>; at: number } | undefined;

  const load = async () => {
    const read = await readTask(client, id);
    if (ended.aborted) return;
    detail.value = read;
    failure.value = undefined;
  };
  const loadSoon = (ms: number) => {
    const at = Date.now() + ms;
    if (loading !== undefined && loading.at <= at) return;
    clearTimeout(loading?.timer);
    const timer = setTimeout(() => {
      loading = undefined;
      // The page goes on showing what it has; the header says when the connection is lost.
      load().catch(() => {});
    }, ms);
    loading = { timer, at };
  };
  // One rendering a frame, however many events a frame brings.
  const show = () => {
    const events = buffered;
    buffered = [];
    whole = extend(whole, events);
    if (whole.seq >= transcript.value.seq) transcript.value = whole;
    loadSoon(events.some(({ body }) => telling.test(body.kind)) ? 50 : loadPauseMs);
  };

  /** A long transcript opens at its end, at once; a short one has come whole by then. */
  const showEnd = async () => {
    const query = { before: String(Number.MAX_SAFE_INTEGER), limit: String(endLength) };
    const events = await client.read(client.api.tasks[":id"].events.$get({ param: { id }, query }));
    if (ended.aborted || events.length < endLength) return;
    transcript.value = {
      ...extend(
        emptyTranscript,
        events.map((event) => taskEventSchema.parse(event)),
      ),
      complete: false,
    };
  };

  const follow = async () => {
    while (detail.value === undefined && !ended.aborted) {
      try {
        await load();
      } catch (thrown) {
        failure.value = failureOf(thrown);
        // An appliance that is away may come back; a task that is not there has nothing to follow.
        if (!(thrown instanceof CcwError && thrown.code === "unavailable")) return;
        await new Promise((resolve) => setTimeout(resolve, awayPauseMs));
      }
    }
    // Where that fails the whole of it comes all the same.
    await showEnd().catch(() => {});
    for await (const events of client.followTask(id, 0, ended)) {
      if (buffered.length === 0) requestAnimationFrame(show);
      buffered.push(...events);
    }
  };
  follow().catch(() => {
    // Events that the schema of this page does not know: the appliance was upgraded under it.
    failure.value = {
      message: "This page cannot read what the appliance sends now.",
      hint: "Load it again.",
    };
  });
  ended.addEventListener("abort", () => clearTimeout(loading?.timer));
  return { transcript, detail, failure, refresh: () => loadSoon(50) };
}

function readTask(client: Client, id: string) {
  return client.read(client.api.tasks[":id"].$get({ param: { id } }));
}
