import { createRequesterFn } from "@gitbeaker/requester-utils";
import { Gitlab } from "@gitbeaker/rest";
import { z } from "zod";
import type { ForgeApi, ForgeCheck, ForgeComment } from "../domain/forge.ts";
import { createCheckedFetch } from "./forge-checked.ts";
import { parseAnswer } from "./forge-errors.ts";
import type { ForgeFetch } from "./forge-fetch.ts";
import { createUnchanged } from "./forge-memory.ts";
import { exactName } from "./forge-text.ts";
import type { ForgeApiOptions } from "./github.ts";
import { discussionShape, jobShape, mergeShape, projectShape, userShape } from "./gitlab-shapes.ts";
import { createWriteRights } from "./write-rights.ts";

const perPage = 50;
const maxPages = 10;
/** Developer: https://docs.gitlab.com/user/permissions/ */
const developer = 30;

/** GitLab; `apiUrl` ends in `/api/v4`. A pull request is a merge request there. Errors are those of ForgeApi. */
export function createGitlab({ forge, credential, fetch, patience, now }: ForgeApiOptions): ForgeApi {
  const checked = createCheckedFetch(fetch, { forge: forge.name, patience, now });
  const client = new Gitlab({
    host: forge.apiUrl.replace(/\/api\/v4$/, ""),
    token: credential.kind === "token" ? credential.token : "",
    requesterFn: requesterOver(checked),
  });
  const unchanged = createUnchanged();
  const parse = <Schema extends z.ZodType>(schema: Schema, data: unknown) =>
    parseAnswer(forge.name, schema, data);
  const listShape = z.object({
    data: z.array(z.unknown()),
    paginationInfo: z.object({ next: z.number().nullish() }),
  });
  const pageOf = <Schema extends z.ZodType>(schema: Schema, answer: unknown) => {
    const { data, paginationInfo } = parse(listShape, answer);
    return {
      items: parse(schema.array(), data),
      next: paginationInfo.next ? String(paginationInfo.next) : undefined,
    };
  };

  let account: Promise<{ id: string; username: string }> | undefined;
  const me = () => {
    account ??= client.Users.showCurrentUser().then((found) => parse(userShape, found));
    account.catch(() => {
      account = undefined;
    });
    return account;
  };

  const rights = createWriteRights({
    now,
    async ask(path, userId) {
      const member = await client.ProjectMembers.show(path, Number(userId), { includeInherited: true });
      return parse(z.object({ access_level: z.number() }), member).access_level >= developer;
    },
  });

  const show = async (path: string, number: number) =>
    parse(mergeShape, await client.MergeRequests.show(path, number));

  return {
    async check() {
      if (credential.kind === "none") {
        await client.Projects.all({ perPage: 1, maxPages: 1 });
        return { account: "", notes: ["no credential: public repositories, to read"] };
      }
      return { account: (await me()).username, notes: [] };
    },
    async repositories({ search, page }) {
      const answer = await client.Projects.all({
        ...{ perPage, page: Number(page ?? 1), maxPages: 1, showExpanded: true, pagination: "offset" },
        ...(credential.kind === "token" && { membership: true }),
        ...(search !== undefined && search !== "" && { search, searchNamespaces: true }),
      });
      return pageOf(projectShape, answer);
    },
    repository: async (path) => parse(projectShape, await client.Projects.show(path)),
    async branches(path, { search, page }) {
      const answer = await client.Branches.all(path, {
        ...{ perPage: 100, page: Number(page ?? 1), maxPages: 1, showExpanded: true },
        ...(search !== undefined && search !== "" && { search }),
      });
      const { items, next } = pageOf(z.object({ name: exactName }), answer);
      return { items: items.map(({ name }) => name), next };
    },
    async findPullRequest(path, head, base) {
      const found = await client.MergeRequests.all({
        ...{ projectId: path, state: "opened", sourceBranch: head, targetBranch: base },
        // Forks' as well, as many as anybody likes to make.
        ...{ perPage: 100, maxPages },
      });
      return parse(mergeShape.array(), found).find((each) => each.head === head && each.base === base);
    },
    async createPullRequest(path, { title, body, head, base, draft }) {
      const made = await client.MergeRequests.create(path, head, base, draft ? `Draft: ${title}` : title, {
        description: body,
      });
      return parse(mergeShape, made);
    },
    async updatePullRequest(path, number, { title, body, draft }) {
      // What is a draft is said by the title.
      const before = title === undefined || draft === undefined ? await show(path, number) : undefined;
      const isDraft = draft ?? before?.draft ?? false;
      const plain = title ?? before?.title ?? "";
      const changed = await client.MergeRequests.edit(path, number, {
        ...((title !== undefined || draft !== undefined) && { title: isDraft ? `Draft: ${plain}` : plain }),
        ...(body !== undefined && { description: body }),
      });
      return parse(mergeShape, changed);
    },
    pullRequest: async (path, number) => unchanged(`pull ${path} ${number}`, await show(path, number)),
    async checks(path, commit) {
      const jobs = await client.Commits.allStatuses(path, commit);
      const found: ForgeCheck[] = parse(jobShape.array(), jobs);
      return unchanged(`checks ${path} ${commit}`, found);
    },
    async comments(path, number) {
      const answer = await client.MergeRequestDiscussions.all(path, number, { perPage: 100, maxPages });
      const { username } = credential.kind === "token" ? await me() : { username: "" };
      const mayWrite = rights.look(path);
      const comments: ForgeComment[] = [];
      for (const { authorId, system, ...note } of parse(discussionShape.array(), answer).flat()) {
        if (system || note.body.trim() === "") continue;
        const own = note.author === username;
        const authorMayWrite = await mayWrite(authorId);
        const webUrl = `${forge.url}/${path}/-/merge_requests/${number}#note_${note.id.replace("note:", "")}`;
        comments.push({ ...note, own, authorMayWrite, webUrl });
      }
      comments.sort((one, other) => one.at - other.at);
      return unchanged(`comments ${path} ${number}`, comments);
    },
    async reply(path, number, thread, body) {
      const discussion = /^discussion:([0-9a-f]{1,64})$/.exec(thread)?.[1];
      if (discussion === undefined) await client.MergeRequestNotes.create(path, number, body);
      else await client.MergeRequestDiscussions.addNote(path, number, discussion, body);
    },
  };
}

/** Their own requester takes no fetch: this one makes the requests by ours, and waits and refuses as that does. */
function requesterOver(fetch: ForgeFetch) {
  return createRequesterFn(
    async (_, options) => options,
    async (endpoint, options = {}) => {
      const { prefixUrl, searchParams, method, headers, body } = optionsShape.parse(options);
      const url = new URL(endpoint, prefixUrl.endsWith("/") ? prefixUrl : `${prefixUrl}/`);
      url.search = searchParams;
      // An empty token is none.
      const sent = Object.entries(headers).filter(([, value]) => value !== "");
      const response = await fetch(url, {
        method,
        headers: { ...Object.fromEntries(sent), accept: "application/json" },
        ...(body !== undefined && { body }),
      });
      const { status } = response;
      const given = status === 204 ? null : await response.json();
      return { status, body: given, headers: Object.fromEntries(response.headers.entries()) };
    },
  );
}

const optionsShape = z.object({
  prefixUrl: z.string(),
  searchParams: z.string().default(""),
  method: z.string().default("GET"),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.string().optional(),
});
