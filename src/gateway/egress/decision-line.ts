import type { EgressEntry } from "../../domain/egress.ts";
import type { LogFields } from "../../domain/ports.ts";

/** The log's line of one decision, with the ledger's own words. */
export function decisionLine(row: EgressEntry): LogFields {
  return {
    sandbox: row.sandboxId,
    task: row.taskId,
    kind: row.kind,
    host: row.host,
    port: row.port,
    method: row.method,
    path: row.path,
    verdict: row.verdict,
    reason: row.reason,
  };
}
