-- Letters that stand for words are indexed one by one: everything is read again, in the background.
INSERT INTO search_index (search_index) VALUES ('delete-all');--> statement-breakpoint
DELETE FROM search_entries;--> statement-breakpoint
DELETE FROM search_cursor;
