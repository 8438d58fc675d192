ALTER TABLE `attachments` ADD `schedule_id` text REFERENCES schedules(id);--> statement-breakpoint
ALTER TABLE `attachments` ADD `file` text;--> statement-breakpoint
CREATE INDEX `attachments_by_schedule` ON `attachments` (`schedule_id`) WHERE schedule_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX `attachments_by_file` ON `attachments` (`file`) WHERE file IS NOT NULL;