import { CcwError } from "../domain/errors.ts";
import type { ForgeApi, ForgePullRequest, PullRequestDraft } from "../domain/forge.ts";
import { newId } from "../domain/ids.ts";
import { notFollowed, type PullRequest } from "../domain/pull-request.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import type { Person } from "../domain/store/people.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { TaskRepository } from "../domain/task.ts";
import { eventOf, type PullRequestContext } from "./pull-request-context.ts";
import { offerOf } from "./pull-request-offer.ts";

export interface Wanted {
  /** All of the task's where it is left out. */
  repository?: string | undefined;
  draft: boolean;
  /** Drafted from the work where they are left out. */
  title?: string | undefined;
  body?: string | undefined;
}

/** What is open already is returned as it is. */
export async function openPullRequest(
  { store, forgeOf, ids, ...context }: PullRequestContext,
  task: TaskRow,
  place: TaskRepository,
  by: Person | undefined,
  wanted: Wanted,
): Promise<PullRequest> {
  const mine = store.pullRequests.list({ taskId: task.id, repository: place.name, limit: 100 });
  const before = mine.find(({ state }) => state === "open");
  if (before !== undefined) return before;
  const repository = store.repositories.get(place.name);
  if (repository === undefined)
    throw new CcwError("not_found", `The repository ${place.name} is not on the appliance any more.`);
  const offer = await offerOf({ store, ...context }, task, place);
  const draft: PullRequestDraft = {
    title: wanted.title ?? offer.title,
    body: wanted.body ?? offer.body,
    ...{ head: place.workBranch, base: place.baseBranch, draft: wanted.draft },
  };
  const api = forgeOf(repository);
  const made: Omit<ForgePullRequest, "state"> =
    api === undefined || repository.kind === "hosted"
      ? { ...draft, number: 0, webUrl: "", headCommit: offer.headCommit }
      : await onForge(api, repository, draft, wanted);
  const keptBy = api === undefined || repository.kind === "hosted" ? "appliance" : "forge";
  const { number, webUrl, title, body, head, base, headCommit } = made;
  const known = { number, webUrl, title, body, head, base, headCommit, draft: made.draft };
  return store.atomically(() => {
    // One that was closed, and opened again on the forge, is the same one.
    const again = mine.find(
      (each) => each.keptBy === "forge" && keptBy === "forge" && each.number === number,
    );
    if (again !== undefined) store.pullRequests.update(again.id, { ...known, state: "open" });
    const row =
      again === undefined
        ? store.pullRequests.add({
            ...{ id: newId("PullRequestId", ids), taskId: task.id, repository: place.name, keptBy },
            ...{ ...known, state: "open", checks: [], comments: [], trouble: "", follow: notFollowed },
          })
        : (store.pullRequests.get(again.id) ?? again);
    store.events.append(task.id, { kind: "pull_request_opened", ...eventOf(row, by), draft: row.draft });
    return row;
  });
}

/** One that is there from this branch already is taken over, as after a crash between the forge's answer and our row. */
async function onForge(
  api: ForgeApi,
  { path }: RemoteRepository,
  draft: PullRequestDraft,
  wanted: Wanted,
): Promise<ForgePullRequest> {
  const find = () => api.findPullRequest(path, draft.head, draft.base);
  let found = await find();
  if (found === undefined) {
    try {
      return await api.createPullRequest(path, draft);
    } catch (thrown) {
      // Somebody opened it a moment ago, or the forge made it and its answer was lost.
      const maybeThere =
        thrown instanceof CcwError && (thrown.code === "conflict" || thrown.code === "unavailable");
      found = maybeThere ? await find().catch(() => undefined) : undefined;
      if (found === undefined) throw thrown;
    }
  }
  const { title, body } = wanted;
  const change = { ...(title !== undefined && { title }), ...(body !== undefined && { body }) };
  return title === undefined && body === undefined
    ? found
    : api.updatePullRequest(path, found.number, change);
}
