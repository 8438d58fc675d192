import { useEffect } from "preact/hooks";
import type { Client } from "../../src/client.ts";
import { type TaskEventBody, taskEventSchema } from "../../src/domain/event.ts";
import { useAppliance } from "../appliance.ts";
import type { TaskFeed } from "./task-feed.ts";

const markedMs = 4000;

/** Leads to the part of the transcript that an event belongs to, once it has come. `show` makes it part of the page. */
export function FoundPlace(props: { id: string; at: number; feed: TaskFeed; show: (place: number) => void }) {
  const { id, at, feed, show } = props;
  const { client } = useAppliance();
  const there = feed.transcript.value.complete && feed.transcript.value.seq >= at;
  useEffect(() => {
    if (!there) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const lead = async () => {
      const key = await keyAt(client, id, at);
      const { index, items } = feed.transcript.peek();
      const place = (key === undefined ? undefined : index.get(key)) ?? 0;
      show(place);
      // Behind the rendering that shows it.
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          const part = document.querySelector(`[data-key="${CSS.escape(items[place]?.key ?? "")}"]`);
          part?.scrollIntoView({ block: "center" });
          part?.classList.add("found-here");
          timer = setTimeout(() => part?.classList.remove("found-here"), markedMs);
        }),
      );
    };
    // A place that is not there is none to go to.
    lead().catch(() => {});
    return () => clearTimeout(timer);
  }, [there, id, at]);
  return null;
}

async function keyAt(client: Client, id: string, at: number): Promise<string | undefined> {
  const query = { after: String(at - 1), limit: "1" };
  const [event] = await client.read(client.api.tasks[":id"].events.$get({ param: { id }, query }));
  return event === undefined || event.seq !== at
    ? undefined
    : keyOf(taskEventSchema.parse(event).body, event.seq);
}

/** As `extend` names the items. */
function keyOf(body: TaskEventBody, seq: number): string {
  switch (body.kind) {
    case "assistant_text":
      return `text:${body.blockId}`;
    case "tool_use":
    case "tool_result":
      return `tool:${body.toolUseId}`;
    case "prompt":
    case "prompt_edited":
      return `prompt:${body.promptId}`;
    default:
      return `line:${seq}`;
  }
}
