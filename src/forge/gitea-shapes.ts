import { z } from "zod";
import type { ForgePullRequest } from "../domain/forge.ts";
import {
  checkOfStatus,
  maxSummary,
  permissionFields,
  repositoryFields,
  repositoryOf,
  statusFields,
} from "./forge-shapes.ts";
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

/** As much of Gitea's answers as is used. */

export const repositoryShape = repositoryFields
  .extend({ permissions: permissionFields.nullish() })
  .transform(repositoryOf);

const draftMark = /^(wip:|\[wip\])\s*/i;

export const pullShape = z
  .object({
    number: z.number().int().positive(),
    html_url: webLink,
    title: shownLine,
    body: shownText,
    draft: z.boolean().optional(),
    state: z.string(),
    merged: z.boolean().default(false),
    head: z.object({ ref: exactName, sha: commitId, repo_id: repositoryId }),
    base: z.object({ ref: exactName, repo_id: repositoryId }),
  })
  .transform(
    (found): ForgePullRequest => ({
      number: found.number,
      webUrl: found.html_url,
      title: found.title.replace(draftMark, ""),
      body: found.body,
      head: headName(found.head.ref, found.head.repo_id, found.base.repo_id),
      base: found.base.ref,
      draft: found.draft ?? draftMark.test(found.title),
      state: found.merged ? "merged" : found.state === "open" ? "open" : "closed",
      headCommit: found.head.sha,
    }),
  );

export const statusShape = statusFields
  .extend({ status: z.string() })
  .transform((found) => checkOfStatus(found, found.status));

const writing = {
  id: numericId,
  user: z.object({ login: exactName }).nullish(),
  body: shownText,
  html_url: webLink,
};

export const commentShape = z.object({ ...writing, created_at: instant }).transform((comment) => ({
  ...common(comment),
  ...{ id: `issue:${comment.id}`, at: comment.created_at, place: placeOf() },
}));

export const reviewShape = z
  .object({
    ...writing,
    id: z.number().int(),
    submitted_at: instant,
    comments_count: z.number().int().default(0),
  })
  .transform((review) => ({
    ...common(review),
    ...{ id: `verdict:${review.id}`, at: review.submitted_at, place: placeOf() },
    ...{ number: review.id, comments: review.comments_count },
  }));

export const reviewCommentShape = z
  .object({
    ...writing,
    created_at: instant,
    path: shownLine,
    position: z.number().int().nullish(),
    original_position: z.number().int().nullish(),
    diff_hunk: shownText,
  })
  .transform((comment) => ({
    ...common(comment),
    ...{ id: `review:${comment.id}`, at: comment.created_at },
    place: placeOf({
      path: comment.path,
      line: comment.position || comment.original_position || undefined,
      diffHunk: cutText(comment.diff_hunk, maxSummary),
    }),
  }));

type Place = { path: string; line: number | undefined; diffHunk: string } | undefined;
const placeOf = (place?: Place): Place => place;

const common = (comment: {
  user?: { login: string } | null | undefined;
  body: string;
  html_url: string;
}) => ({
  ...{ author: comment.user?.login ?? "", body: comment.body, thread: "issue", webUrl: comment.html_url },
});
