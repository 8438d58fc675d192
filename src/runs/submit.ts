import type { Agents } from "../domain/agents.ts";
import type { Environment } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { type AttachmentId, type IdSource, isId, newId, type TaskId } from "../domain/ids.ts";
import type { RepositoryHost } from "../domain/ports.ts";
import { parseBranchName, type Repository } from "../domain/repository.ts";
import type { Person } from "../domain/store/people.ts";
import type { TaskRestore, TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { type NewTask, type TaskRepository, titleOf, workBranchOf } from "../domain/task.ts";

export interface SubmitContext {
  store: Store;
  host: RepositoryHost;
  ids: IdSource;
  agents: Agents;
}

/**
 * Checks everything that can be checked before a sandbox is started, and queues the task. `restore`: the work that it
 * begins with, where that is not what the base branches have.
 */
export async function submitTask(
  context: SubmitContext,
  person: Person,
  input: NewTask,
  restore?: TaskRestore,
): Promise<TaskRow> {
  const create = await prepareTask(context, person, input);
  return create({ restore });
}

/** All of `submitTask` but its last step, which queues the task: for whoever does more within the same transaction. */
export async function prepareTask(
  { store, host, ids, agents }: SubmitContext,
  person: Person,
  input: NewTask,
): Promise<(more?: CreateMore) => TaskRow> {
  const environment = checkNames({ store, agents }, input);
  const id = newId("TaskId", ids);
  const title = titleOf(input.prompt);
  const workBranch = workBranchOf(title, id);
  const repositories: TaskRepository[] = [];
  for (const { name, baseBranch } of input.repositories) {
    repositories.push({ name, baseBranch: await findBase(store, host, name, baseBranch), workBranch });
  }
  if (new Set(repositories.map(({ name }) => name)).size !== repositories.length) {
    throw new CcwError("invalid", "A repository is named twice.", "Name each repository once.");
  }
  const { agent, model, mode } = input;
  return ({ attachments = input.attachments.map(attachmentIdOf), ...more } = {}) => {
    store.tasks.create({
      ...{ id, title, person, environment, agent, model, mode, repositories, ...more },
      pullRequest: repositories.length === 0 ? "none" : input.pullRequest,
      prompt: {
        id: newId("PromptId", ids),
        text: input.prompt,
        attachments,
      },
    });
    return existing(store, id);
  };
}

interface CreateMore extends Pick<Parameters<Store["tasks"]["create"]>[0], "restore" | "attempt"> {
  /** In place of those of the input: copies of them, say. */
  attachments?: readonly AttachmentId[];
}

/** That what a task names is there, branches aside, which a forge would have to be asked for. */
export function checkNames(
  { store, agents }: Pick<SubmitContext, "store" | "agents">,
  input: NewTask,
): Environment {
  const environment = environmentNamed(store, input.environment);
  if (agents.named(input.agent) === undefined) {
    throw new CcwError(
      "invalid",
      `There is no agent named ${JSON.stringify(input.agent)}.`,
      `There are: ${agents.all.map(({ name }) => name).join(", ")}.`,
    );
  }
  for (const { name } of input.repositories) repositoryNamed(store, name);
  return environment;
}

/** `not_found` where there is none. */
export function environmentNamed(store: Store, name: string): Environment {
  const environment = store.environments.get(name);
  if (environment !== undefined) return environment;
  const known = store.environments.list().map((row) => row.name);
  throw new CcwError(
    "not_found",
    `There is no environment named ${JSON.stringify(name.slice(0, 80))}.`,
    `There are: ${known.join(", ")}.`,
  );
}

function repositoryNamed(store: Store, name: string): Repository {
  const repository = store.repositories.get(name);
  if (repository !== undefined) return repository;
  const known = store.repositories.list().map((row) => row.name);
  throw new CcwError(
    "not_found",
    `There is no repository named ${JSON.stringify(name.slice(0, 100))}.`,
    known.length === 0
      ? "Add one with `ccw-server repo add NAME`."
      : `There are: ${known.slice(0, 20).join(", ")}.`,
  );
}

async function findBase(
  store: Store,
  host: RepositoryHost,
  name: string,
  wanted: string | undefined,
): Promise<string> {
  const repository = repositoryNamed(store, name);
  // The default is the forge's word, which is no better than anybody's.
  const branch = parseBranchName(wanted === undefined || wanted === "" ? repository.defaultBranch : wanted);
  const branches = (await host.branches(name)).map((row) => row.name);
  if (branches.length === 0) {
    throw new CcwError(
      "invalid",
      `The repository ${name} has no commits yet, so there is nothing to work from.`,
      "Push a first commit to it, then submit the task again.",
    );
  }
  if (!branches.includes(branch)) {
    throw new CcwError(
      "not_found",
      `The repository ${name} has no branch ${branch}.`,
      `It has: ${branches.slice(0, 20).join(", ")}.`,
    );
  }
  return branch;
}

/** As a person's client gave it; `not_found` where it is none. */
export function attachmentIdOf(text: string): AttachmentId {
  if (isId("AttachmentId", text)) return text;
  throw new CcwError("not_found", `There is no attachment ${JSON.stringify(text.slice(0, 60))}.`);
}

/** The task of that id; `not_found` where there is none. */
export function existing(store: Store, id: TaskId): TaskRow {
  const task = store.tasks.get(id);
  if (task === undefined)
    throw new CcwError("not_found", `There is no task ${id}.`, "`ccw-server task list` shows the tasks.");
  return task;
}
