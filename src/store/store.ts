import type { IdSource } from "../domain/ids.ts";
import type { WakeTopic } from "../domain/store/wakes.ts";
import type { Store } from "../domain/store.ts";
import { createAccessRequestStore } from "./access-requests.ts";
import { eachAtomic } from "./atomic.ts";
import { createAttachmentStore } from "./attachments.ts";
import type { StoreContext } from "./context.ts";
import { asStoreError, openDatabase } from "./database.ts";
import { createDeletionStore } from "./deletions.ts";
import { createEgressStore, type EgressKeeping } from "./egress.ts";
import { createEnvironmentStore } from "./environments.ts";
import { createEventStore } from "./events.ts";
import { createForgeStore } from "./forges.ts";
import { createGroupStore } from "./groups.ts";
import { createNotificationStore } from "./notifications.ts";
import { createPersonStore, createTokenStore } from "./people.ts";
import { createPromptStore } from "./prompts.ts";
import { createPullRequestStore } from "./pull-requests.ts";
import { createRepositoryStore } from "./repositories.ts";
import { createSandboxStore } from "./sandboxes.ts";
import { createScheduleStore } from "./schedules.ts";
import type { Seal } from "./seal.ts";
import { createSearchStore } from "./search.ts";
import { createSettingStore } from "./settings.ts";
import { createSnapshotStore } from "./snapshots.ts";
import { createTaskStore } from "./tasks.ts";
import { createTicketStore } from "./tickets.ts";
import { createUsageStore } from "./usage.ts";
import { createWakes } from "./wakes.ts";

const standardKeeping: EgressKeeping = {
  log: { info() {}, warn() {}, error() {} },
  keepDays: 30,
  keepRows: 1_000_000,
  maxQueue: 20_000,
};

/** Opens the database at `path` (`:memory:` in tests) with everything that stands on it. */
export function openStore(
  path: string,
  seal: Seal,
  ids: IdSource,
  keeping: Partial<EgressKeeping> = {},
): Store {
  const { db, close } = openDatabase(path);
  const wakes = createWakes();

  /** Topics to wake once the outermost transaction has committed; undefined outside of one. */
  let pending: Set<WakeTopic> | undefined;

  const atomically = <Result>(work: () => Result): Result => {
    if (pending !== undefined) return work();
    const topics = new Set<WakeTopic>();
    pending = topics;
    let result: Result;
    try {
      result = db.transaction(work);
    } catch (thrown) {
      throw asStoreError(thrown);
    } finally {
      pending = undefined;
    }
    for (const topic of topics) wakes.wake(topic);
    return result;
  };

  const context: StoreContext = {
    db,
    seal,
    ids,
    wakeAfterCommit: (topic) => (pending === undefined ? wakes.wake(topic) : void pending.add(topic)),
  };

  const egress = createEgressStore(context, { ...standardKeeping, ...keeping });

  return {
    atomically,
    people: eachAtomic(createPersonStore(context), atomically),
    tokens: eachAtomic(createTokenStore(context), atomically),
    forges: eachAtomic(createForgeStore(context), atomically),
    pullRequests: eachAtomic(createPullRequestStore(context), atomically),
    repositories: eachAtomic(createRepositoryStore(context), atomically),
    environments: eachAtomic(createEnvironmentStore(context), atomically),
    tasks: eachAtomic(createTaskStore(context), atomically),
    deletions: eachAtomic(createDeletionStore(context), atomically),
    search: eachAtomic(createSearchStore(context), atomically),
    groups: eachAtomic(createGroupStore(context, createTaskStore(context)), atomically),
    schedules: eachAtomic(createScheduleStore(context), atomically),
    prompts: eachAtomic(createPromptStore(context), atomically),
    attachments: eachAtomic(createAttachmentStore(context), atomically),
    snapshots: eachAtomic(createSnapshotStore(context), atomically),
    tickets: eachAtomic(createTicketStore(context), atomically),
    events: eachAtomic(createEventStore(context), atomically),
    sandboxes: eachAtomic(createSandboxStore(context), atomically),
    usage: eachAtomic(createUsageStore(context), atomically),
    settings: eachAtomic(createSettingStore(context), atomically),
    // Its writer has transactions of its own, which never run within another.
    egress: egress.store,
    access: eachAtomic(createAccessRequestStore(context, egress.writer.repeat), atomically),
    notifications: eachAtomic(createNotificationStore(context), atomically),
    wakes,
    close() {
      egress.close();
      close();
    },
  };
}
