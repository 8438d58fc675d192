CREATE TABLE `access_requests` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`task_id` text NOT NULL,
	`host` text NOT NULL,
	`port` integer NOT NULL,
	`reason` text NOT NULL,
	`count` integer NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`state_kind` text NOT NULL,
	`state` text NOT NULL,
	FOREIGN KEY (`task_id`) REFERENCES `tasks`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `access_requests_once` ON `access_requests` (`task_id`,`host`,`port`);--> statement-breakpoint
CREATE INDEX `access_requests_by_state` ON `access_requests` (`state_kind`,`id`);--> statement-breakpoint
CREATE TABLE `egress_requests` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`task_id` text NOT NULL,
	`sandbox_id` text NOT NULL,
	`at` integer NOT NULL,
	`kind` text NOT NULL,
	`host` text NOT NULL,
	`port` integer NOT NULL,
	`method` text NOT NULL,
	`path` text NOT NULL,
	`address` text NOT NULL,
	`verdict` text NOT NULL,
	`reason` text NOT NULL,
	`status` integer NOT NULL,
	`bytes_up` integer NOT NULL,
	`bytes_down` integer NOT NULL,
	`ms` real NOT NULL,
	`open` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `egress_by_task` ON `egress_requests` (`task_id`,`id`);--> statement-breakpoint
CREATE INDEX `egress_by_host` ON `egress_requests` (`host`,`id`);--> statement-breakpoint
CREATE INDEX `egress_by_time` ON `egress_requests` (`at`);--> statement-breakpoint
CREATE INDEX `egress_not_allowed` ON `egress_requests` (`verdict`,`id`) WHERE verdict <> 'allowed';--> statement-breakpoint
CREATE INDEX `egress_open` ON `egress_requests` (`id`) WHERE open = 1;--> statement-breakpoint
ALTER TABLE `sandboxes` ADD `uploaded_bytes` integer DEFAULT 0 NOT NULL;