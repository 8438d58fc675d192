import type { TaskJson } from "../src/client.ts";
import { useAppliance } from "./appliance.ts";
import { Icon, StateIcon } from "./parts/icon.tsx";
import { PullRequestBadge } from "./parts/pull-request-badge.tsx";
import { Link } from "./router.tsx";
import { shownState } from "./states.ts";
import { plainLine } from "./text/plain.ts";
import { counted, timeAgo } from "./words.ts";

export function TaskList({ currentId }: { currentId: string | undefined }) {
  const { tasks } = useAppliance();
  if (tasks.value === undefined) {
    return (
      <div class="skeletons" role="status" aria-label="Loading tasks">
        <div />
        <div />
        <div />
      </div>
    );
  }
  if (tasks.value.length === 0)
    return <p class="empty">No tasks yet. The first one you submit shows up here.</p>;
  return (
    <ul class="task-list">
      {tasks.value.map((task) => (
        <li key={task.id}>
          <TaskRow task={task} current={task.id === currentId} />
        </li>
      ))}
    </ul>
  );
}

export function TaskRow({ task, current }: { task: TaskJson; current: boolean }) {
  const { now, requests } = useAppliance();
  const { word, tone, ended, icon } = shownState(task);
  const asks = ended ? 0 : requests.value.filter(({ taskId }) => taskId === task.id).length;
  const repositories = task.repositories.map(({ name }) => name).join(", ");
  return (
    <Link to={`/tasks/${task.id}`} class="task-row" current={current}>
      <span class="task-title">{plainLine(task.title)}</span>
      <span class="task-facts">
        <span class={`state ${tone}`}>
          <StateIcon state={icon} />
          {word}
          {task.queuePosition !== undefined && ` · number ${task.queuePosition} in line`}
        </span>
        {task.attempt !== undefined && (
          <span class={task.attempt.kept ? "state good" : "dim"}>
            Attempt {task.attempt.number} of {task.attempt.of}
            {task.attempt.kept && ", kept"}
          </span>
        )}
        {task.pullRequests.map((one) => (
          <PullRequestBadge key={one.id} {...one} />
        ))}
        {task.kept.length > 0 && (
          <span class="state ask">
            <Icon name="warning" />
            Work not pushed
          </span>
        )}
        {asks > 0 && (
          <span class="state ask">
            <Icon name="lock" />
            Asks for {counted(asks, "host")}
          </span>
        )}
        <span class="dim">{repositories === "" ? "no repository" : plainLine(repositories)}</span>
        <span class="dim">{plainLine(task.person)}</span>
        <time class="dim" dateTime={new Date(task.createdAt).toISOString()}>
          {timeAgo(task.createdAt, now.value)}
        </time>
      </span>
    </Link>
  );
}
