import type { AccessRequestStore } from "./store/access-requests.ts";
import type { AttachmentStore } from "./store/attachments.ts";
import type { DeletionStore } from "./store/deletions.ts";
import type { EgressStore } from "./store/egress.ts";
import type { EnvironmentStore } from "./store/environments.ts";
import type { EventStore } from "./store/events.ts";
import type { ForgeStore } from "./store/forges.ts";
import type { GroupStore } from "./store/groups.ts";
import type { NotificationStore } from "./store/notifications.ts";
import type { PersonStore, TokenStore } from "./store/people.ts";
import type { PromptStore } from "./store/prompts.ts";
import type { PullRequestStore } from "./store/pull-requests.ts";
import type { RepositoryStore } from "./store/repositories.ts";
import type { SandboxStore } from "./store/sandboxes.ts";
import type { ScheduleStore } from "./store/schedules.ts";
import type { SearchStore } from "./store/search.ts";
import type { SettingStore } from "./store/settings.ts";
import type { SnapshotStore } from "./store/snapshots.ts";
import type { TaskStore } from "./store/tasks.ts";
import type { TicketStore } from "./store/tickets.ts";
import type { UsageStore } from "./store/usage.ts";
import type { Wakes } from "./store/wakes.ts";

/**
 * The store as the rest of the house sees it. Every verb is synchronous (SQLite in this process) and atomic by
 * itself; `atomically` makes several verbs one. Whoever appends also wakes, after the commit, never before it.
 */
export interface Store {
  atomically<Result>(work: () => Result): Result;
  people: PersonStore;
  tokens: TokenStore;
  repositories: RepositoryStore;
  forges: ForgeStore;
  pullRequests: PullRequestStore;
  environments: EnvironmentStore;
  tasks: TaskStore;
  deletions: DeletionStore;
  search: SearchStore;
  groups: GroupStore;
  schedules: ScheduleStore;
  prompts: PromptStore;
  attachments: AttachmentStore;
  snapshots: SnapshotStore;
  tickets: TicketStore;
  events: EventStore;
  sandboxes: SandboxStore;
  usage: UsageStore;
  settings: SettingStore;
  egress: EgressStore;
  access: AccessRequestStore;
  notifications: NotificationStore;
  wakes: Wakes;
  close(): void;
}
