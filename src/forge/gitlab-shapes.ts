import { z } from "zod";
import type { ForgeCheck, ForgePullRequest, ForgeRepository } from "../domain/forge.ts";
import {
  commitId,
  cutText,
  exactName,
  headName,
  instant,
  numericId,
  repositoryId,
  shownLine,
  shownText,
  webLink,
} from "./forge-text.ts";

/** As much of GitLab's answers as is used. */

export const userShape = z.object({ id: numericId, username: exactName });

const access = z.object({ access_level: z.number() }).nullish();

export const projectShape = z
  .object({
    path_with_namespace: exactName,
    http_url_to_repo: exactName,
    web_url: webLink,
    default_branch: exactName.nullish(),
    /** Left out for who is nobody: then it is public. */
    visibility: z.string().default("public"),
    archived: z.boolean().default(false),
    permissions: z.object({ project_access: access, group_access: access }).nullish(),
  })
  .transform((found): ForgeRepository => {
    const { project_access, group_access } = found.permissions ?? {};
    const level = Math.max(project_access?.access_level ?? 0, group_access?.access_level ?? 0);
    return {
      path: found.path_with_namespace,
      cloneUrl: found.http_url_to_repo,
      webUrl: found.web_url,
      defaultBranch: found.default_branch ?? "",
      private: found.visibility !== "public",
      archived: found.archived,
      writable: level >= 30 && !found.archived,
    };
  });

export const mergeShape = z
  .object({
    iid: z.number().int().positive(),
    web_url: webLink,
    title: shownLine,
    description: shownText,
    source_branch: exactName,
    target_branch: exactName,
    source_project_id: repositoryId,
    target_project_id: repositoryId,
    draft: z.boolean().default(false),
    state: z.string(),
    /** Null until GitLab has looked at the branch. */
    sha: commitId.nullish(),
  })
  .transform(
    (found): ForgePullRequest => ({
      number: found.iid,
      webUrl: found.web_url,
      title: found.draft ? found.title.replace(/^(\[draft\]|\(draft\)|draft:)\s*/i, "") : found.title,
      body: found.description,
      head: headName(found.source_branch, found.source_project_id, found.target_project_id),
      base: found.target_branch,
      draft: found.draft,
      state: found.state === "merged" ? "merged" : found.state === "closed" ? "closed" : "open",
      headCommit: found.sha ?? "",
    }),
  );

const jobStates: Record<string, ForgeCheck["state"]> = {
  success: "passed",
  failed: "failed",
  canceled: "neutral",
  skipped: "neutral",
  manual: "neutral",
};

export const jobShape = z
  .object({
    id: numericId,
    name: shownLine,
    status: z.string(),
    description: shownText,
    target_url: webLink,
    allow_failure: z.boolean().default(false),
  })
  .transform(
    (job): ForgeCheck => ({
      id: `job:${job.id}`,
      name: job.name,
      state: job.status === "failed" && job.allow_failure ? "neutral" : (jobStates[job.status] ?? "pending"),
      webUrl: job.target_url,
      summary: cutText(job.description, 16 * 1024),
    }),
  );

const noteShape = z.object({
  id: numericId,
  body: shownText,
  author: z.object({ id: numericId, username: exactName }).nullish(),
  created_at: instant,
  system: z.boolean().default(false),
  position: z
    .object({
      new_path: shownLine,
      old_path: shownLine,
      new_line: z.number().int().nullish(),
      old_line: z.number().int().nullish(),
    })
    .nullish(),
});

/** A thread, as what was said in it. GitLab gives no hunk of the diff with it. */
export const discussionShape = z
  .object({ id: exactName, notes: noteShape.array() })
  .transform(({ id, notes }) =>
    notes.map(({ position, ...note }) => ({
      id: `note:${note.id}`,
      thread: `discussion:${id}`,
      author: note.author?.username ?? "ghost",
      authorId: note.author?.id ?? "",
      system: note.system,
      body: note.body,
      at: note.created_at,
      place:
        position === null || position === undefined
          ? undefined
          : {
              path: position.new_path || position.old_path,
              line: position.new_line ?? position.old_line ?? undefined,
              diffHunk: "",
            },
    })),
  );
