CREATE TABLE `search_cursor` (
	`id` integer PRIMARY KEY NOT NULL,
	`seq` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `search_entries` (
	`id` integer PRIMARY KEY NOT NULL,
	`task_id` text NOT NULL,
	`seq` integer NOT NULL,
	`kind` text NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `search_entries_by_task` ON `search_entries` (`task_id`,`id`);--> statement-breakpoint
ALTER TABLE `tasks` ADD `archived_at` integer;--> statement-breakpoint
ALTER TABLE `tasks` ADD `deleted_at` integer;--> statement-breakpoint
ALTER TABLE `tasks` ADD `remove_at` integer;--> statement-breakpoint
CREATE INDEX `tasks_to_remove` ON `tasks` (`remove_at`) WHERE deleted_at IS NOT NULL;--> statement-breakpoint
CREATE VIRTUAL TABLE `search_index` USING fts5(text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2', prefix='3');
