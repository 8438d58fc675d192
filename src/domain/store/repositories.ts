import type { RemoteRepository, Repository } from "../repository.ts";

export interface RepositoryStore {
  /** `conflict` where the name is taken, in whatever case. */
  add(repository: Repository): void;
  get(name: string): Repository | undefined;
  list(): Repository[];
  /** For a repository that was renamed or has another default branch now. */
  update(name: string, change: Partial<Omit<RemoteRepository, "kind" | "name" | "createdAt">>): void;
  remove(name: string): boolean;
}
