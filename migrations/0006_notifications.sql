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
CREATE INDEX `notifications_pending` ON `notifications` (`channel_id`,`id`) WHERE state = 'pending';