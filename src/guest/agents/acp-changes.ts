import { isAbsolute, relative, resolve } from "node:path";
import { type AcpToolCall, diffsOf } from "./acp-messages.ts";

const kinds = new Set(["edit", "delete", "move"]);

/** Whether the agent says of a call that it changes files. */
export const isChange = ({ kind }: Pick<AcpToolCall, "kind">): boolean => kind != null && kinds.has(kind);

/** Where agents write plans down. */
const isPlan = (path: string) => /(^|\/)plans\/[^/]+\.md$/.test(path);

/**
 * What a call that has ended well has changed in the folder, in a few words; undefined where it says that it has changed
 * nothing there but a plan. A command that changes files does not say so.
 */
export function changeIn(folder: string, call: AcpToolCall): string | undefined {
  if (!isChange(call)) return undefined;
  const named = [...diffsOf(call), ...(call.locations ?? [])].map(({ path }) => path);
  const inside = named.filter((path) => {
    const below = relative(folder, resolve(folder, path));
    return !isAbsolute(below) && below.split("/")[0] !== ".." && !isPlan(below);
  });
  // What names no place may have been anywhere.
  if (named.length > 0 && inside.length === 0) return undefined;
  return (inside[0] ?? call.title ?? "files").slice(0, 300);
}
