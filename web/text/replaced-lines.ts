import type { DiffLine } from "./diff.ts";

/** What an edit replaces by what, line by line, without the lines that both have at the start and the end. */
export function replacedLines(before: string, after: string): DiffLine[] {
  const old = before === "" ? [] : before.split("\n");
  const now = after === "" ? [] : after.split("\n");
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head++;
  let tail = 0;
  while (
    tail < old.length - head &&
    tail < now.length - head &&
    old[old.length - 1 - tail] === now[now.length - 1 - tail]
  )
    tail++;
  const context = 2;
  const same = (text: string): DiffLine => ({ kind: "same", text, before: 0, after: 0 });
  return [
    ...old.slice(Math.max(0, head - context), head).map(same),
    ...old.slice(head, old.length - tail).map((text): DiffLine => ({ kind: "removed", text, before: 0 })),
    ...now.slice(head, now.length - tail).map((text): DiffLine => ({ kind: "added", text, after: 0 })),
    ...old.slice(old.length - tail, old.length - tail + context).map(same),
  ];
}
