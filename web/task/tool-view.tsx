import { useMemo } from "preact/hooks";
import type { Json } from "../../src/domain/json.ts";
import { CodeLines } from "../parts/code-lines.tsx";
import { Icon } from "../parts/icon.tsx";
import { LongText } from "../parts/long-text.tsx";
import { plainLine } from "../text/plain.ts";
import { replacedLines } from "../text/replaced-lines.ts";
import type { ToolItem } from "./item.ts";

/** A tool call as people read it: what it did on one line, then what came of it. */
export function ToolView({ item, ended }: { item: ToolItem; ended: boolean }) {
  const { name, input, result } = item;
  const field = (key: string) => stringIn(input, key);
  switch (name) {
    case "Bash":
      return (
        <div class="tool-box">
          <Head item={item} ended={ended} what={firstLine(field("command"))} note={field("description")} />
          <div class="tool-body">
            {field("command").includes("\n") && <LongText text={field("command")} lines={8} />}
            <Result result={result} lines={8} />
          </div>
        </div>
      );
    case "Edit":
    case "Write":
    case "MultiEdit":
      return (
        <div class="tool-box">
          <Head item={item} ended={ended} what={field("file_path")} />
          <div class="tool-body">
            <Edits input={input} />
            {result?.isError && <Result result={result} lines={8} />}
          </div>
        </div>
      );
    case "Read":
    case "Glob":
    case "Grep":
    case "LS":
    case "WebFetch":
      return (
        <Folded
          item={item}
          ended={ended}
          what={field("file_path") || field("pattern") || field("path") || field("url")}
        />
      );
    case "AskUserQuestion":
      // The question has a card of its own.
      return <Head item={item} ended={ended} what="asks a question" />;
    default:
      return (
        <Folded item={item} ended={ended} what={summaryOf(input)}>
          {input !== null && <LongText text={JSON.stringify(input, null, 2)} lines={20} />}
        </Folded>
      );
  }
}

function Head(props: { item: ToolItem; ended: boolean; what: string; note?: string }) {
  const { name, result } = props.item;
  return (
    <div class="tool-head">
      <span class="tool-name">{plainLine(name)}</span>
      <span class="tool-what mono" title={plainLine(props.what)}>
        {plainLine(props.what)}
      </span>
      {props.note !== undefined && props.note !== "" && (
        <span class="tool-note dim">{plainLine(props.note)}</span>
      )}
      <Outcome result={result} ended={props.ended} />
    </div>
  );
}

function Outcome({ result, ended }: { result: ToolItem["result"]; ended: boolean }) {
  if (result === undefined) return <span class="outcome dim">{ended ? "no result" : "running…"}</span>;
  return (
    <span class={result.isError ? "outcome bad" : "outcome good"}>
      <Icon name={result.isError ? "cross" : "check"} />
      <span class={result.isError ? "" : "unseen"}>{result.isError ? "failed" : "done"}</span>
    </span>
  );
}

function Folded(props: {
  item: ToolItem;
  ended: boolean;
  what: string;
  children?: preact.ComponentChildren;
}) {
  const { item } = props;
  return (
    <details class="tool-box" open={item.result?.isError === true}>
      <summary>
        <Head item={item} ended={props.ended} what={props.what} />
      </summary>
      <div class="tool-body">
        {props.children}
        <Result result={item.result} lines={30} />
      </div>
    </details>
  );
}

function Result({ result, lines }: { result: ToolItem["result"]; lines: number }) {
  if (result === undefined) return null;
  if (result.text.trim() === "") return result.isError ? null : <p class="dim">No output.</p>;
  return (
    <div class={result.isError ? "output bad" : "output"}>
      <LongText text={result.text} lines={lines} omitted={result.omitted} />
    </div>
  );
}

function Edits({ input }: { input: Json }) {
  const lines = useMemo(
    () => editsOf(input).flatMap(({ before, after }) => replacedLines(before, after)),
    [input],
  );
  return lines.length === 0 ? null : <CodeLines lines={lines} limit={16} numbered={false} />;
}

function editsOf(input: Json): { before: string; after: string }[] {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return [];
  if (Array.isArray(input["edits"])) return input["edits"].flatMap(editsOf);
  return [
    {
      before: stringIn(input, "old_string"),
      after: stringIn(input, "new_string") || stringIn(input, "content"),
    },
  ];
}

function stringIn(input: Json, key: string): string {
  const value = typeof input === "object" && input !== null && !Array.isArray(input) ? input[key] : undefined;
  return typeof value === "string" ? value : "";
}

function firstLine(text: string): string {
  const [line = "", ...rest] = text.trim().split("\n");
  return rest.length === 0 ? line : `${line} …`;
}

/** The first short text of an unknown tool's input. */
function summaryOf(input: Json): string {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return "";
  const text = Object.values(input).find((value) => typeof value === "string");
  return typeof text === "string" ? firstLine(text).slice(0, 200) : "";
}
