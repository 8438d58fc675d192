import { and, eq, max, ne, type SQL, sql } from "drizzle-orm";
import type { TaskId } from "../domain/ids.ts";
import type { PromptStore } from "../domain/store/prompts.ts";
import type { StoreContext } from "./context.ts";
import { appendEvent } from "./events.ts";
import { prompts } from "./schema/prompts.ts";

/** Row ids grow in the order of submission, within one millisecond too. */
const inOrder = [prompts.place, sql`rowid`];

export function createPromptStore(context: StoreContext): PromptStore {
  const { db, ids } = context;

  const of = (taskId: TaskId) => eq(prompts.taskId, taskId);

  const queuedOf = (taskId: TaskId, limit = -1) =>
    db
      .select()
      .from(prompts)
      .where(and(of(taskId), eq(prompts.state, "queued")))
      .orderBy(...inOrder)
      .limit(limit)
      .all();

  const endOf = (which: SQL | undefined): number =>
    (db
      .select({ last: max(prompts.place) })
      .from(prompts)
      .where(which)
      .get()?.last ?? 0) + 1;
  const placeAtEnd = (taskId: TaskId) => endOf(of(taskId));
  const placeOfNext = (taskId: TaskId) => endOf(and(of(taskId), ne(prompts.state, "queued")));
  const placeBeforeAll = (taskId: TaskId): number | undefined => {
    const first = queuedOf(taskId, 1)[0];
    return first && first.place - 1;
  };

  const get: PromptStore["get"] = (id) => db.select().from(prompts).where(eq(prompts.id, id)).get();

  return {
    add({ id, taskId, person, text, attachments = [], first = false }) {
      const place = (first ? placeBeforeAll(taskId) : undefined) ?? placeAtEnd(taskId);
      db.insert(prompts)
        .values({
          ...{ id, taskId, text, place },
          person: person.name,
          attachments: attachments.map(({ id: file, name, mediaType, bytes }) => ({
            ...{ id: file, name, mediaType, bytes },
          })),
          state: "queued",
          createdAt: ids.now(),
        })
        .run();
      appendEvent(context, taskId, {
        kind: "prompt",
        promptId: id,
        person: person.name,
        text,
        ...(attachments.length > 0 && { attachments: attachments.map(({ name }) => name) }),
      });
    },
    get,
    list: (taskId) =>
      db
        .select()
        .from(prompts)
        .where(of(taskId))
        .orderBy(sql`${prompts.state} = 'queued'`, ...inOrder)
        .all(),
    nextQueued: (taskId) => queuedOf(taskId, 1)[0],
    mark(id, state) {
      const taskId = get(id)?.taskId;
      if (taskId === undefined) return;
      // Put back it is the next one; sent it stands behind those that were sent before it.
      const place = state === "queued" ? (placeBeforeAll(taskId) ?? placeAtEnd(taskId)) : placeOfNext(taskId);
      db.update(prompts)
        .set({ state, place, ...(state === "queued" && { now: false }) })
        .where(eq(prompts.id, id))
        .run();
    },
    edit(id, text) {
      db.update(prompts).set({ text }).where(eq(prompts.id, id)).run();
    },
    place(id, position) {
      const taskId = get(id)?.taskId;
      if (taskId === undefined) return;
      const others = queuedOf(taskId).filter((prompt) => prompt.id !== id);
      const order = others.map((prompt) => prompt.id).toSpliced(position - 1, 0, id);
      const end = placeAtEnd(taskId);
      for (const [index, each] of order.entries())
        db.update(prompts)
          .set({ place: end + index })
          .where(eq(prompts.id, each))
          .run();
    },
    sendNow(id) {
      db.update(prompts).set({ state: "sent", now: true }).where(eq(prompts.id, id)).run();
    },
    underway: (taskId) =>
      db
        .select()
        .from(prompts)
        .where(and(of(taskId), eq(prompts.state, "sent"), eq(prompts.now, true)))
        .orderBy(...inOrder)
        .all(),
  };
}
