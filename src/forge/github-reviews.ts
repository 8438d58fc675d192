import { z } from "zod";
import type { ForgeCheck, ForgeComment } from "../domain/forge.ts";
import { parseAnswer } from "./forge-errors.ts";
import { pagesOf } from "./forge-pages.ts";
import { checkOfStatus, maxSummary, statusFields } from "./forge-shapes.ts";
import { cutText, exactName, instant, numericId, shownLine, shownText, webLink } from "./forge-text.ts";
import type { GithubCall } from "./github.ts";
import { createWriteRights } from "./write-rights.ts";

/** What CI and reviewers say of a pull request on GitHub. */
export interface GithubReviews {
  checks(path: string, commit: string): Promise<ForgeCheck[]>;
  comments(path: string, number: number): Promise<ForgeComment[]>;
  reply(path: string, number: number, thread: string, body: string): Promise<void>;
}

const maxChecks = 500;
const maxComments = 1000;

export function createGithubReviews(options: {
  forge: string;
  call: GithubCall;
  accountName(): Promise<string>;
  now(): number;
}): GithubReviews {
  const { forge, call, accountName, now } = options;
  /** GitHub gives `maintain` and `triage` here as what they include of `write` and `read`. */
  const rights = createWriteRights({
    now,
    async ask(path, username) {
      const { data } = await call(path, (client, where) =>
        client.request("GET /repos/{owner}/{repo}/collaborators/{username}/permission", {
          ...where,
          username,
        }),
      );
      const { permission } = parseAnswer(forge, z.object({ permission: z.string() }), data);
      return permission === "admin" || permission === "write";
    },
  });

  return {
    async checks(path, ref) {
      const runs = await call(path, (client, where) =>
        pagesOf(
          client.paginate.iterator("GET /repos/{owner}/{repo}/commits/{ref}/check-runs", {
            ...where,
            ...{ ref, per_page: 100 },
          }),
          maxChecks,
        ),
      );
      const { data } = await call(path, (client, where) =>
        client.request("GET /repos/{owner}/{repo}/commits/{ref}/status", { ...where, ref, per_page: 100 }),
      );
      const { statuses } = parseAnswer(forge, z.object({ statuses: statusShape.array() }), data);
      return [...parseAnswer(forge, runShape.array(), runs), ...statuses];
    },

    async comments(path, number) {
      const issue = await call(path, (client, where) =>
        pagesOf(
          client.paginate.iterator("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", {
            ...where,
            ...{ issue_number: number, per_page: 100 },
          }),
          maxComments,
        ),
      );
      const inDiff = await call(path, (client, where) =>
        pagesOf(
          client.paginate.iterator("GET /repos/{owner}/{repo}/pulls/{pull_number}/comments", {
            ...where,
            ...{ pull_number: number, per_page: 100 },
          }),
          maxComments,
        ),
      );
      const reviews = await call(path, (client, where) =>
        pagesOf(
          client.paginate.iterator("GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews", {
            ...where,
            ...{ pull_number: number, per_page: 100 },
          }),
          maxComments,
        ),
      );
      const found = [
        ...parseAnswer(forge, issueCommentShape.array(), issue),
        ...parseAnswer(forge, diffCommentShape.array(), inDiff),
        ...parseAnswer(forge, reviewShape.array(), reviews).filter(({ body }) => body.trim() !== ""),
      ].sort((one, other) => one.at - other.at);

      const me = await accountName();
      const mayWrite = rights.look(path);
      const comments: ForgeComment[] = [];
      for (const { association, ...comment } of found) {
        const { author } = comment;
        const own = me !== "" && author === me;
        const isKnown = association === "MEMBER" || association === "COLLABORATOR";
        const authorMayWrite = conclusive[association] ?? (!own && (await mayWrite(author, isKnown)));
        comments.push({ ...comment, author: author === "" ? "ghost" : author, authorMayWrite, own });
      }
      return comments;
    },

    async reply(path, number, thread, body) {
      const inThread = /^review:(\d{1,18})$/.exec(thread);
      if (inThread === null) {
        await call(path, (client, where) =>
          client.request("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", {
            ...where,
            ...{ issue_number: number, body },
          }),
        );
      } else {
        await call(path, (client, where) =>
          client.request("POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies", {
            ...where,
            ...{ pull_number: number, comment_id: Number(inThread[1]), body },
          }),
        );
      }
    },
  };
}

/**
 * What `author_association` settles by itself. A member of the organisation, a collaborator or a contributor may have
 * any right or none, and a member who hides it looks like nobody: these are looked up.
 */
const conclusive: Record<string, boolean | undefined> = {
  OWNER: true,
  FIRST_TIMER: false,
  FIRST_TIME_CONTRIBUTOR: false,
  MANNEQUIN: false,
};

const conclusions: Record<string, ForgeCheck["state"]> = {
  success: "passed",
  failure: "failed",
  timed_out: "failed",
  startup_failure: "failed",
};

const runShape = z
  .object({
    id: numericId,
    name: shownLine,
    status: z.string(),
    conclusion: z.string().nullish(),
    html_url: webLink,
    output: z
      .object({
        title: z.string().nullish(),
        summary: z.string().nullish(),
        text: z.string().nullish(),
      })
      .nullish(),
  })
  .transform((run): ForgeCheck => {
    const { title, summary, text } = run.output ?? {};
    return {
      id: `run:${run.id}`,
      name: run.name,
      state: run.status === "completed" ? (conclusions[run.conclusion ?? ""] ?? "neutral") : "pending",
      webUrl: run.html_url,
      summary: cutText([title, summary, text].filter(Boolean).join("\n\n"), maxSummary),
    };
  });

const statusShape = statusFields
  .extend({ state: z.string() })
  .transform((found) => checkOfStatus(found, found.state));

const writing = {
  id: numericId,
  user: z.object({ login: exactName }).nullish(),
  author_association: z.string().default("NONE"),
  body: shownText,
  html_url: webLink,
};

const issueCommentShape = z.object({ ...writing, created_at: instant }).transform((comment) => ({
  ...common(comment),
  ...{ id: `issue:${comment.id}`, thread: "issue", at: comment.created_at, place: undefined },
}));

const reviewShape = z.object({ ...writing, submitted_at: instant }).transform((review) => ({
  ...common(review),
  ...{ id: `verdict:${review.id}`, thread: "issue", at: review.submitted_at, place: undefined },
}));

const diffCommentShape = z
  .object({
    ...writing,
    created_at: instant,
    path: shownLine,
    line: z.number().int().nullish(),
    original_line: z.number().int().nullish(),
    diff_hunk: shownText,
    in_reply_to_id: numericId.nullish(),
  })
  .transform((comment) => ({
    ...common(comment),
    id: `review:${comment.id}`,
    thread: `review:${comment.in_reply_to_id ?? comment.id}`,
    at: comment.created_at,
    place: {
      path: comment.path,
      line: comment.line ?? comment.original_line ?? undefined,
      diffHunk: cutText(comment.diff_hunk, maxSummary),
    },
  }));

function common(comment: {
  user?: { login: string } | null | undefined;
  author_association: string;
  body: string;
  html_url: string;
}) {
  return {
    author: comment.user?.login ?? "",
    association: comment.author_association,
    body: comment.body,
    webUrl: comment.html_url,
  };
}
