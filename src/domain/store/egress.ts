import type { EgressFilter, EgressLedger, EgressRow, EgressStats } from "../egress.ts";
import type { SandboxId } from "../ids.ts";

export interface EgressStore {
  ledger: EgressLedger;
  /** Newest first, with ids below `before`. */
  list(filter: EgressFilter & { before?: number; limit: number }): EgressRow[];
  /** Oldest first, with ids above `after`: for whoever follows. */
  after(id: number, filter: EgressFilter & { limit: number }): EgressRow[];
  /** Those of them that are there still, oldest first. */
  get(ids: readonly number[]): EgressRow[];
  /** The id of the newest entry; 0 where there is none. */
  lastId(): number;
  /** Goes through all entries that match, in portions, so that nothing waits for it. */
  stats(filter: Pick<EgressFilter, "taskId" | "since">): Promise<EgressStats>;
  /** Bytes that the sandbox has uploaded, as the ledger was told of them; to earlier server processes, too. */
  uploaded(sandboxId: SandboxId): number;
}
