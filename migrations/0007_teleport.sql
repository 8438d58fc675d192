CREATE TABLE `tickets` (
	`id` text PRIMARY KEY NOT NULL,
	`person_id` text NOT NULL,
	`task_id` text NOT NULL,
	`hash` text NOT NULL,
	`facts` text NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	FOREIGN KEY (`person_id`) REFERENCES `people`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tickets_hash_unique` ON `tickets` (`hash`);