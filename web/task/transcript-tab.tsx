import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Icon } from "../parts/icon.tsx";
import { later } from "../parts/later.tsx";
import { states } from "../states.ts";
import { counted } from "../words.ts";
import { ItemView, PromptFiles } from "./item-view.tsx";
import { PromptBox } from "./prompt-box.tsx";
import { SummaryCard } from "./summary-card.tsx";
import type { TaskDetail, TaskFeed } from "./task-feed.ts";

const PullRequestCard = later(
  "the review",
  async () => (await import("./pull-request-card.tsx")).PullRequestCard,
);

const FoundPlace = later("the place", async () => (await import("./found-place.tsx")).FoundPlace);

/** The newest items are on the page; the older ones come when they are asked for, this many at a time. */
const pageLength = 250;

export function TranscriptTab(props: { feed: TaskFeed; detail: TaskDetail; at: number | undefined }) {
  const { feed, detail, at } = props;
  const { items, seq, pushes } = feed.transcript.value;
  const { task } = detail;
  const older = useSignal(0);
  const end = useRef<HTMLDivElement>(null);
  const atEnd = useSignal(true);

  useEffect(() => {
    if (end.current === null) return;
    const watcher = new IntersectionObserver(([entry]) => (atEnd.value = entry?.isIntersecting ?? false), {
      rootMargin: "0px 0px 80px 0px",
    });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [atEnd]);
  const toEnd = () => end.current?.scrollIntoView({ block: "end" });
  // Whoever reads further up is not pulled away from it.
  useLayoutEffect(() => {
    if (seq > 0 && atEnd.peek()) end.current?.scrollIntoView({ block: "end" });
  }, [seq, task.state, atEnd]);

  const show = (place: number) => {
    atEnd.value = false;
    older.value = Math.max(older.value, items.length - pageLength - place + 20);
  };
  const first = Math.max(0, items.length - pageLength - older.value);
  const { rests, ended } = states[task.state];
  const files = useMemo(
    () => new Map(detail.prompts.map(({ id, attachments }) => [id, attachments])),
    [detail.prompts],
  );
  return (
    <PromptFiles.Provider value={files}>
      {first > 0 && (
        <button type="button" class="earlier" onClick={() => (older.value += pageLength)}>
          Show earlier ({counted(first, "part")})
        </button>
      )}
      <ol class="transcript" aria-label="Transcript">
        {items.slice(first).map((item) => (
          <li key={item.key} data-key={item.key} class={`item ${item.kind}`}>
            <ItemView item={item} taskId={task.id} ended={rests} />
          </li>
        ))}
      </ol>
      {items.length === 0 && (
        <p class="empty" role="status">
          Loading the transcript…
        </p>
      )}
      {(ended || (task.state === "idle" && !task.held)) && (
        <SummaryCard task={task} pushed={pushes > 0} onPushed={feed.refresh} />
      )}
      {(task.pullRequests.length > 0 || (pushes > 0 && task.repositories.length > 0)) && (
        <PullRequestCard
          task={task}
          onGrown={() => {
            if (atEnd.peek()) toEnd();
          }}
        />
      )}
      <div class="foot">
        {!atEnd.value && (
          <button type="button" class="small to-end" onClick={toEnd}>
            <Icon name="down" /> Newest
          </button>
        )}
        <PromptBox detail={detail} feed={feed} />
      </div>
      <div ref={end} class="end" />
      {at !== undefined && <FoundPlace id={task.id} at={at} feed={feed} show={show} />}
    </PromptFiles.Provider>
  );
}
