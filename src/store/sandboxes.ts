import { and, desc, eq, gt, isNull, lt, max, type SQL, sql } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import type { SandboxId } from "../domain/ids.ts";
import type { SandboxRecord, SandboxStore } from "../domain/store/sandboxes.ts";
import type { StoreContext } from "./context.ts";
import { events } from "./schema/events.ts";
import { commands, sandboxes } from "./schema/sandboxes.ts";

/** About what a row and its places in the indices take besides the event itself. */
const rowBytes = 150;

export function createSandboxStore({ db, ids, wakeAfterCommit }: StoreContext): SandboxStore {
  const row = (id: Parameters<SandboxStore["get"]>[0]) =>
    db.select().from(sandboxes).where(eq(sandboxes.id, id)).get();
  const lastOf = (id: SandboxId, which?: SQL) =>
    db
      .select({ n: max(commands.n) })
      .from(commands)
      .where(and(eq(commands.sandboxId, id), which))
      .get()?.n ?? 0;
  const { placeholder } = sql;
  // Prepared, since it is run for every event of every task; the body is JSON already.
  const insertEvent = db
    .insert(events)
    .values({
      taskId: placeholder("taskId"),
      sandboxId: placeholder("sandboxId"),
      n: placeholder("n"),
      at: placeholder("at"),
      kind: placeholder("kind"),
      body: sql`${placeholder("body")}`,
    })
    .prepare();
  const recordOf = (found: typeof sandboxes.$inferSelect): SandboxRecord => ({
    ...found,
    endedAt: found.endedAt ?? undefined,
    asleepAt: found.asleepAt ?? undefined,
    busyWith: found.busyWith ?? undefined,
  });
  return {
    create(id, taskId) {
      const seen =
        db
          .select({ seq: max(events.seq) })
          .from(events)
          .where(eq(events.taskId, taskId))
          .get()?.seq ?? 0;
      db.insert(sandboxes).values({ id, taskId, cursor: seen }).run();
    },
    get(id) {
      const found = row(id);
      return found && recordOf(found);
    },
    current(taskId) {
      const found = db
        .select()
        .from(sandboxes)
        .where(and(eq(sandboxes.taskId, taskId), isNull(sandboxes.endedAt)))
        .orderBy(desc(sql`rowid`))
        .limit(1)
        .get();
      return found && recordOf(found);
    },
    wake(id) {
      db.update(sandboxes).set({ asleepAt: null, awakeMs: 0 }).where(eq(sandboxes.id, id)).run();
    },
    asleepSince: (time) =>
      db
        .select()
        .from(sandboxes)
        .where(and(isNull(sandboxes.endedAt), lt(sandboxes.asleepAt, time)))
        .all()
        .map(recordOf),
    update(id, change) {
      db.update(sandboxes).set(change).where(eq(sandboxes.id, id)).run();
    },
    setBusy(id, promptId) {
      db.update(sandboxes)
        .set({ busyWith: promptId ?? null })
        .where(eq(sandboxes.id, id))
        .run();
    },
    appendEvents(id, list) {
      const sandbox = row(id);
      if (sandbox === undefined || sandbox.endedAt !== null)
        throw new CcwError("not_found", "This sandbox has ended.");
      let { acked: last, eventBytes } = sandbox;
      for (const { n, event } of list) {
        if (n <= last) continue;
        if (n !== last + 1) {
          throw new CcwError(
            "conflict",
            `Event ${n} cannot follow event ${last}.`,
            `Send event ${last + 1} first.`,
          );
        }
        const body = JSON.stringify(event);
        insertEvent.run({ taskId: sandbox.taskId, sandboxId: id, n, at: ids.now(), kind: event.kind, body });
        eventBytes += Buffer.byteLength(body) + rowBytes;
        last = n;
      }
      if (last !== sandbox.acked) {
        db.update(sandboxes).set({ acked: last, eventBytes }).where(eq(sandboxes.id, id)).run();
        wakeAfterCommit(sandbox.taskId);
      }
      return last;
    },
    appendCommand(id, body) {
      db.insert(commands)
        .values({ sandboxId: id, n: lastOf(id) + 1, at: ids.now(), body })
        .run();
      wakeAfterCommit(id);
    },
    commandsAfter: (id, n, limit) =>
      db
        .select({ n: commands.n, command: commands.body })
        .from(commands)
        .where(and(eq(commands.sandboxId, id), gt(commands.n, n)))
        .orderBy(commands.n)
        .limit(limit)
        .all(),
    lastCommand: (id) => lastOf(id),
    isInterruptedSince(id, promptId) {
      const given = lastOf(id, sql`${commands.body} ->> 'promptId' = ${promptId}`);
      return lastOf(id, sql`${commands.body} ->> 'kind' = 'interrupt'`) > given;
    },
    borrowedFolders: () =>
      db
        .select({ folders: sandboxes.objectFolders })
        .from(sandboxes)
        .where(isNull(sandboxes.endedAt))
        .all()
        .flatMap(({ folders }) => folders),
  };
}
