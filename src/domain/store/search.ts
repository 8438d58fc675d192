import type { SearchPage, SearchQuery } from "../search.ts";

/** Full-text search over titles, prompts and transcripts; what is appended is read behind the traffic's back. */
export interface SearchStore {
  /** Reads the next events, a bounded number of them, and says whether there are more. */
  indexPortion(): boolean;
  /** How many events have not been read yet. */
  behind(): number;
  /** Forgets everything; it is read again from the first event, a portion at a time. */
  rebuild(): void;
  /** Newest first, for a bounded time: where that was not enough, `next` says where to go on. */
  find(query: SearchQuery): SearchPage;
}
