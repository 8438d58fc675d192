-- Requests for access end with their task: those of tasks that ended before that was so.
UPDATE `access_requests` SET
  `state` = json_object('kind', 'expired', 'at', (SELECT `updated_at` FROM `tasks` WHERE `id` = `access_requests`.`task_id`)),
  `state_kind` = 'expired'
WHERE `state_kind` = 'pending'
  AND `task_id` IN (SELECT `id` FROM `tasks` WHERE `state_kind` IN ('completed', 'failed', 'cancelled'));
