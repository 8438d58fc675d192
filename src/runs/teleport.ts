import { CcwError, messageOf } from "../domain/errors.ts";
import { type IdSource, newId, type TaskId } from "../domain/ids.ts";
import type { Log, RepositoryHost } from "../domain/ports.ts";
import type { SnapshotRepositories } from "../domain/snapshots.ts";
import type { Person } from "../domain/store/people.ts";
import type { Ticket } from "../domain/store/tickets.ts";
import type { Store } from "../domain/store.ts";
import type { TeleportFacts, TeleportRepositories } from "../domain/teleport.ts";
import { type Regular, regularly } from "./regularly.ts";
import { restoreOf } from "./snapshots.ts";
import { existing } from "./submit.ts";

export interface TeleportContext {
  store: Store;
  snapshots: SnapshotRepositories;
  teleports: TeleportRepositories;
  host: Pick<RepositoryHost, "branches" | "objectsOf">;
  ids: IdSource;
  log: Log;
}

/** From the page to the terminal. */
export const ticketMs = 10 * 60_000;
/** Of one person at once. */
const maxTickets = 50;
const refreshMs = 60_000;

/** A ticket for the branch, the last snapshot and the conversation of this task, as they are now. */
export async function openTeleport(
  context: TeleportContext,
  taskId: TaskId,
  person: Person,
): Promise<{ secret: string; expiresAt: number }> {
  const { store, snapshots, teleports, ids } = context;
  const task = existing(store, taskId);
  checkTickets(store, person);
  if (task.repositories.length === 0) {
    throw new CcwError(
      "conflict",
      "The task works on no repository, so there is no checkout to go on in.",
      "Its transcript is on its page.",
    );
  }
  const ticket = newId("TicketId", ids);
  try {
    const restore = await restoreOf(store, snapshots, task);
    const repositories: TeleportFacts["repositories"] = [];
    for (const [index, { name, workBranch }] of task.repositories.entries()) {
      const pushed = await pushedOf(context, name, workBranch);
      const kept = snapshots.folderOf(taskId, index);
      const lenders = [pushed?.objects, kept].filter((each) => each !== undefined);
      const made = await teleports.makeWork(ticket, {
        ...{ index, name, branch: workBranch, lenders, tip: pushed?.tip },
        snapshot: restore?.repositories[index] ?? undefined,
      });
      if (made !== undefined) repositories.push(made);
    }
    if (repositories.length === 0) {
      throw new CcwError(
        "conflict",
        "The task has nothing to take along yet: no turn has ended, and its branch was not pushed.",
        "Try again when it has done something.",
      );
    }
    const lender = snapshots.folderOf(taskId, "session");
    // The conversation of another agent is nothing that the local `claude` could go on with.
    const commit = task.agent === "claude" ? restore?.session : undefined;
    const id =
      lender === undefined || commit === undefined
        ? undefined
        : await teleports.makeSession(ticket, { lender, commit });
    const session = id === undefined || commit === undefined ? undefined : { id, commit };
    const expiresAt = ids.now() + ticketMs;
    const facts = { kind: "teleport" as const, repositories, session, state: restore?.title };
    return {
      secret: store.tickets.create({ id: ticket, person: person.id, taskId, facts, expiresAt }),
      expiresAt,
    };
  } catch (thrown) {
    await teleports.remove(ticket);
    throw thrown;
  }
}

/** The branch as the repository has it; what cannot be reached now is gone without. */
async function pushedOf({ host, log }: TeleportContext, name: string, branch: string) {
  try {
    const tip = (await host.branches(name)).find((each) => each.name === branch)?.commit;
    // Afterwards, so that they hold it.
    const objects = await host.objectsOf(name, AbortSignal.timeout(refreshMs));
    return { objects, tip };
  } catch (thrown) {
    log.warn("a branch was not looked at for a teleport", { repository: name, reason: messageOf(thrown) });
    return undefined;
  }
}

export function checkTickets(store: Store, person: Person): void {
  if (store.tickets.count(person.id) < maxTickets) return;
  throw new CcwError(
    "rate_limited",
    `You have asked for ${maxTickets} commands within the last minutes.`,
    "Use one of them, or wait until they have expired.",
  );
}

/** The ticket of this secret, for this purpose; its task is there. Undefined says no more than that it is not good. */
export function teleportTicket(
  store: Store,
  secret: string,
): (Ticket & { facts: Extract<Ticket["facts"], { kind: "teleport" }> }) | undefined {
  const ticket = store.tickets.find(secret);
  if (ticket === undefined || ticket.facts.kind !== "teleport") return undefined;
  // One that was deleted is not among them, though it may be restored for a while.
  return store.tasks.get(ticket.taskId) === undefined ? undefined : { ...ticket, facts: ticket.facts };
}

/** Says so in the task, once. */
export function noteTeleport({ store, ids }: Pick<TeleportContext, "store" | "ids">, ticket: Ticket): void {
  store.atomically(() => {
    if (store.tickets.get(ticket.id)?.usedAt !== undefined) return;
    store.tickets.update(ticket.id, { usedAt: ids.now() });
    store.events.append(ticket.taskId, { kind: "teleported", person: ticket.person.name });
  });
}

const everyMs = 5 * 60_000;

/** Removes what tickets left behind, at once and then every few minutes. */
export function startTicketExpiry(
  context: Pick<TeleportContext, "store" | "snapshots" | "teleports" | "log">,
): Regular {
  const failed = "tickets could not be looked through; trying again";
  return regularly(() => expireTickets(context), { everyMs, failed, log: context.log });
}

export async function expireTickets({
  store,
  snapshots,
  teleports,
}: Pick<TeleportContext, "store" | "snapshots" | "teleports">): Promise<void> {
  for (const { id, taskId, facts } of store.tickets.expired()) {
    await teleports.remove(id);
    // What was sent for a hand-over that never became a task.
    const became = store.tasks.get(taskId) ?? store.deletions.get(taskId);
    if (facts.kind === "handover" && became === undefined) await snapshots.remove(taskId);
    store.tickets.remove(id);
  }
  for (const id of teleports.tickets()) if (store.tickets.get(id) === undefined) await teleports.remove(id);
}
