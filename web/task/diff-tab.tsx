import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { plainLine } from "../text/plain.ts";
import { RepositoryDiff } from "./repository-diff.tsx";
import type { TaskFeed } from "./task-feed.ts";

/** What the task's branches add, read anew after every push. */
export function DiffTab({ id, feed }: { id: string; feed: TaskFeed }) {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(
    () => client.read(client.api.tasks[":id"].diff.$get({ param: { id } })),
    [id, feed.transcript.value.pushes],
  );
  const loaded = state.value;
  if (loaded.kind === "loading") {
    return (
      <p class="empty" role="status">
        Loading the diff…
      </p>
    );
  }
  if (loaded.kind === "failed") return <FailureNote failure={loaded.failure} retry={reload} />;
  if (loaded.value.length === 0) return <p class="empty">The task has no repository, so there is no diff.</p>;
  return (
    <>
      {loaded.value.map((diff) => (
        <BranchDiff key={diff.repository} {...diff} />
      ))}
    </>
  );
}

/** What a task's branch in one repository adds to its base. */
export function BranchDiff(props: {
  within?: string;
  repository: string;
  workBranch: string;
  pushed: boolean;
  diff: string;
  truncated: boolean;
}) {
  const { within, repository, workBranch, pushed, diff, truncated } = props;
  if (!pushed) return <p class="empty">{plainLine(repository)}: nothing pushed yet.</p>;
  const cut = truncated && (
    <>
      Fetch the branch <code>{plainLine(workBranch)}</code> to see all of it.
    </>
  );
  return (
    <RepositoryDiff
      {...{ within, repository, diff }}
      empty="the branch adds nothing to its base."
      cut={cut === false ? undefined : cut}
    />
  );
}
