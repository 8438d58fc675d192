import type { AccessState } from "./access-request.ts";

/**
 * Requests in the order in which they were first seen, oldest first; what was decided before comes last, newest first.
 * A row keeps its place when it is decided, and a new one never moves one that waits: nobody who is about to grant
 * finds another host under the pointer, however a sandbox times its requests.
 */
export function keptInPlace<Row extends { id: number; lastAt: number; state: AccessState["kind"] }>(
  before: readonly Row[],
  now: readonly Row[],
): Row[] {
  const byId = new Map(now.map((row) => [row.id, row]));
  const known = before.flatMap(({ id }) => byId.get(id) ?? []);
  for (const { id } of known) byId.delete(id);
  const fresh = [...byId.values()];
  const waiting = fresh.filter(({ state }) => state === "pending").sort((one, other) => one.id - other.id);
  const decided = fresh
    .filter(({ state }) => state !== "pending")
    .sort((one, other) => other.lastAt - one.lastAt);
  const place = known.findLastIndex(({ state }) => state === "pending") + 1;
  return [...known.slice(0, place), ...waiting, ...known.slice(place), ...decided];
}
