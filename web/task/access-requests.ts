import { type ReadonlySignal, signal } from "@preact/signals";
import type { AccessRequestJson, Client } from "../../src/client.ts";
import { keptInPlace } from "../../src/domain/access-order.ts";

/** A task's requests for access, each in its place for as long as the page is open. */
export interface AccessRequests {
  all: ReadonlySignal<AccessRequestJson[]>;
  /** Reads them anew. */
  refresh(): void;
}

/** Far more than one task can have waiting. */
const limit = "500";
/** Refusals that repeat are no events; how often they came is read this often while anything waits. */
const countPauseMs = 3000;

export function followAccess(client: Client, id: string, ended: AbortSignal): AccessRequests {
  const all = signal<AccessRequestJson[]>([]);
  let round = 0;
  const read = async () => {
    const mine = ++round;
    const rows = await client.read(client.api["access-requests"].$get({ query: { task: id, limit } }));
    // An answer that was overtaken says what was.
    if (mine === round && !ended.aborted) all.value = keptInPlace(all.peek(), rows);
  };
  // What is shown stays; the header says when the appliance is away.
  const refresh = () => void read().catch(() => {});
  const counting = setInterval(() => {
    if (all.peek().some(isPending) && !document.hidden) refresh();
  }, countPauseMs);
  ended.addEventListener("abort", () => clearInterval(counting));
  return { all, refresh };
}

export function isPending({ state }: AccessRequestJson): boolean {
  return state === "pending";
}
