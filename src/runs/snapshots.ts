import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import type { IdSource, SandboxId, TaskId } from "../domain/ids.ts";
import type { SessionStart } from "../domain/session.ts";
import type { SnapshotPlace, SnapshotRepositories } from "../domain/snapshots.ts";
import type { Person } from "../domain/store/people.ts";
import type { Snapshot } from "../domain/store/snapshots.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { isDone } from "../domain/task.ts";
import { existing } from "./submit.ts";
import { promptOf } from "./turns.ts";

/** A turn that a crash has cut off may be told of again, and no more often than this. */
const maxOfOnePrompt = 5;

/**
 * What `react` makes of a `snapshot` event. It is the sandbox's own word: whether the commits are there is looked at when
 * something is made of them. False where it says nothing that can be.
 */
export function recordSnapshot(
  store: Store,
  taskId: TaskId,
  sandboxId: SandboxId,
  { promptId, repositories, session }: Extract<GuestEvent, { kind: "snapshot" }>,
): boolean {
  const task = store.tasks.get(taskId);
  const sandbox = store.sandboxes.get(sandboxId);
  if (task === undefined || sandbox?.taskId !== taskId || sandbox.endedAt !== undefined) return false;
  if (repositories.length !== task.repositories.length) return false;
  const prompt = promptOf(store, taskId, promptId);
  if (prompt === undefined || (prompt.state !== "taken" && prompt.state !== "sent")) return false;
  const last = store.snapshots.last(taskId);
  const brings =
    (last?.session === "" && session !== "") ||
    repositories.some((each, index) => each !== null && last?.repositories[index] === null);
  if (last?.promptId === prompt.id && (task.state.kind === "finishing" || brings)) {
    // The same turn, with what it had left uncommitted on its branch now, or with what there was no room for at its end.
    store.snapshots.replace(taskId, last.turn, {
      repositories: repositories.map((each, index) => each ?? last.repositories[index] ?? null),
      session: session || last.session,
    });
    return true;
  }
  const told = store.snapshots.list(taskId).filter((each) => each.promptId === prompt.id);
  if (told.length >= maxOfOnePrompt) return false;
  store.snapshots.add({ taskId, promptId: prompt.id, repositories, session });
  // From now on its own work is what a new sandbox begins with.
  if (task.restore !== undefined) store.tasks.update(taskId, { restore: undefined });
  return true;
}

/** So far back a snapshot is looked for of which anything is there: the newest ones may have been refused, too large. */
const maxLookedBack = 20;

/** What a sandbox of this task that is new begins with; undefined where there is nothing but the base branches. */
export async function restoreOf(
  store: Store,
  snapshots: Pick<SnapshotRepositories, "holds">,
  task: TaskRow,
): Promise<SessionStart["restore"]> {
  const wished = task.restore && store.snapshots.get(task.restore.taskId, task.restore.turn);
  const candidates =
    task.restore === undefined ? store.snapshots.list(task.id).slice(-maxLookedBack).reverse() : [wished];
  for (const snapshot of candidates) {
    if (snapshot === undefined) continue;
    const found = await heldOf(snapshots, task.id, snapshot);
    if (!found.any) continue;
    const other = snapshot.taskId === task.id ? "" : ` of ${snapshot.taskId}`;
    return {
      title: `turn ${snapshot.turn}${other}`,
      repositories: found.repositories,
      ...(found.session !== undefined && { session: found.session }),
    };
  }
  return undefined;
}

/** As much of a snapshot as is there, in the repositories of this task. */
async function heldOf(
  snapshots: Pick<SnapshotRepositories, "holds">,
  taskId: TaskId,
  snapshot: Pick<Snapshot, "repositories" | "session">,
) {
  const repositories = await Promise.all(
    snapshot.repositories.map(async (each, index) => {
      if (each === null) return null;
      const held = await snapshots.holds(taskId, index, [each.commit, each.head]);
      return held.has(each.commit) && held.has(each.head) ? each : null;
    }),
  );
  const held = await snapshots.holds(taskId, "session", [snapshot.session]);
  const session = held.has(snapshot.session) ? snapshot.session : undefined;
  return { repositories, session, any: session !== undefined || repositories.some((each) => each !== null) };
}

/** The snapshot of this turn, of which something is there; `not_found` where there is none. */
export async function existingSnapshot(
  store: Store,
  snapshots: Pick<SnapshotRepositories, "holds">,
  taskId: TaskId,
  turn: number,
): Promise<Snapshot> {
  const snapshot = store.snapshots.get(existing(store, taskId).id, turn);
  if (snapshot !== undefined && (await heldOf(snapshots, taskId, snapshot)).any) return snapshot;
  throw new CcwError(
    "not_found",
    snapshot === undefined
      ? `The task has no snapshot of a turn ${turn}.`
      : `The appliance does not have the snapshot of turn ${turn} any more.`,
    "`ccw-server task turns TASK` shows those there are.",
  );
}

/**
 * Puts the task back to how it was after this turn: its sandbox is given up, and the one that its next prompt makes
 * begins with the snapshot. Later turns stay, to be gone forward to. `conflict` while the agent works.
 */
export async function rollBack(
  { store, snapshots, ids }: { store: Store; snapshots: SnapshotRepositories; ids: IdSource },
  taskId: TaskId,
  person: Person,
  turn: number,
): Promise<void> {
  await existingSnapshot(store, snapshots, taskId, turn);
  store.atomically(() => {
    const { state } = existing(store, taskId);
    if (!isDone(state.kind) && state.kind !== "paused") {
      throw new CcwError(
        "conflict",
        `The task is ${state.kind}, so it cannot be rolled back now.`,
        "Interrupt it, or wait until it is idle.",
      );
    }
    store.events.append(taskId, { kind: "rolled_back", person: person.name, turn });
    store.tasks.update(taskId, { restore: { taskId, turn } });
    // Its door is closed to it from here on; the container goes when the scheduler looks.
    const sandbox = store.sandboxes.current(taskId);
    if (sandbox !== undefined) store.sandboxes.update(sandbox.id, { endedAt: ids.now() });
    if (state.kind === "idle") store.tasks.move(taskId, { kind: "completed", summary: state.summary });
  });
}

/** The commits of a snapshot by where they lie; those that are not there are left out. */
export async function commitsOf(
  snapshots: Pick<SnapshotRepositories, "holds">,
  snapshot: Snapshot,
): Promise<{ place: SnapshotPlace; commit: string }[]> {
  const { repositories, session } = await heldOf(snapshots, snapshot.taskId, snapshot);
  return [
    ...repositories.flatMap((each, place) =>
      each === null ? [] : [each.head, each.commit].map((commit) => ({ place, commit })),
    ),
    ...(session === undefined ? [] : [{ place: "session" as const, commit: session }]),
  ];
}
