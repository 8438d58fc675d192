import first from "../../migrations/0000_first.sql" with { type: "text" };
import sandboxEventBytes from "../../migrations/0001_sandbox-event-bytes.sql" with { type: "text" };
import egress from "../../migrations/0002_egress.sql" with { type: "text" };
import expiredAccessRequests from "../../migrations/0003_expired-access-requests.sql" with { type: "text" };
import forges from "../../migrations/0004_forges.sql" with { type: "text" };
import taskLife from "../../migrations/0005_task_life.sql" with { type: "text" };
import search from "../../migrations/0006_search.sql" with { type: "text" };
import teleport from "../../migrations/0007_teleport.sql" with { type: "text" };
import queue from "../../migrations/0008_queue.sql" with { type: "text" };
import sharedAttachments from "../../migrations/0009_shared-attachments.sql" with { type: "text" };
import awake from "../../migrations/0010_awake.sql" with { type: "text" };
import sandboxStart from "../../migrations/0011_sandbox-start.sql" with { type: "text" };
import searchLetters from "../../migrations/0012_search-letters.sql" with { type: "text" };

/** Every file of migrations/, in order; embedded in the executable. A test holds this list against the folder. */
export const migrations: readonly { name: string; sql: string }[] = [
  { name: "0000_first", sql: first },
  { name: "0001_sandbox-event-bytes", sql: sandboxEventBytes },
  { name: "0002_egress", sql: egress },
  { name: "0003_expired-access-requests", sql: expiredAccessRequests },
  { name: "0004_forges", sql: forges },
  { name: "0005_task_life", sql: taskLife },
  { name: "0006_search", sql: search },
  { name: "0007_teleport", sql: teleport },
  { name: "0008_queue", sql: queue },
  { name: "0009_shared-attachments", sql: sharedAttachments },
  { name: "0010_awake", sql: awake },
  { name: "0011_sandbox-start", sql: sandboxStart },
  { name: "0012_search-letters", sql: searchLetters },
];
