ALTER TABLE `pull_requests` ADD `comments` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `pull_requests` ADD `trouble` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `tasks` ADD `pull_request` text DEFAULT 'none' NOT NULL;--> statement-breakpoint
CREATE INDEX `tasks_owing_pull_requests` ON `tasks` (`created_at`) WHERE pull_request <> 'none';