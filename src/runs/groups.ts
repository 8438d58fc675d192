import { CcwError } from "../domain/errors.ts";
import type { NewGroup, TaskGroup } from "../domain/group.ts";
import { type GroupId, isId, newId, type TaskId } from "../domain/ids.ts";
import type { Person } from "../domain/store/people.ts";
import type { Store } from "../domain/store.ts";
import { isEnded, titleOf } from "../domain/task.ts";
import { cancelTask } from "./steer.ts";
import { attachmentIdOf, prepareTask, type SubmitContext } from "./submit.ts";

/** Queues the same prompt several times, each a task with a branch of its own; all of them or none. */
export async function submitGroup(
  context: SubmitContext,
  person: Person,
  { attempts, models, ...input }: NewGroup,
): Promise<TaskGroup> {
  const { store, ids } = context;
  const creates: Awaited<ReturnType<typeof prepareTask>>[] = [];
  for (let number = 0; number < attempts; number++) {
    const model = models[number % models.length] ?? input.model;
    // Several pull requests of the same work help nobody: the one that is kept gets it.
    creates.push(await prepareTask(context, person, { ...input, model, pullRequest: "none" }));
  }
  return store.atomically(() => {
    const groupId = newId("GroupId", ids);
    store.groups.add({
      id: groupId,
      title: titleOf(input.prompt),
      prompt: input.prompt,
      person: person.name,
      attempts,
      pullRequest: input.repositories.length === 0 ? "none" : input.pullRequest,
    });
    const files = input.attachments.map(attachmentIdOf);
    for (const [index, create] of creates.entries()) {
      // The first one takes what was uploaded, and is refused what is not the person's to take.
      const attachments = index === 0 ? files : store.attachments.copy(files, person.id);
      create({ attempt: { groupId, number: index + 1 }, attachments });
    }
    return existingGroup(store, groupId);
  });
}

/** One attempt stays; those of the others that have not ended are cancelled. What they pushed is on their branches. */
export function keepAttempt(store: Store, id: GroupId, taskId: TaskId, person: Person): void {
  store.atomically(() => {
    existingGroup(store, id);
    const attempts = store.groups.tasks(id);
    if (!attempts.some((task) => task.id === taskId)) {
      throw new CcwError("not_found", `The task ${taskId} is not one of these attempts.`);
    }
    store.groups.keep(id, taskId);
    for (const task of attempts) {
      if (task.id !== taskId && !isEnded(task.state.kind)) cancelTask(store, task.id, person);
    }
  });
}

export function existingGroup(store: Store, id: string): TaskGroup {
  const group = isId("GroupId", id) ? store.groups.get(id) : undefined;
  if (group === undefined)
    throw new CcwError(
      "not_found",
      `There is no comparison ${JSON.stringify(id.slice(0, 60))}.`,
      "Name one of its tasks: `ccw-server task list` marks attempts like (1/3).",
    );
  return group;
}
