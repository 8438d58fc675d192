import { and, eq, sql } from "drizzle-orm";
import type { PromptStore } from "../domain/store.ts";
import type { StoreContext } from "./context.ts";
import { appendEvent } from "./events.ts";
import { prompts } from "./schema.ts";

/** Row ids grow in the order of submission, within one millisecond too. */
const submitted = sql`rowid`;

export function createPromptStore(context: StoreContext): PromptStore {
  const { db, ids } = context;
  return {
    add({ id, taskId, person, text }) {
      db.insert(prompts)
        .values({ id, taskId, person: person.name, text, state: "queued", createdAt: ids.now() })
        .run();
      appendEvent(context, taskId, { kind: "prompt", promptId: id, person: person.name, text });
    },
    list: (taskId) => db.select().from(prompts).where(eq(prompts.taskId, taskId)).orderBy(submitted).all(),
    nextQueued: (taskId) =>
      db
        .select()
        .from(prompts)
        .where(and(eq(prompts.taskId, taskId), eq(prompts.state, "queued")))
        .orderBy(submitted)
        .limit(1)
        .get(),
    mark(id, state) {
      db.update(prompts).set({ state }).where(eq(prompts.id, id)).run();
    },
  };
}
