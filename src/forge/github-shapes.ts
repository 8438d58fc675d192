import { z } from "zod";
import type { ForgePullRequest } from "../domain/forge.ts";
import { permissionFields, repositoryFields, repositoryOf } from "./forge-shapes.ts";
import { commitId, exactName, headName, repositoryId, shownLine, shownText, webLink } from "./forge-text.ts";

/** As much of GitHub's answers as is used. */

export const repositoryShape = repositoryFields
  .extend({ permissions: permissionFields.optional() })
  .transform(repositoryOf);

const pullBody = z.object({
  number: z.number().int().positive(),
  node_id: exactName,
  html_url: webLink,
  title: shownLine,
  body: shownText,
  draft: z.boolean().default(false),
  state: z.enum(["open", "closed"]),
  merged_at: z.string().nullish(),
  /** Without a repository where the fork is gone. */
  head: z.object({ ref: exactName, sha: commitId, repo: z.object({ id: repositoryId }).nullish() }),
  base: z.object({ ref: exactName, repo: z.object({ id: repositoryId }).nullish() }),
});

export const pullShape = pullBody.transform(
  (found): ForgePullRequest => ({
    number: found.number,
    webUrl: found.html_url,
    title: found.title,
    body: found.body,
    head: headName(found.head.ref, found.head.repo?.id, found.base.repo?.id),
    base: found.base.ref,
    draft: found.draft,
    state: found.merged_at ? "merged" : found.state,
    headCommit: found.head.sha,
  }),
);

/** For GraphQL, which alone can make a draft ready. */
export const pullNode = pullBody.pick({ node_id: true, draft: true });

export const userShape = z.object({ login: exactName });
export const appShape = z.object({ slug: exactName.default(""), name: shownLine });
export const installationShape = z.object({
  id: z.number().int(),
  account: z.object({ login: exactName.optional(), slug: exactName.optional() }).nullish(),
  permissions: z.record(z.string(), z.string()).default({}),
  suspended_at: z.string().nullish(),
});
export const installationTokenShape = z.object({
  token: z.string().min(1).max(1000),
  expires_at: z.string(),
});
