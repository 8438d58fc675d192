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
ALTER TABLE `tasks` ADD `group_id` text REFERENCES task_groups(id);--> statement-breakpoint
ALTER TABLE `tasks` ADD `attempt` integer;--> statement-breakpoint
CREATE INDEX `tasks_by_group` ON `tasks` (`group_id`) WHERE group_id IS NOT NULL;