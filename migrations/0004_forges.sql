CREATE TABLE `forges` (
	`name` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`url` text NOT NULL,
	`api_url` text NOT NULL,
	`credential` text NOT NULL,
	`sealed_credential` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `pull_requests` (
	`id` text PRIMARY KEY NOT NULL,
	`task_id` text NOT NULL,
	`repository` text NOT NULL,
	`kept_by` text NOT NULL,
	`number` integer NOT NULL,
	`web_url` text NOT NULL,
	`title` text NOT NULL,
	`body` text NOT NULL,
	`draft` integer NOT NULL,
	`state` text NOT NULL,
	`base` text NOT NULL,
	`head` text NOT NULL,
	`head_commit` text NOT NULL,
	`checks` text NOT NULL,
	`comments` text DEFAULT '[]' NOT NULL,
	`trouble` text DEFAULT '' NOT NULL,
	`follow` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`polled_at` integer DEFAULT 0 NOT NULL,
	FOREIGN KEY (`task_id`) REFERENCES `tasks`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `pull_requests_by_task` ON `pull_requests` (`task_id`);--> statement-breakpoint
CREATE INDEX `pull_requests_to_poll` ON `pull_requests` (`state`,`polled_at`);--> statement-breakpoint
CREATE UNIQUE INDEX `pull_requests_once` ON `pull_requests` (`repository`,`kept_by`,`number`);--> statement-breakpoint
ALTER TABLE `people` ADD `email` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `repositories` ADD `push` text DEFAULT '{"force":false,"delete":false}' NOT NULL;--> statement-breakpoint
ALTER TABLE `repositories` ADD `forge` text REFERENCES forges(name);--> statement-breakpoint
ALTER TABLE `repositories` ADD `path` text;--> statement-breakpoint
ALTER TABLE `repositories` ADD `clone_url` text;--> statement-breakpoint
ALTER TABLE `repositories` ADD `web_url` text;--> statement-breakpoint
ALTER TABLE `sandboxes` ADD `object_folders` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `tasks` ADD `pull_request` text DEFAULT 'none' NOT NULL;--> statement-breakpoint
CREATE INDEX `tasks_owing_pull_requests` ON `tasks` (`created_at`) WHERE pull_request <> 'none';