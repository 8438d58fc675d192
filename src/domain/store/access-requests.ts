import type { AccessRequest, AccessState } from "../access-request.ts";
import type { DenyCode } from "../egress.ts";
import type { TaskId } from "../ids.ts";

export interface AccessRequestStore {
  /** A new one, pending; or the one of the same task, host and port, pending again. */
  ask(request: { taskId: TaskId; host: string; port: number; reason: DenyCode }): AccessRequest;
  /** Refused once more: counted within a second, with the ledger's own writes. */
  repeat(id: number): void;
  get(id: number): AccessRequest | undefined;
  /** Newest first. */
  list(filter: { taskId?: TaskId; kinds?: readonly AccessState["kind"][]; limit: number }): AccessRequest[];
  /** What waits for a person, newest first; of each task the newest `perTask`, so that none hides another's. */
  waiting(perTask: number, limit: number): AccessRequest[];
  set(id: number, state: AccessState): void;
}
