import { CcwError } from "../domain/errors.ts";
import type { TaskEvent } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";
import { plainLine, plainText } from "../domain/plain-text.ts";
import type { RepositoryHost } from "../domain/ports.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { tarEnd, tarHeader, tarPadding } from "../domain/tar.ts";
import { createDocumentParts, type DocumentFormat, type DocumentHead } from "../domain/task-document.ts";
import { htmlFormat } from "../domain/task-html.ts";
import { markdownFormat } from "../domain/task-markdown.ts";
import { existing } from "./submit.ts";

export const exportFormats = ["json", "markdown", "html"] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface TaskExport {
  /** ASCII, and no path. */
  fileName: string;
  mediaType: string;
  bytes: AsyncGenerator<Uint8Array>;
}

export interface ExportContext {
  store: Store;
  host: Pick<RepositoryHost, "branches" | "diff">;
}

const eventsAtOnce = 500;
const maxPatchBytes = 16 * 1024 * 1024;
/** Beyond this what a person reads is cut; the archive has more. */
const maxShownPatch = 2 * 1024 * 1024;
const maxRequests = 50_000;
const encoder = new TextEncoder();

/**
 * A task as one file: `json` is an archive (.tar.gz) for programs, with all that was said and the diffs; the others are for
 * people. Everything up to the last event that is there now, read a page at a time.
 */
export function exportTask(context: ExportContext, taskId: TaskId, format: ExportFormat): TaskExport {
  const task = existing(context.store, taskId);
  const name = `ccw-task-${task.id.slice(-6)}`;
  switch (format) {
    case "json":
      return {
        fileName: `${name}.tar.gz`,
        mediaType: "application/gzip",
        bytes: gzipped(archive(context, task, name)),
      };
    case "markdown":
      return {
        fileName: `${name}.md`,
        mediaType: "text/markdown; charset=utf-8",
        bytes: document(context, task, markdownFormat),
      };
    case "html":
      return {
        fileName: `${name}.html`,
        mediaType: "text/html; charset=utf-8",
        bytes: document(context, task, htmlFormat),
      };
  }
}

async function* document(context: ExportContext, task: TaskRow, format: DocumentFormat) {
  const parts = createDocumentParts();
  yield encoder.encode(format.begin(headOf(task)));
  for await (const events of eventsOf(context.store, task.id)) {
    const text = events.flatMap(({ at, body }) => parts.add(at, body)).map(format.part);
    yield encoder.encode(text.join(""));
  }
  yield encoder.encode(parts.rest().map(format.part).join(""));
  for await (const { repository, patch, truncated } of diffsOf(context, task, maxShownPatch)) {
    yield encoder.encode(format.part({ kind: "diff", repository, text: plainText(patch), truncated }));
  }
  yield encoder.encode(format.end());
}

async function* archive(context: ExportContext, task: TaskRow, folder: string) {
  const { store } = context;
  const file = function* (name: string, text: string) {
    const bytes = encoder.encode(text);
    yield tarHeader(`${folder}/${name}`, bytes.length, task.updatedAt);
    yield bytes;
    yield tarPadding(bytes.length);
  };
  const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
  const { person, restore: _, ...rest } = task;
  yield* file("task.json", json({ ...rest, person: person.name }));
  const prompts = store.prompts.list(task.id).map(({ taskId: _, ...prompt }) => prompt);
  yield* file("prompts.json", json(prompts));
  yield* file(
    "attachments.json",
    json(prompts.flatMap(({ id, attachments }) => attachments.map((one) => ({ promptId: id, ...one })))),
  );
  yield* file("usage.json", json(store.usage.list(task.id, maxRequests)));
  let index = 0;
  for await (const { repository, patch } of diffsOf(context, task, maxPatchBytes)) {
    index += 1;
    const slug = repository.replace(/[^A-Za-z0-9._-]+/g, "-").slice(-60);
    yield* file(`${index}-${slug}.patch`, patch);
  }

  // A file's size stands before it, so its events are gone through twice rather than held.
  const last = lastOf(store, task.id);
  let size = 0;
  for await (const events of eventsOf(store, task.id, last)) size += linesOf(events).length;
  yield tarHeader(`${folder}/events.ndjson`, size, task.updatedAt);
  let written = 0;
  for await (const events of eventsOf(store, task.id, last)) {
    const lines = linesOf(events);
    written += lines.length;
    yield lines;
  }
  if (written !== size) throw new CcwError("conflict", "The task was removed while it was exported.");
  yield tarPadding(size);
  yield tarEnd;
}

function linesOf(events: readonly TaskEvent[]): Uint8Array {
  return encoder.encode(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
}

function lastOf(store: Store, taskId: TaskId): number {
  return store.events.before(taskId, Number.MAX_SAFE_INTEGER, 1)[0]?.seq ?? 0;
}

/** A page at a time, with everybody else's turn between two. */
async function* eventsOf(
  store: Store,
  taskId: TaskId,
  last = lastOf(store, taskId),
): AsyncGenerator<TaskEvent[]> {
  for (let seq = 0; seq < last; ) {
    const page = store.events.after(taskId, seq, eventsAtOnce);
    const end = page.at(-1)?.seq;
    if (end === undefined) return;
    seq = end;
    yield page.filter((event) => event.seq <= last);
    await Bun.sleep(0);
  }
}

async function* diffsOf({ host }: ExportContext, task: TaskRow, maxBytes: number) {
  for (const { name, baseBranch, workBranch } of task.repositories) {
    let found: { patch: string; patchTruncated: boolean };
    try {
      const pushed = (await host.branches(name)).some((branch) => branch.name === workBranch);
      if (!pushed) continue;
      found = await host.diff(name, baseBranch, workBranch, { maxPatchBytes: maxBytes });
    } catch (thrown) {
      // A forge that is away, or a repository that was removed, takes nobody's transcript.
      if (thrown instanceof CcwError) continue;
      throw thrown;
    }
    yield { repository: name, patch: found.patch, truncated: found.patchTruncated };
  }
}

async function* gzipped(parts: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const compression = new CompressionStream("gzip");
  yield* streamOf(parts).pipeThrough(compression);
}

/** Read as fast as its reader takes it; ended with its reader. */
export function streamOf(parts: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(Uint8Array.from(value));
    },
    async cancel() {
      await parts.return(undefined);
    },
  });
}

function headOf(task: TaskRow): DocumentHead {
  const time = (at: number) => new Date(at).toISOString();
  const facts: [string, string][] = [
    ["Task", task.id],
    ["State", task.state.kind],
    ["Person", task.person.name],
    ["Agent", task.model === "" ? task.agent : `${task.agent}, ${task.model}`],
    ["Environment", task.environment],
    ...task.repositories.map(({ name, baseBranch, workBranch }): [string, string] => [
      "Repository",
      `${name}: ${workBranch} from ${baseBranch}`,
    ]),
    ["Tokens", `${task.inputTokens} in, ${task.outputTokens} out`],
    ["Submitted", time(task.createdAt)],
    ["Changed", time(task.updatedAt)],
  ];
  return { title: plainLine(task.title), facts: facts.map(([name, value]) => [name, plainLine(value)]) };
}
