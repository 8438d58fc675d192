import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Status, useAppliance } from "./appliance.ts";
import { Banners } from "./banners.tsx";
import { Icon } from "./parts/icon.tsx";
import { later } from "./parts/later.tsx";
import { Link, useRouter } from "./router.tsx";
import { TaskList } from "./task-list.tsx";
import { plainLine } from "./text/plain.ts";

const Composer = later("the form", async () => (await import("./composer.tsx")).Composer);
const taskPage = () => import("./task/task-page.tsx");
const TaskPage = later("the task", async () => (await taskPage()).TaskPage);
const SettingsPage = later("the settings", async () => {
  return (await import("./settings/settings-page.tsx")).SettingsPage;
});

/** Header, banners, the list of tasks, and what the address asks for. */
export function App() {
  const { path } = useRouter();
  const taskId = path.value.match(/^\/tasks\/([a-z0-9_]+)\/?$/)?.[1];
  const page = taskId !== undefined ? "task" : path.value.startsWith("/settings") ? "settings" : "home";
  useEffect(() => {
    if (taskId === undefined) document.title = page === "settings" ? "Settings · ccw-server" : "ccw-server";
  }, [page, taskId]);

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
      <div class={`body on-${page}`} ref={body}>
        <nav class="side" aria-label="Tasks">
          <Link to="/" class="button primary new-task" current={page === "home"}>
            <Icon name="plus" /> New task
          </Link>
          <TaskList currentId={taskId} />
        </nav>
        <main id="main" class="main" tabIndex={-1} ref={main}>
          {taskId !== undefined && <TaskPage key={taskId} id={taskId} />}
          {page === "settings" && <SettingsPage />}
          {page === "home" && <Composer />}
        </main>
      </div>
    </>
  );
}

function Header({ page }: { page: "task" | "settings" | "home" }) {
  const { status, link } = useAppliance();
  return (
    <header class="top">
      <Link to="/" class="brand" label="ccw-server, start page">
        <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" />
          <path d="m9 11 5 5-5 5M17 21h6" />
        </svg>
        ccw-server
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
