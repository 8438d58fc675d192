import { and, count, eq, gt, inArray, isNotNull, isNull, lt, lte, ne, or, type SQL, sql } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import type { Lease, TaskShelf, TaskStore } from "../domain/store/tasks.ts";
import {
  activeStateKinds,
  canMove,
  illegalMove,
  isActive,
  isEnded,
  type TaskState,
  type TaskStateKind,
} from "../domain/task.ts";
import { expireAccessRequests } from "./access-requests.ts";
import { createAttachmentStore } from "./attachments.ts";
import type { StoreContext } from "./context.ts";
import { openEnvironment, sealEnvironment } from "./environments.ts";
import { appendEvent } from "./events.ts";
import { createPromptStore } from "./prompts.ts";
import { createQueue } from "./queue.ts";
import { createSandboxStore } from "./sandboxes.ts";
import { sandboxes } from "./schema/sandboxes.ts";
import { tasks } from "./schema/tasks.ts";
import { createTaskReader } from "./task-rows.ts";

/** Not deleted. */
const there = isNull(tasks.deletedAt);

const active = inArray(tasks.stateKind, [...activeStateKinds]);

export function createTaskStore(context: StoreContext): TaskStore {
  const { db, seal, ids, wakeAfterCommit } = context;
  const prompts = createPromptStore(context);
  const attachments = createAttachmentStore(context);
  const sandboxStore = createSandboxStore(context);
  const select = createTaskReader(context);
  const queue = createQueue(context);

  // Prepared, since it is asked for every event of every task.
  const stateById = db
    .select({ state: tasks.state })
    .from(tasks)
    .where(eq(tasks.id, sql.placeholder("id")))
    .prepare();

  const get = (id: TaskId) => select(and(eq(tasks.id, id), there), 1)[0];

  const write = (id: TaskId, state: TaskState, lease?: Lease) => {
    db.update(tasks)
      .set({
        state,
        stateKind: state.kind,
        updatedAt: ids.now(),
        pausedUntil: (state.kind === "paused" ? state.until : undefined) ?? null,
        ...(lease && { leaseOwner: lease.owner, leaseUntil: lease.until }),
      })
      .where(eq(tasks.id, id))
      .run();
    appendEvent(context, id, { kind: "state", state: state.kind, detail: detailOf(state) });
    wakeAfterCommit("tasks");
  };

  return {
    create(task) {
      const { id, title, person, environment, agent, model, repositories, prompt } = task;
      const { mode = "act", pullRequest = "none", restore = null, attempt } = task;
      const now = ids.now();
      const state: TaskState = { kind: "queued" };
      db.insert(tasks)
        .values({
          id,
          title,
          personId: person.id,
          environment: environment.name,
          // Secrets and egress are read from the environment itself, as it is by then: a copy would outlive them.
          sealedEnvironment: sealEnvironment(seal, { ...environment, secrets: {} }),
          agent,
          ...{ model, mode, repositories, pullRequest, restore },
          groupId: attempt?.groupId ?? null,
          attempt: attempt?.number ?? null,
          stateKind: state.kind,
          state,
          createdAt: now,
          updatedAt: now,
        })
        .run();
      appendEvent(context, id, { kind: "state", state: "queued", detail: "" });
      const files = attachments.claim(prompt.attachments ?? [], person.id, { taskId: id });
      prompts.add({ id: prompt.id, taskId: id, person, text: prompt.text, attachments: files });
      wakeAfterCommit("tasks");
    },
    get,
    stateOf: (id) => stateById.get({ id })?.state,
    list({ limit, before, states, shelf = "current" }) {
      return select(
        and(
          onShelf(shelf),
          before === undefined ? undefined : lt(tasks.createdAt, before),
          states === undefined ? undefined : inArray(tasks.stateKind, [...states]),
        ),
        limit,
      );
    },
    environmentOf(id) {
      const row = db.select({ sealed: tasks.sealedEnvironment }).from(tasks).where(eq(tasks.id, id)).get();
      if (row === undefined) throw new CcwError("not_found", `There is no task ${id}.`);
      return openEnvironment(seal, row.sealed);
    },
    next: queue.next,
    needing: queue.needing,
    claim(lease, sandboxId, limit, id) {
      if (countIn(context, activeStateKinds) >= limit) return undefined;
      const next = id ?? queue.next()?.id;
      if (next === undefined) return undefined;
      const kind = stateById.get({ id: next })?.state.kind;
      if (kind === undefined) return undefined;
      if (kind !== "queued") throw illegalMove(kind, "starting");
      const kept = sandboxStore.current(next);
      if (kept === undefined) sandboxStore.create(sandboxId, next);
      else sandboxStore.wake(kept.id);
      write(next, { kind: "starting", sandboxId: kept?.id ?? sandboxId }, lease);
      return get(next);
    },
    renew(list, { owner, until }) {
      db.update(tasks)
        .set({ leaseUntil: until })
        .where(and(inArray(tasks.id, [...list]), eq(tasks.leaseOwner, owner), active))
        .run();
    },
    takeUp({ owner, until }, otherOwners) {
      const expired = or(
        lt(tasks.leaseUntil, ids.now()),
        // Given before the clock was set back; it would hold for as long as that was.
        gt(tasks.leaseUntil, until),
        otherOwners ? ne(tasks.leaseOwner, owner) : undefined,
      );
      const taken = db
        .update(tasks)
        .set({ leaseOwner: owner, leaseUntil: until })
        .where(and(active, expired))
        .returning({ id: tasks.id })
        .all();
      return taken.flatMap(({ id }) => get(id) ?? []);
    },
    move(id, to) {
      const from = db.select({ kind: tasks.stateKind }).from(tasks).where(eq(tasks.id, id)).get()?.kind;
      if (from === undefined) throw new CcwError("not_found", `There is no task ${id}.`);
      if (!canMove(from, to.kind)) throw illegalMove(from, to.kind);
      if (isEnded(to.kind)) expireAccessRequests(context, id);
      if (!isActive(to)) {
        db.update(sandboxes)
          .set({ asleepAt: ids.now() })
          .where(and(eq(sandboxes.taskId, id), isNull(sandboxes.endedAt), isNull(sandboxes.asleepAt)))
          .run();
      }
      write(id, to);
    },
    reopen(id) {
      const kind = stateById.get({ id })?.state.kind ?? "queued";
      if (kind !== "paused" && !isEnded(kind)) throw illegalMove(kind, "queued");
      db.update(tasks).set({ archivedAt: null }).where(eq(tasks.id, id)).run();
      write(id, { kind: "queued" });
    },
    setArchived(id, archived) {
      db.update(tasks)
        .set({ archivedAt: archived ? ids.now() : null })
        .where(eq(tasks.id, id))
        .run();
      wakeAfterCommit(id);
      wakeAfterCommit("tasks");
    },
    update(id, change) {
      const { restore, ...rest } = change;
      db.update(tasks)
        .set({ ...rest, ...("restore" in change && { restore: restore ?? null }) })
        .where(eq(tasks.id, id))
        .run();
      wakeAfterCommit("tasks");
    },
    countDeath: (id) =>
      db
        .update(tasks)
        .set({ deaths: sql`${tasks.deaths} + 1` })
        .where(eq(tasks.id, id))
        .returning({ deaths: tasks.deaths })
        .get()?.deaths ?? 0,
    forgetDeaths(id) {
      db.update(tasks)
        .set({ deaths: 0 })
        .where(and(eq(tasks.id, id), ne(tasks.deaths, 0)))
        .run();
    },
    longestIdle: () =>
      db
        .select({ id: tasks.id })
        .from(tasks)
        .where(eq(tasks.stateKind, "idle"))
        .orderBy(tasks.updatedAt)
        .limit(1)
        .get()?.id,
    duePauses: (now) =>
      db
        .select({ id: tasks.id })
        .from(tasks)
        .where(
          and(isNotNull(tasks.pausedUntil), lte(tasks.pausedUntil, now), there, isNull(tasks.archivedAt)),
        )
        .all()
        .map(({ id }) => id),
    owingPullRequests: (limit) =>
      select(
        and(there, ne(tasks.pullRequest, "none"), inArray(tasks.stateKind, ["idle", "completed"])),
        limit,
      ),
    settlePullRequest(id) {
      db.update(tasks).set({ pullRequest: "none" }).where(eq(tasks.id, id)).run();
    },
    count: (states) => countIn(context, states),
  };
}

function onShelf(shelf: TaskShelf): SQL | undefined {
  switch (shelf) {
    case "current":
      return and(there, isNull(tasks.archivedAt));
    case "archived":
      return and(there, isNotNull(tasks.archivedAt));
    case "all":
      return there;
    case "deleted":
      return isNotNull(tasks.deletedAt);
  }
}

function countIn({ db }: StoreContext, states: readonly TaskStateKind[]): number {
  return (
    db
      .select({ n: count() })
      .from(tasks)
      .where(inArray(tasks.stateKind, [...states]))
      .get()?.n ?? 0
  );
}

function detailOf(state: TaskState): string {
  switch (state.kind) {
    case "failed":
      return [state.reason, state.hint].filter(Boolean).join(" ");
    case "paused":
      return [state.reason, state.hint].filter(Boolean).join(" ");
    case "idle":
    case "completed":
      return state.summary;
    case "cancelled":
      return `by ${state.by}`;
    case "queued":
    case "starting":
    case "running":
    case "waiting":
    case "finishing":
      return "";
  }
}
