import { CcwError, messageOf } from "../domain/errors.ts";
import type { Log, RepositoryHost } from "../domain/ports.ts";
import { draftOf, templatePaths } from "../domain/pull-request-draft.ts";
import type { Commit } from "../domain/repository.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import type { TaskRepository } from "../domain/task.ts";

export interface OfferContext {
  store: Store;
  host: RepositoryHost;
  log: Log;
  /** Where people reach the appliance, without a slash at the end. */
  publicUrl(): string;
}

/** What a task has to offer in one of its repositories. */
export interface Offer {
  /** The newest commit of the work branch. */
  headCommit: string;
  title: string;
  body: string;
}

const maxCommits = 200;

/** Rejects with `conflict` where the work branch is not there, or has nothing that its base lacks. */
export async function offerOf(
  context: OfferContext,
  task: TaskRow,
  { name, baseBranch, workBranch }: TaskRepository,
): Promise<Offer> {
  const { store, host, log, publicUrl } = context;
  const headCommit = await tipOf(host, name, workBranch);
  if (headCommit === undefined) throw notPushed(store, task, name, workBranch);
  // What only makes the draft better must not stand in its way.
  const orElse = async <Value>(what: Promise<Value>, otherwise: Value): Promise<Value> => {
    try {
      return await what;
    } catch (thrown) {
      log.warn("a pull request is drafted without all that could be known", {
        task: task.id,
        repository: name,
        reason: messageOf(thrown),
      });
      return otherwise;
    }
  };
  const commits = await orElse<Commit[] | undefined>(
    host.commits(name, baseBranch, workBranch, maxCommits),
    undefined,
  );
  if (commits?.length === 0) {
    throw new CcwError(
      "conflict",
      `${workBranch} of ${name} has nothing that ${baseBranch} lacks, so there is nothing to offer.`,
      "It may have been merged already.",
    );
  }
  const template = await orElse(host.fileOf(name, baseBranch, templatePaths), undefined);
  const draft = draftOf({
    title: task.title,
    prompt: store.prompts.list(task.id)[0]?.text ?? "",
    summary: lastWords(store, task),
    commits: commits ?? [],
    template,
    taskUrl: publicUrl() === "" ? "" : `${publicUrl()}/tasks/${task.id}`,
  });
  return { headCommit, ...draft };
}

export async function tipOf(host: RepositoryHost, name: string, branch: string): Promise<string | undefined> {
  return (await host.branches(name)).find((each) => each.name === branch)?.commit;
}

/** What the agent said at the end of its last turn; the task's own summary where it said nothing. */
export function lastWords(store: Store, task: TaskRow): string {
  const said = store.events.last(task.id, "turn_ended")?.body;
  if (said?.kind === "turn_ended" && said.text.trim() !== "") return said.text;
  return task.state.kind === "completed" ? task.state.summary : "";
}

function notPushed(store: Store, task: TaskRow, name: string, branch: string): CcwError {
  const once = store.events
    .ofKinds(task.id, ["pushed"])
    .some(({ body }) => body.kind === "pushed" && body.repository === name);
  return once
    ? new CcwError(
        "conflict",
        `The branch ${branch} was deleted in ${name} after the task had pushed it.`,
        "Push it again, or submit the task again.",
      )
    : new CcwError(
        "conflict",
        `The task has pushed nothing to ${branch} of ${name}, so there is nothing to offer.`,
        "A pull request can be opened once the task has pushed its work.",
      );
}
