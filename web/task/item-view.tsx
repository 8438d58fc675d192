import { createContext } from "preact";
import { useContext, useMemo } from "preact/hooks";
import type { AttachmentJson } from "../../src/client.ts";
import { FileView } from "../parts/attachments.tsx";
import { LongText } from "../parts/long-text.tsx";
import { MarkdownView } from "../parts/markdown-view.tsx";
import { plain, plainLine } from "../text/plain.ts";
import { duration } from "../words.ts";
import type { Item, LineItem, PromptItem, RawItem, StepItem } from "./item.ts";
import { QuestionCard } from "./question-card.tsx";
import { ToolView } from "./tool-view.tsx";

/** What is attached to prompts, by their id; the transcript's events do not say. */
export const PromptFiles = createContext<ReadonlyMap<string, readonly AttachmentJson[]>>(new Map());

interface ItemProps {
  item: Item;
  taskId: string;
  ended: boolean;
}

/** One part of the transcript. Items are replaced, never changed, so an item that is the same is not drawn again. */
export function ItemView({ item, taskId, ended }: ItemProps) {
  return useMemo(() => <ItemBody item={item} taskId={taskId} ended={ended} />, [item, taskId, ended]);
}

function ItemBody({ item, taskId, ended }: ItemProps) {
  switch (item.kind) {
    case "prompt":
      return <PromptView item={item} />;
    case "text":
      return <MarkdownView text={item.text} />;
    case "thinking":
      return (
        <details class="thinking-block">
          <summary>Thinking</summary>
          <LongText text={item.text} lines={40} />
        </details>
      );
    case "tool":
      return <ToolView item={item} ended={ended} />;
    case "step":
      return <StepView item={item} ended={ended} />;
    case "question":
      return <QuestionCard item={item} taskId={taskId} ended={ended} />;
    case "line":
      return <LineView item={item} />;
    case "raw":
      return <RawView item={item} />;
  }
}

function PromptView({ item }: { item: PromptItem }) {
  const files = useContext(PromptFiles).get(item.promptId) ?? [];
  return (
    <div class="bubble">
      <span class="who">{plainLine(item.person)}</span>
      <LongText text={item.text} lines={24} />
      {files.length > 0 && (
        <div class="attachments">
          {files.map((file) => (
            <FileView key={file.id} file={file} />
          ))}
        </div>
      )}
    </div>
  );
}

const stepNames: Record<string, string> = {
  clone: "Clone",
  setup: "Set-up script",
  agent: "Start the agent",
  push: "Push",
};

function StepView({ item, ended }: { item: StepItem; ended: boolean }) {
  const title = (
    <>
      <span class="tool-name">{stepNames[item.step] ?? plainLine(item.step)}</span>
      <span class="tool-what">{plainLine(item.detail)}</span>
      <span class="dim">
        {item.ms === undefined ? (ended ? "unfinished" : "running…") : duration(item.ms)}
      </span>
    </>
  );
  if (item.output === "") return <div class="tool-head">{title}</div>;
  return (
    <details class="tool-box" open={item.ms === undefined}>
      <summary class="tool-head">{title}</summary>
      <div class="tool-body">
        <LongText text={item.output} lines={40} />
      </div>
    </details>
  );
}

function LineView({ item }: { item: LineItem }) {
  return (
    <div class={`thin ${item.tone}`}>
      <span>{plain(item.text)}</span>
      {item.detail !== "" && <span class="thin-detail">{plain(item.detail)}</span>}
    </div>
  );
}

function RawView({ item }: { item: RawItem }) {
  return (
    <details class="tool-box">
      <summary class="tool-head">
        <span class="tool-name">Unknown message</span>
        <span class="tool-what">shown as it came</span>
      </summary>
      <div class="tool-body">
        <LongText text={JSON.stringify(item.raw, null, 2)} lines={40} />
      </div>
    </details>
  );
}
