import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo } from "preact/hooks";
import { costText } from "../../src/domain/usage-report.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { Icon } from "../parts/icon.tsx";
import { later } from "../parts/later.tsx";
import { Link } from "../router.tsx";
import { states } from "../states.ts";
import { plainLine } from "../text/plain.ts";
import { amount, timeAgo } from "../words.ts";
import { followAccess, isPending } from "./access-requests.ts";
import { AccessStrip } from "./access-strip.tsx";
import { TaskActions } from "./task-actions.tsx";
import { followTask, type TaskDetail } from "./task-feed.ts";
import { TranscriptTab } from "./transcript-tab.tsx";

const DiffTab = later("the diff", async () => (await import("./diff-tab.tsx")).DiffTab);
const UsageTab = later("the usage", async () => (await import("./usage-tab.tsx")).UsageTab);
const TurnsTab = later("the turns", async () => (await import("./turns-tab.tsx")).TurnsTab);
const EgressTab = later("the egress", async () => (await import("./egress-tab.tsx")).EgressTab);

const TaskMenu = later("the menu", async () => (await import("./task-menu.tsx")).TaskMenu);

const tabs = ["transcript", "diff", "turns", "egress", "usage"] as const;
type Tab = (typeof tabs)[number];
const tabWords: Record<Tab, string> = {
  transcript: "Transcript",
  diff: "Diff",
  turns: "Turns",
  egress: "Egress",
  usage: "Usage",
};

/** `at`: the event that the transcript is opened at; its end where none is named. */
export function TaskPage({ id, at }: { id: string; at: number | undefined }) {
  const { client, link } = useAppliance();
  const ended = useMemo(() => new AbortController(), []);
  const feed = useMemo(() => followTask(client, id, ended.signal), [client, id, ended]);
  const requests = useMemo(() => followAccess(client, id, ended.signal), [client, id, ended]);
  const tab = useSignal<Tab>("transcript");
  useEffect(() => () => ended.abort(), [ended]);
  const reachable = link.value === "good";
  useEffect(() => {
    if (reachable) feed.refresh();
  }, [reachable, feed]);
  const { accessSteps } = feed.transcript.value;
  useEffect(() => {
    if (reachable) requests.refresh();
  }, [reachable, accessSteps, requests]);

  // The transcript goes to its end by itself; the others begin at their top.
  useLayoutEffect(() => {
    if (tab.value !== "transcript") document.getElementById("tab-panel")?.scrollIntoView({ block: "start" });
  }, [tab.value]);

  const detail = feed.detail.value;
  const title = detail?.task.title;
  useEffect(() => {
    if (title !== undefined) document.title = `${plainLine(title)} · ccw-server`;
  }, [title]);

  const moveTab = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    tab.value = tabs[(tabs.indexOf(tab.value) + by + tabs.length) % tabs.length] ?? "transcript";
    document.getElementById(`tab-${tab.value}`)?.focus();
  };

  const waiting = requests.all.value.filter(isPending).length;
  if (detail === undefined) {
    return (
      <div class="page">
        <BackLink />
        {feed.failure.value === undefined ? (
          <p class="empty" role="status">
            Loading the task…
          </p>
        ) : (
          <FailureNote failure={feed.failure.value} />
        )}
      </div>
    );
  }
  return (
    <article class="task">
      <TaskHead detail={detail} />
      <div class="task-bar">
        <div class="tabs" role="tablist" aria-label="Views of the task">
          {tabs.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={tab.value === name}
              aria-controls="tab-panel"
              tabIndex={tab.value === name ? 0 : -1}
              onClick={() => (tab.value = name)}
              onKeyDown={moveTab}
            >
              {tabWords[name]}
              {name === "egress" && waiting > 0 && (
                <span class="count" title="Hosts to decide on">
                  {waiting}
                </span>
              )}
            </button>
          ))}
        </div>
        <TaskActions feed={feed} detail={detail}>
          <TaskMenu task={detail.task} onChanged={feed.refresh} />
        </TaskActions>
        {tab.value !== "egress" && !states[detail.task.state].ended && (
          <AccessStrip requests={requests} onMore={() => (tab.value = "egress")} />
        )}
      </div>
      {detail.task.state === "queued" && detail.task.detail !== "" && (
        <p class="dim" role="status">
          {plainLine(detail.task.detail)}
        </p>
      )}
      <FailureNote failure={feed.failure.value} />
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab.value}`} class="tab-panel">
        {tab.value === "transcript" && <TranscriptTab feed={feed} detail={detail} at={at} />}
        {tab.value === "diff" && <DiffTab id={id} feed={feed} />}
        {tab.value === "turns" && <TurnsTab task={detail.task} feed={feed} />}
        {tab.value === "egress" && <EgressTab task={detail.task} requests={requests} />}
        {tab.value === "usage" && <UsageTab task={detail.task} />}
      </div>
    </article>
  );
}

function BackLink() {
  return (
    <Link to="/" class="back">
      <Icon name="back" /> All tasks
    </Link>
  );
}

function TaskHead({ detail: { task } }: { detail: TaskDetail }) {
  const { now } = useAppliance();
  return (
    <header class="task-head">
      <BackLink />
      <h1>{plainLine(task.title)}</h1>
      <p class="facts">
        {task.repositories.map(({ name, baseBranch, workBranch }) => (
          <span class="route" key={name}>
            <Icon name="branch" />
            {plainLine(name)} <code>{plainLine(baseBranch)}</code> → <code>{plainLine(workBranch)}</code>
          </span>
        ))}
        {task.attempt !== undefined && (
          <Link to={`/groups/${task.attempt.groupId}`}>Compare {task.attempt.of} attempts</Link>
        )}
        <span title="Environment">env {plainLine(task.environment)}</span>
        <span title="Tokens read and written by the model">
          {amount(task.inputTokens)} in · {amount(task.outputTokens)} out
        </span>
        <span title="Cost, by the prices of when the model was asked">
          {costText(task.costUsd, task.unpricedRequests)}
        </span>
        <span>
          {plainLine(task.person)},{" "}
          <time dateTime={new Date(task.createdAt).toISOString()}>{timeAgo(task.createdAt, now.value)}</time>
        </span>
      </p>
    </header>
  );
}
