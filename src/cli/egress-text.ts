import { bytesText } from "../domain/amounts.ts";
import { bracketed } from "../domain/host.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { TextLine } from "../domain/text-line.ts";
import { shortId } from "./task-id.ts";

/** An entry of the ledger, as the API gives it. */
export interface EgressRow {
  id: number;
  taskId: string;
  at: number;
  kind: "http" | "tunnel" | "inspected";
  host: string;
  port: number;
  method: string;
  path: string;
  verdict: "allowed" | "refused" | "cut" | "failed";
  reason: string;
  status: number;
  bytesUp: number;
  bytesDown: number;
  ms: number;
  open: boolean;
}

export const entryHead = ["ID", "TIME", "TASK", "VERDICT", "TARGET", "STATUS", "UP", "DOWN", "REASON"];

export function entryCells(row: EgressRow): string[] {
  return [
    String(row.id),
    timeText(row.at),
    shortId(row.taskId),
    row.open ? "open" : row.verdict,
    targetText(row),
    row.status === 0 ? "-" : String(row.status),
    bytesText(row.bytesUp),
    bytesText(row.bytesDown),
    row.reason,
  ];
}

/** One line for whoever follows, safe for a terminal. */
export function entryLine(row: EgressRow): TextLine {
  const sizes = row.open
    ? "under way"
    : `${bytesText(row.bytesUp)} up, ${bytesText(row.bytesDown)} down, ${Math.round(row.ms)} ms`;
  const text = `${timeText(row.at)} ${shortId(row.taskId)} ${(row.open ? "open" : row.verdict).padEnd(7)} ${targetText(row)} ${
    row.status === 0 ? "-" : row.status
  } (${sizes}) ${row.reason}`;
  return { tone: tones[row.verdict], text: plainLine(text) };
}

const tones = { allowed: "plain", refused: "warning", cut: "bad", failed: "dim" } as const;

function targetText({ kind, method, host, port, path }: EgressRow): string {
  const name = bracketed(host);
  if (kind === "tunnel") return `${method} ${name}:${port}`;
  const [scheme, usual] = kind === "http" ? ["http", 80] : ["https", 443];
  return `${method} ${scheme}://${name}${port === usual ? "" : `:${port}`}${path}`;
}

/** The day and the time here, to the second. */
function timeText(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
