CREATE TABLE `attachments` (
	`id` text PRIMARY KEY NOT NULL,
	`person` text NOT NULL,
	`task_id` text,
	`name` text NOT NULL,
	`media_type` text NOT NULL,
	`bytes` integer NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`person`) REFERENCES `people`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`task_id`) REFERENCES `tasks`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `attachments_by_task` ON `attachments` (`task_id`);--> statement-breakpoint
CREATE INDEX `attachments_unclaimed` ON `attachments` (`created_at`) WHERE task_id IS NULL;--> statement-breakpoint
CREATE TABLE `notification_channels` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`person_id` text NOT NULL,
	`kind` text NOT NULL,
	`target` text NOT NULL,
	`sealed_settings` text NOT NULL,
	`kinds` text NOT NULL,
	`on` integer DEFAULT true NOT NULL,
	`trouble` text DEFAULT '' NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`person_id`) REFERENCES `people`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `notification_channels_by_person` ON `notification_channels` (`person_id`);--> statement-breakpoint
CREATE TABLE `notification_cursor` (
	`id` integer PRIMARY KEY NOT NULL,
	`seq` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `notifications` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`channel_id` integer NOT NULL,
	`event_seq` integer,
	`message_id` text NOT NULL,
	`task_id` text,
	`kind` text NOT NULL,
	`title` text NOT NULL,
	`reason` text NOT NULL,
	`at` integer NOT NULL,
	`created_at` integer NOT NULL,
	`state` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`next_at` integer NOT NULL,
	`status` integer DEFAULT 0 NOT NULL,
	`error` text DEFAULT '' NOT NULL,
	`ended_at` integer,
	FOREIGN KEY (`channel_id`) REFERENCES `notification_channels`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`task_id`) REFERENCES `tasks`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `notifications_once` ON `notifications` (`event_seq`,`channel_id`);--> statement-breakpoint
CREATE INDEX `notifications_by_channel` ON `notifications` (`channel_id`,`id`);--> statement-breakpoint
CREATE INDEX `notifications_by_task` ON `notifications` (`task_id`);--> statement-breakpoint
CREATE INDEX `notifications_pending` ON `notifications` (`channel_id`,`id`) WHERE state = 'pending';--> statement-breakpoint
CREATE TABLE `schedule_runs` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`schedule_id` text NOT NULL,
	`key` text NOT NULL,
	`cause` text NOT NULL,
	`due_at` integer,
	`at` integer NOT NULL,
	`outcome` text NOT NULL,
	`task_id` text,
	FOREIGN KEY (`schedule_id`) REFERENCES `schedules`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `schedule_runs_once` ON `schedule_runs` (`schedule_id`,`key`);--> statement-breakpoint
CREATE INDEX `schedule_runs_by_time` ON `schedule_runs` (`schedule_id`,`at`);--> statement-breakpoint
CREATE TABLE `schedules` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`person_id` text NOT NULL,
	`time` text NOT NULL,
	`task` text NOT NULL,
	`missed` text NOT NULL,
	`overlap` text NOT NULL,
	`triggers_per_hour` integer NOT NULL,
	`enabled` integer NOT NULL,
	`next_at` integer,
	`failures` integer DEFAULT 0 NOT NULL,
	`last_error` text DEFAULT '' NOT NULL,
	`trigger_hash` text,
	`trigger_since` integer,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`person_id`) REFERENCES `people`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `schedules_by_name` ON `schedules` (lower("name"));--> statement-breakpoint
CREATE INDEX `schedules_due` ON `schedules` (`next_at`) WHERE next_at IS NOT NULL;--> statement-breakpoint
CREATE TABLE `snapshots` (
	`task_id` text NOT NULL,
	`turn` integer NOT NULL,
	`prompt_id` text NOT NULL,
	`repositories` text NOT NULL,
	`session` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`task_id`, `turn`),
	FOREIGN KEY (`task_id`) REFERENCES `tasks`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `task_budgets` (
	`task_id` text PRIMARY KEY NOT NULL,
	`limits` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `task_groups` (
	`id` text PRIMARY KEY NOT NULL,
	`title` text NOT NULL,
	`prompt` text NOT NULL,
	`person` text NOT NULL,
	`attempts` integer NOT NULL,
	`pull_request` text NOT NULL,
	`kept` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `usage_days` (
	`task_id` text NOT NULL,
	`day` text NOT NULL,
	`model` text NOT NULL,
	`person_id` text NOT NULL,
	`environment` text NOT NULL,
	`requests` integer NOT NULL,
	`unpriced` integer NOT NULL,
	`input_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	`cache_read_tokens` integer NOT NULL,
	`cache_write_tokens` integer NOT NULL,
	`cache_write_hour_tokens` integer NOT NULL,
	`web_searches` integer NOT NULL,
	`cost_nano` integer NOT NULL,
	PRIMARY KEY(`task_id`, `day`, `model`)
);
--> statement-breakpoint
CREATE INDEX `usage_days_by_day` ON `usage_days` (`day`,`person_id`);--> statement-breakpoint
ALTER TABLE `model_requests` ADD `prompt_id` text;--> statement-breakpoint
ALTER TABLE `model_requests` ADD `cache_write_hour_tokens` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `model_requests` ADD `web_searches` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `model_requests` ADD `cost_nano` integer;--> statement-breakpoint
CREATE INDEX `model_requests_by_prompt` ON `model_requests` (`task_id`,`prompt_id`);--> statement-breakpoint
ALTER TABLE `prompts` ADD `now` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `prompts` ADD `place` real DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `prompts` ADD `attachments` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
CREATE INDEX `prompts_waiting` ON `prompts` (`task_id`,`place`) WHERE state = 'queued';--> statement-breakpoint
ALTER TABLE `sandboxes` ADD `asleep_at` integer;--> statement-breakpoint
CREATE INDEX `sandboxes_current` ON `sandboxes` (`task_id`) WHERE ended_at IS NULL;--> statement-breakpoint
ALTER TABLE `tasks` ADD `mode` text DEFAULT 'act' NOT NULL;--> statement-breakpoint
ALTER TABLE `tasks` ADD `held` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `tasks` ADD `restore` text;--> statement-breakpoint
ALTER TABLE `tasks` ADD `deaths` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `tasks` ADD `paused_until` integer;--> statement-breakpoint
ALTER TABLE `tasks` ADD `group_id` text REFERENCES task_groups(id);--> statement-breakpoint
ALTER TABLE `tasks` ADD `attempt` integer;--> statement-breakpoint
CREATE INDEX `tasks_by_group` ON `tasks` (`group_id`) WHERE group_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX `tasks_to_resume` ON `tasks` (`paused_until`) WHERE paused_until IS NOT NULL;--> statement-breakpoint
INSERT INTO `usage_days` SELECT r.task_id, strftime('%Y-%m-%d', r.at / 1000, 'unixepoch'), r.model, t.person_id, t.environment, count(*), sum(r.input_tokens + r.output_tokens + r.cache_read_tokens + r.cache_write_tokens > 0), sum(r.input_tokens), sum(r.output_tokens), sum(r.cache_read_tokens), sum(r.cache_write_tokens), 0, 0, 0 FROM `model_requests` r JOIN `tasks` t ON t.id = r.task_id GROUP BY 1, 2, 3;
