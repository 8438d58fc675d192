import { z } from "zod";
import type { RemoteRepository } from "./repository.ts";

/**
 * A place where repositories live that the appliance does not hold itself, as the operator has connected it. Whatever
 * its kind, git reaches it by the smart HTTP protocol; the kind says which API there is besides.
 */
export const forgeKinds = ["github", "gitlab", "gitea", "git"] as const;
export type ForgeKind = (typeof forgeKinds)[number];

/** How the appliance proves itself to a forge. Stored sealed; never in an answer, a log or a sandbox. */
export const forgeCredentialSchema = z.discriminatedUnion("kind", [
  /** Public repositories, to read. */
  z.object({ kind: z.literal("none") }),
  /** A personal, project or deploy token. The user's name matters to plain git servers and deploy tokens alone. */
  z.object({
    kind: z.literal("token"),
    token: z.string().min(1).max(4096),
    username: z.string().max(200).default(""),
  }),
  /** A GitHub App: its key makes tokens that live for an hour and are narrowed to one repository. */
  z.object({
    kind: z.literal("app"),
    appId: z.number().int().positive(),
    /** PEM, PKCS#1 or PKCS#8. */
    privateKey: z.string().min(1).max(16_384),
    /** As in `https://github.com/apps/<slug>`; for links to its installation. */
    slug: z.string().max(200).default(""),
  }),
]);
export type ForgeCredential = z.infer<typeof forgeCredentialSchema>;

export interface Forge {
  /** What the operator calls it: `github`, `work`. */
  name: string;
  kind: ForgeKind;
  /** Where people find it: `https://github.com`, without a slash at the end. */
  url: string;
  /** Of its API; empty for a plain git server. */
  apiUrl: string;
  /** What kind of credential is set; the credential itself is asked of the store. */
  credential: ForgeCredential["kind"];
  createdAt: number;
  updatedAt: number;
}

/** Git and LFS over HTTP with a forge's real credential. */
export interface ForgeAccess {
  /**
   * The value of an Authorization header for this repository, undefined where the forge needs none. Rejects with
   * `unavailable` or `forbidden` where a token cannot be had. Good for the repository's own host alone.
   */
  authorizationFor(repository: RemoteRepository, right: "read" | "write"): Promise<string | undefined>;
  /** The forge did not take it: what is kept of it is thrown away. */
  refused(repository: RemoteRepository): void;
}

/** A repository as a forge lists it. */
export interface ForgeRepository {
  path: string;
  cloneUrl: string;
  webUrl: string;
  /** Empty in a repository with no commits. */
  defaultBranch: string;
  private: boolean;
  archived: boolean;
  /** Whether the credential may push. */
  writable: boolean;
}

export interface PullRequestDraft {
  title: string;
  body: string;
  /** Branch names, without `refs/heads/`. */
  head: string;
  base: string;
  draft: boolean;
}

export interface ForgePullRequest {
  number: number;
  webUrl: string;
  title: string;
  body: string;
  head: string;
  base: string;
  draft: boolean;
  state: "open" | "merged" | "closed";
  headCommit: string;
}

export interface ForgeCheck {
  /** Stable for one run of one check on one commit. */
  id: string;
  name: string;
  state: "pending" | "passed" | "failed" | "neutral";
  webUrl: string;
  /** What it says of its failure, in Markdown or plain text, cut to 16 KiB. */
  summary: string;
}

export interface ForgeComment {
  /** Stable and unique within the pull request. */
  id: string;
  author: string;
  /** Whether its author may write to the repository: only they may have the agent work. */
  authorMayWrite: boolean;
  /** Written with the appliance's own credential. */
  own: boolean;
  body: string;
  /** Where in the diff it stands; undefined for one on the whole. */
  place: { path: string; line: number | undefined; diffHunk: string } | undefined;
  /** What `reply` takes to answer in the same thread. */
  thread: string;
  webUrl: string;
  /** Milliseconds since the epoch. */
  at: number;
}

export interface Page<Item> {
  items: Item[];
  /** For the next page; undefined on the last. */
  next: string | undefined;
}

/** What was asked again and had not changed costs nothing at the forge. */
export type Unchanged<Value> = { changed: true; value: Value } | { changed: false };

/**
 * The API of one forge with one credential. Rejects with CcwErrors that say what the forge answered and what to do:
 * `unauthenticated` (401: the credential is not taken), `forbidden` (403), `not_found` (404), `conflict` (409, 422),
 * `rate_limited` (after waiting as long as it makes sense), `unavailable` (5xx, half an answer, no connection).
 */
export interface ForgeApi {
  /** Who the credential is and what it may do, for a person to read. Never the credential. */
  check(): Promise<{ account: string; notes: string[] }>;
  repositories(filter: { search?: string; page?: string }): Promise<Page<ForgeRepository>>;
  repository(path: string): Promise<ForgeRepository>;
  branches(path: string, filter: { search?: string; page?: string }): Promise<Page<string>>;
  /** The open pull request from this branch, if there is one. */
  findPullRequest(path: string, head: string, base: string): Promise<ForgePullRequest | undefined>;
  createPullRequest(path: string, draft: PullRequestDraft): Promise<ForgePullRequest>;
  updatePullRequest(
    path: string,
    number: number,
    change: Partial<Pick<PullRequestDraft, "title" | "body" | "draft">>,
  ): Promise<ForgePullRequest>;
  /** Conditional requests: `unchanged` since this object was asked last for the same. */
  pullRequest(path: string, number: number): Promise<Unchanged<ForgePullRequest>>;
  checks(path: string, commit: string): Promise<Unchanged<ForgeCheck[]>>;
  comments(path: string, number: number): Promise<Unchanged<ForgeComment[]>>;
  reply(path: string, number: number, thread: string, body: string): Promise<void>;
}
