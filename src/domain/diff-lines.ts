import { plainText } from "./plain-text.ts";
import type { TextLine } from "./text-line.ts";

/** A unified diff, safe for a terminal, with its lines marked. */
export function diffLines(diff: string): TextLine[] {
  return diff
    .replace(/\n$/, "")
    .split("\n")
    .filter((line) => line !== "" || diff !== "")
    .map((line) => ({ tone: toneOf(line), text: plainText(line) }));
}

function toneOf(line: string): TextLine["tone"] {
  if (/^(diff |index |--- |\+\+\+ |new file|deleted file|rename |similarity )/.test(line)) return "strong";
  if (line.startsWith("@@")) return "tool";
  if (line.startsWith("+")) return "good";
  return line.startsWith("-") ? "bad" : "plain";
}
