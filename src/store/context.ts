import type { IdSource } from "../domain/ids.ts";
import type { WakeTopic } from "../domain/store/wakes.ts";
import type { Db } from "./database.ts";
import type { Seal } from "./seal.ts";

/** What every aggregate works with. */
export interface StoreContext {
  db: Db;
  seal: Seal;
  ids: IdSource;
  /** Wakes after the running transaction has committed, or at once where none runs. */
  wakeAfterCommit(topic: WakeTopic): void;
}
