import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Status, useAppliance } from "./appliance.ts";
import { Banners } from "./banners.tsx";
import { Icon } from "./parts/icon.tsx";
import { later } from "./parts/later.tsx";
import { Link, useRouter } from "./router.tsx";
import { TaskList } from "./task-list.tsx";
import { plainLine } from "./text/plain.ts";

const Composer = later("the form", async () => (await import("./composer.tsx")).Composer);
const TaskFinder = later("the search", async () => (await import("./search/task-finder.tsx")).TaskFinder);
const taskPage = () => import("./task/task-page.tsx");
const TaskPage = later("the task", async () => (await taskPage()).TaskPage);
const SettingsPage = later("the settings", async () => {
  return (await import("./settings/settings-page.tsx")).SettingsPage;
});
const UsagePage = later("the usage", async () => (await import("./usage/usage-page.tsx")).UsagePage);

const SchedulesPage = later("the schedules", async () => {
  return (await import("./schedules/schedules-page.tsx")).SchedulesPage;
});
const GroupPage = later("the comparison", async () => (await import("./groups/group-page.tsx")).GroupPage);

/** Header, banners, the list of tasks, and what the address asks for. */
export function App() {
  const { path } = useRouter();
  const [, taskId, at] = path.value.match(/^\/tasks\/([a-z0-9_]+)(?:\/at\/(\d{1,15}))?\/?$/) ?? [];
  const groupId = path.value.match(/^\/groups\/([a-z0-9_]+)\/?$/)?.[1];
  const page = pageOf(path.value, taskId ?? groupId);
  useEffect(() => {
    if (taskId === undefined) document.title = `${titles[page] ?? ""}ccw-server`;
  }, [page, taskId]);

  /** Something else stands in the place of the list of tasks. */
  const finding = useSignal(false);
  // Nearly everybody opens a task next; where it cannot be had now, it is asked for again then.
  useEffect(() => void taskPage().catch(() => {}), []);

  const body = useRef<HTMLDivElement>(null);
  const main = useRef<HTMLElement>(null);
  // Another page begins at its top. On a phone the body scrolls, elsewhere each column.
  useLayoutEffect(() => {
    for (const part of [body.current, main.current]) part?.scrollTo(0, 0);
  }, [path.value]);

  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header page={page} />
      <Banners />
      <div class={`body on-${page}${finding.value ? " finding" : ""}`} ref={body}>
        <nav class="side" aria-label="Tasks">
          <Link to="/" class="button primary new-task" current={page === "home"}>
            <Icon name="plus" /> New task
          </Link>
          <TaskFinder currentId={taskId} inPlace={finding} />
          {!finding.value && <TaskList currentId={taskId} />}
        </nav>
        <main id="main" class="main" tabIndex={-1} ref={main}>
          {taskId !== undefined && (
            <TaskPage key={taskId} id={taskId} at={at === undefined ? undefined : Number(at)} />
          )}
          {groupId !== undefined && <GroupPage key={groupId} id={groupId} />}
          {page === "settings" && <SettingsPage />}
          {page === "schedules" && <SchedulesPage />}
          {page === "usage" && <UsagePage />}
          {page === "home" && <Composer />}
        </main>
      </div>
    </>
  );
}

const titles: Partial<Record<Page, string>> = { settings: "Settings · ", usage: "Usage · " };
type Page = "task" | "settings" | "schedules" | "usage" | "home";

function pageOf(path: string, shownId: string | undefined): Page {
  if (shownId !== undefined) return "task";
  if (path.startsWith("/settings")) return "settings";
  if (path.startsWith("/usage")) return "usage";
  return path.startsWith("/schedules") ? "schedules" : "home";
}

function Header({ page }: { page: Page }) {
  const { status, link } = useAppliance();
  return (
    <header class="top">
      <Link to="/" class="brand" label="ccw-server, start page">
        <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" />
          <path d="m9 11 5 5-5 5M17 21h6" />
        </svg>
        <span class="brand-name">ccw-server</span>
      </Link>
      <div class="top-status" aria-live="polite">
        {link.value !== "good" && (
          <span class="chip bad">{link.value === "lost" ? "Reconnecting…" : "Signed out"}</span>
        )}
        {link.value === "good" && status.value !== undefined && <ModelChip {...status.value.model} />}
        {link.value === "good" && status.value?.engine.ok && (
          <span class="chip quiet engine">{plainLine(status.value.engine.text)}</span>
        )}
      </div>
      <Link to="/schedules" class="button quiet" current={page === "schedules"}>
        <Icon name="queued" /> Schedules
      </Link>
      <Link to="/usage" class="button quiet" current={page === "usage"}>
        <Icon name="usage" /> Usage
      </Link>
      <Link to="/settings" class="button quiet" current={page === "settings"}>
        <Icon name="settings" /> Settings
      </Link>
    </header>
  );
}

function ModelChip({ kind, baseUrl }: Status["model"]) {
  switch (kind) {
    case "demo":
      return <span class="chip ask">Demo model</span>;
    case "endpoint":
      return (
        <span class="chip good" title={baseUrl}>
          {plainLine(hostOf(baseUrl))}
        </span>
      );
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
