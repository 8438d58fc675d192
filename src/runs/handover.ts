import { CcwError } from "../domain/errors.ts";
import { type IdSource, newId } from "../domain/ids.ts";
import type { RepositoryHost } from "../domain/ports.ts";
import { remoteKey } from "../domain/remote-key.ts";
import type { Repository } from "../domain/repository.ts";
import type { SnapshotRepositories } from "../domain/snapshots.ts";
import type { Person } from "../domain/store/people.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { HandoverFacts, Ticket } from "../domain/store/tickets.ts";
import type { Store } from "../domain/store.ts";
import { titleOf, workBranchOf } from "../domain/task.ts";
import { existing } from "./submit.ts";
import { checkTickets, ticketMs } from "./teleport.ts";

export interface HandoverContext {
  store: Store;
  snapshots: SnapshotRepositories;
  host: Pick<RepositoryHost, "branches" | "objectsOf">;
  ids: IdSource;
}

export type HandoverTicket = Ticket & { facts: { kind: "handover" } & HandoverFacts };

/** For what a slow line needs to send it all. */
const sendingMs = 2 * 3600_000;
const refreshMs = 60_000;
const standardPrompt = "Go on.";

/** A ticket to hand over one conversation with its files; the task that it becomes has its id already. */
export function openHandover(
  { store, ids }: HandoverContext,
  person: Person,
  { environment, model }: { environment: string; model: string },
): { secret: string; expiresAt: number } {
  checkTickets(store, person);
  environmentOf(store, environment);
  const expiresAt = ids.now() + ticketMs;
  const secret = store.tickets.create({
    ...{ id: newId("TicketId", ids), taskId: newId("TaskId", ids), person: person.id, expiresAt },
    facts: { kind: "handover", environment, model, place: undefined },
  });
  return { secret, expiresAt };
}

export function handoverTicket(store: Store, secret: string): HandoverTicket | undefined {
  const ticket = store.tickets.find(secret);
  return ticket?.facts.kind === "handover" ? { ...ticket, facts: ticket.facts } : undefined;
}

/**
 * Finds the repository that the checkout is one of: by its name here, or by its remotes. `branch`: what is checked out,
 * which the work goes on from where the repository has it, too. Rejects with `not_found` where none fits.
 */
export async function beginHandover(
  { store, host, ids }: HandoverContext,
  ticket: HandoverTicket,
  checkout: { keys: readonly string[]; repository: string; branch: string; urls: readonly string[] },
): Promise<{ repository: string; baseBranch: string }> {
  const all = store.repositories.list();
  const found =
    checkout.repository === ""
      ? all.find((each) => keysOf(each, checkout.urls).some((key) => checkout.keys.includes(key)))
      : all.find(({ name }) => name === checkout.repository);
  if (found === undefined) {
    const known = all.map(({ name }) => name).slice(0, 20);
    throw new CcwError(
      "not_found",
      checkout.repository === ""
        ? "The appliance knows no repository with a remote of this checkout."
        : `The appliance has no repository ${checkout.repository}.`,
      `It has: ${known.join(", ") || "none"}. --repo names one; \`ccw-server repo add\` adds one.`,
    );
  }
  const branches = (await host.branches(found.name)).map(({ name }) => name);
  const baseBranch = branches.includes(checkout.branch) ? checkout.branch : found.defaultBranch;
  if (!branches.includes(baseBranch)) {
    throw new CcwError("conflict", `The repository ${found.name} has no branch ${baseBranch}.`);
  }
  const place = { repository: found.name, baseBranch };
  store.tickets.update(ticket.id, {
    facts: { ...ticket.facts, place },
    expiresAt: ids.now() + sendingMs,
    usedAt: ids.now(),
  });
  return place;
}

/** Where what is handed over is pushed to: the snapshots of the task that is to be. */
export async function handoverEndpoint(
  { store, snapshots, host }: HandoverContext,
  { taskId, facts }: HandoverTicket,
  place: 0 | "session",
) {
  const became = store.tasks.get(taskId) ?? store.deletions.get(taskId);
  if (facts.place === undefined || became !== undefined) return undefined;
  const objects =
    place === "session"
      ? undefined
      : await host.objectsOf(facts.place.repository, AbortSignal.timeout(refreshMs));
  return snapshots.endpointOf(taskId, place, objects);
}

/** Makes the task of what has been pushed. Told once more it is the same task. */
export async function finishHandover(
  { store, snapshots, ids }: HandoverContext,
  { id: ticketId, taskId, person, facts }: HandoverTicket,
  sent: { work: string; head: string; session: string; prompt: string },
): Promise<TaskRow> {
  const done = store.tasks.get(taskId) ?? store.deletions.get(taskId);
  if (done !== undefined) return done;
  const { place } = facts;
  if (place === undefined) throw new CcwError("conflict", "Nothing was handed over yet.");
  const environment = environmentOf(store, facts.environment);
  const { work: commit, head, session } = sent;
  const held = await snapshots.holds(taskId, 0, [commit, head]);
  const said = session === "" ? new Set([""]) : await snapshots.holds(taskId, "session", [session]);
  if (!held.has(commit) || !held.has(head) || !said.has(session)) {
    throw new CcwError("conflict", "Not all that was to be handed over has arrived.", "Try again.");
  }
  if ((await snapshots.baseOf(taskId, 0, place.baseBranch, head)) === undefined) {
    throw new CcwError(
      "conflict",
      `What was sent has no commit in common with ${place.baseBranch} of ${place.repository}.`,
      "Hand over from a checkout of that repository.",
    );
  }
  const prompt = sent.prompt.trim() === "" ? standardPrompt : sent.prompt;
  const title = prompt === standardPrompt ? `Go on with ${place.baseBranch}` : titleOf(prompt);
  const promptId = newId("PromptId", ids);
  return store.atomically(() => {
    const meanwhile = store.tasks.get(taskId);
    if (meanwhile !== undefined) return meanwhile;
    store.tasks.create({
      ...{ id: taskId, title, person, environment, agent: "claude", model: facts.model },
      repositories: [
        { name: place.repository, baseBranch: place.baseBranch, workBranch: workBranchOf(title, taskId) },
      ],
      restore: { taskId, turn: 1 },
      prompt: { id: promptId, text: prompt },
    });
    store.snapshots.add({ taskId, promptId, repositories: [{ commit, head }], session });
    store.events.append(taskId, { kind: "handed_over", person: person.name, repository: place.repository });
    // A lost answer may be asked for again for a while.
    store.tickets.update(ticketId, { expiresAt: ids.now() + ticketMs });
    return existing(store, taskId);
  });
}

/** All that a remote of a checkout may be called (`remoteKey`). `urls`: where people reach the appliance. */
export function keysOf(repository: Repository, urls: readonly string[]): string[] {
  if (repository.kind === "hosted")
    return urls.flatMap((url) => remoteKey(`${url}/git/${repository.name}`) ?? []);
  const keys = [repository.cloneUrl, repository.webUrl, `https://${repository.name}`].flatMap(
    (address) => remoteKey(address) ?? [],
  );
  // By SSH a forge has another port, or none that is written.
  return [...new Set(keys.flatMap((key) => [key, key.replace(/^([^/:]+):[0-9]+\//, "$1/")]))];
}

function environmentOf(store: Store, name: string) {
  const environment = store.environments.get(name);
  if (environment !== undefined) return environment;
  const known = store.environments.list().map((each) => each.name);
  throw new CcwError("not_found", `There is no environment ${name}.`, `There are: ${known.join(", ")}.`);
}
