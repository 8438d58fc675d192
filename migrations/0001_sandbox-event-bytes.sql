ALTER TABLE `sandboxes` ADD `event_bytes` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `events_by_kind` ON `events` (`task_id`,`kind`,`seq`);