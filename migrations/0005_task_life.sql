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
CREATE INDEX `tasks_to_resume` ON `tasks` (`paused_until`) WHERE paused_until IS NOT NULL;