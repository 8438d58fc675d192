import type { TaskJson } from "../src/client.ts";
import { usdText } from "../src/domain/amounts.ts";
import type { Style } from "./cells.ts";

/** How a task's state stands in lists and headings. */
export const states: Record<TaskJson["state"], { mark: string; style: Style }> = {
  queued: { mark: "○", style: "dim" },
  starting: { mark: "◌", style: "tool" },
  running: { mark: "●", style: "tool" },
  waiting: { mark: "?", style: "warning" },
  finishing: { mark: "●", style: "tool" },
  idle: { mark: "✓", style: "good" },
  paused: { mark: "=", style: "warning" },
  completed: { mark: "✓", style: "good" },
  failed: { mark: "✗", style: "bad" },
  cancelled: { mark: "-", style: "dim" },
};

/** What a task has cost; requests without a price make it more than that. */
export function costText({ costUsd, unpricedRequests }: TaskJson): string {
  return `${usdText(costUsd * 1e9)}${unpricedRequests > 0 ? "+" : ""}`;
}
