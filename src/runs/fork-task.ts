import { z } from "zod";
import { CcwError } from "../domain/errors.ts";
import { type IdSource, newId, type TaskId } from "../domain/ids.ts";
import type { SnapshotRepositories } from "../domain/snapshots.ts";
import type { Person } from "../domain/store/people.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { newTaskSchema, titleOf, workBranchOf } from "../domain/task.ts";
import { commitsOf, existingSnapshot } from "./snapshots.ts";
import { attachmentIdOf, existing } from "./submit.ts";

const { prompt, model, mode, attachments, pullRequest } = newTaskSchema.shape;
/** What is left out is as in the task that it is forked from. */
export const forkSchema = z.object({
  turn: z.number().int().positive(),
  prompt,
  model: model.unwrap().optional(),
  mode: mode.unwrap().optional(),
  attachments,
  pullRequest,
});

/**
 * A new task with the same repositories and the same environment, on a branch of its own, which begins with the files and
 * the conversation of another task after this turn.
 */
export async function forkTask(
  { store, snapshots, ids }: { store: Store; snapshots: SnapshotRepositories; ids: IdSource },
  from: TaskId,
  person: Person,
  input: z.infer<typeof forkSchema>,
): Promise<TaskRow> {
  const origin = existing(store, from);
  const snapshot = await existingSnapshot(store, snapshots, from, input.turn);
  const environment = store.environments.get(origin.environment);
  if (environment === undefined) {
    throw new CcwError(
      "conflict",
      `The task's environment, ${origin.environment}, is not there any more.`,
      "Make one of that name, or submit a new task.",
    );
  }
  for (const { name } of origin.repositories) {
    if (store.repositories.get(name) !== undefined) continue;
    throw new CcwError("conflict", `The repository ${name} is not there any more.`, "Add it again first.");
  }
  const id = newId("TaskId", ids);
  const title = titleOf(input.prompt);
  const workBranch = workBranchOf(title, id);
  try {
    // First: from the moment that the task is there it may be claimed.
    await snapshots.copy(from, id, await commitsOf(snapshots, snapshot));
    store.atomically(() => {
      store.tasks.create({
        ...{ id, title, person, environment },
        agent: origin.agent,
        model: input.model ?? origin.model,
        mode: input.mode ?? origin.mode,
        repositories: origin.repositories.map((repository) => ({ ...repository, workBranch })),
        restore: { taskId: from, turn: input.turn },
        pullRequest: origin.repositories.length === 0 ? "none" : input.pullRequest,
        prompt: {
          id: newId("PromptId", ids),
          text: input.prompt,
          attachments: input.attachments.map(attachmentIdOf),
        },
      });
      const commits = snapshot.repositories.map((each) => each?.commit ?? null);
      store.events.append(id, {
        kind: "forked",
        person: person.name,
        taskId: from,
        turn: input.turn,
        commits,
      });
    });
  } catch (thrown) {
    await snapshots.remove(id);
    throw thrown;
  }
  return existing(store, id);
}
