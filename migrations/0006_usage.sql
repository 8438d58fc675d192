CREATE TABLE `task_budgets` (
	`task_id` text PRIMARY KEY NOT NULL,
	`limits` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `usage_days` (
	`task_id` text NOT NULL,
	`day` text NOT NULL,
	`model` text NOT NULL,
	`person_id` text NOT NULL,
	`environment` text NOT NULL,
	`requests` integer NOT NULL,
	`unpriced` integer NOT NULL,
	`input_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	`cache_read_tokens` integer NOT NULL,
	`cache_write_tokens` integer NOT NULL,
	`cache_write_hour_tokens` integer NOT NULL,
	`web_searches` integer NOT NULL,
	`cost_nano` integer NOT NULL,
	PRIMARY KEY(`task_id`, `day`, `model`)
);
--> statement-breakpoint
CREATE INDEX `usage_days_by_day` ON `usage_days` (`day`,`person_id`);--> statement-breakpoint
ALTER TABLE `model_requests` ADD `prompt_id` text;--> statement-breakpoint
ALTER TABLE `model_requests` ADD `cache_write_hour_tokens` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `model_requests` ADD `web_searches` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `model_requests` ADD `cost_nano` integer;--> statement-breakpoint
CREATE INDEX `model_requests_by_prompt` ON `model_requests` (`task_id`,`prompt_id`);--> statement-breakpoint
INSERT INTO `usage_days` SELECT r.task_id, strftime('%Y-%m-%d', r.at / 1000, 'unixepoch'), r.model, t.person_id, t.environment, count(*), sum(r.input_tokens + r.output_tokens + r.cache_read_tokens + r.cache_write_tokens > 0), sum(r.input_tokens), sum(r.output_tokens), sum(r.cache_read_tokens), sum(r.cache_write_tokens), 0, 0, 0 FROM `model_requests` r JOIN `tasks` t ON t.id = r.task_id GROUP BY 1, 2, 3;
