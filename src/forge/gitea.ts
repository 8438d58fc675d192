import { giteaApi } from "gitea-js";
import { z } from "zod";
import { CcwError } from "../domain/errors.ts";
import type { ForgeApi, ForgeComment } from "../domain/forge.ts";
import { createCheckedFetch } from "./forge-checked.ts";
import { parseAnswer } from "./forge-errors.ts";
import { createUnchanged } from "./forge-memory.ts";
import { exactName } from "./forge-text.ts";
import {
  commentShape,
  pullShape,
  repositoryShape,
  reviewCommentShape,
  reviewShape,
  statusShape,
} from "./gitea-shapes.ts";
import type { ForgeApiOptions } from "./github.ts";
import { createWriteRights } from "./write-rights.ts";

const limit = 50;
const maxPages = 20;

/** Gitea and Forgejo; `apiUrl` ends in `/api/v1`. Errors are those of ForgeApi. */
export function createGitea({ forge, credential, fetch, patience, now }: ForgeApiOptions): ForgeApi {
  const checked = createCheckedFetch(fetch, { forge: forge.name, patience, now });
  // As a function of its own: the client asks for the type of the runtime's whole fetch.
  const customFetch = Object.assign(
    (input: string | URL | Request, init?: RequestInit) => checked(input, init),
    { preconnect: () => {} },
  );
  const { repos, user } = giteaApi(forge.apiUrl.replace(/\/api\/v1$/, ""), {
    customFetch,
    ...(credential.kind === "token" && { token: credential.token }),
  });
  const unchanged = createUnchanged();
  const parse = <Schema extends z.ZodType>(schema: Schema, data: unknown) =>
    parseAnswer(forge.name, schema, data);

  let account: Promise<string> | undefined;
  const me = () => {
    account ??= user.userGetCurrent().then(({ data }) => parse(z.object({ login: exactName }), data).login);
    account.catch(() => {
      account = undefined;
    });
    return account;
  };

  async function all<Schema extends z.ZodType>(
    schema: Schema,
    ask: (page: { page: number; limit: number }) => Promise<{ data: unknown }>,
  ): Promise<z.output<Schema>[]> {
    const found: z.output<Schema>[] = [];
    for (let page = 1; page <= maxPages; page += 1) {
      const items = parse(schema.array(), (await ask({ page, limit })).data);
      found.push(...items);
      if (items.length < limit) break;
    }
    return found;
  }

  const rights = createWriteRights({
    now,
    async ask(path, login) {
      const { owner, repo } = placeOf(path);
      const { data } = await repos.repoGetRepoPermissions(owner, repo, login);
      const { permission } = parse(z.object({ permission: z.string() }), data);
      return ["write", "admin", "owner"].includes(permission);
    },
  });

  async function show(path: string, number: number) {
    const { owner, repo } = placeOf(path);
    return parse(pullShape, (await repos.repoGetPullRequest(owner, repo, number)).data);
  }

  return {
    async check() {
      if (credential.kind === "none") {
        await repos.repoSearch({ limit: 1 });
        return { account: "", notes: ["no credential: public repositories, to read"] };
      }
      return { account: await me(), notes: [] };
    },
    async repositories({ search, page }) {
      const at = Number(page ?? 1);
      const searched = search !== undefined && search !== "";
      const items =
        searched || credential.kind === "none"
          ? parse(
              z.object({ data: repositoryShape.array() }),
              (await repos.repoSearch({ q: search ?? "", page: at, limit })).data,
            ).data
          : parse(repositoryShape.array(), (await user.userCurrentListRepos({ page: at, limit })).data);
      return { items, next: items.length === limit ? String(at + 1) : undefined };
    },
    async repository(path) {
      const { owner, repo } = placeOf(path);
      return parse(repositoryShape, (await repos.repoGet(owner, repo)).data);
    },
    async branches(path, { search, page }) {
      const { owner, repo } = placeOf(path);
      const shape = z.object({ name: exactName });
      if (search !== undefined && search !== "") {
        const names = await all(shape, (at) => repos.repoListBranches(owner, repo, at));
        const wanted = names.map(({ name }) => name);
        return {
          items: wanted.filter((name) => name.toLowerCase().includes(search.toLowerCase())),
          next: undefined,
        };
      }
      const at = Number(page ?? 1);
      const { data } = await repos.repoListBranches(owner, repo, { page: at, limit });
      const items = parse(shape.array(), data).map(({ name }) => name);
      return { items, next: items.length === limit ? String(at + 1) : undefined };
    },
    async findPullRequest(path, head, base) {
      const { owner, repo } = placeOf(path);
      const open = await all(pullShape, (at) =>
        repos.repoListPullRequests(owner, repo, { ...at, state: "open", sort: "recentupdate" }),
      );
      return open.find((each) => each.head === head && each.base === base);
    },
    async createPullRequest(path, { title, body, head, base, draft }) {
      const { owner, repo } = placeOf(path);
      const { data } = await repos.repoCreatePullRequest(owner, repo, {
        ...{ title: draft ? `WIP: ${title}` : title, body, head, base },
      });
      return parse(pullShape, data);
    },
    async updatePullRequest(path, number, { title, body, draft }) {
      const { owner, repo } = placeOf(path);
      // What is a draft is said by the title.
      const before = title === undefined || draft === undefined ? await show(path, number) : undefined;
      const isDraft = draft ?? before?.draft ?? false;
      const plain = title ?? before?.title ?? "";
      const { data } = await repos.repoEditPullRequest(owner, repo, number, {
        ...((title !== undefined || draft !== undefined) && { title: isDraft ? `WIP: ${plain}` : plain }),
        ...(body !== undefined && { body }),
      });
      return parse(pullShape, data);
    },
    pullRequest: async (path, number) => unchanged(`pull ${path} ${number}`, await show(path, number)),
    async checks(path, commit) {
      const { owner, repo } = placeOf(path);
      const { data } = await repos.repoGetCombinedStatusByRef(owner, repo, commit, { limit });
      const { statuses } = parse(z.object({ statuses: statusShape.array().nullish() }), data);
      return unchanged(`checks ${path} ${commit}`, statuses ?? []);
    },
    async comments(path, number) {
      const { owner, repo } = placeOf(path);
      const said = parse(commentShape.array(), (await repos.issueGetComments(owner, repo, number)).data);
      const reviews = await all(reviewShape, (at) => repos.repoListPullReviews(owner, repo, number, at));
      const found = [...said, ...reviews.map(({ comments: _, number: __, ...each }) => each)];
      for (const { number: review, comments } of reviews) {
        if (comments === 0) continue;
        const { data } = await repos.repoGetPullReviewComments(owner, repo, number, review);
        found.push(...parse(reviewCommentShape.array(), data));
      }
      const account = credential.kind === "token" ? await me() : "";
      const mayWrite = rights.look(path);
      const comments: ForgeComment[] = [];
      for (const each of found) {
        if (each.body.trim() === "") continue;
        const authorMayWrite = await mayWrite(each.author);
        const own = account !== "" && each.author === account;
        comments.push({ ...each, author: each.author || "ghost", own, authorMayWrite });
      }
      comments.sort((one, other) => one.at - other.at);
      return unchanged(`comments ${path} ${number}`, comments);
    },
    async reply(path, number, _, body) {
      // Its API has no answers within a thread of a review.
      const { owner, repo } = placeOf(path);
      await repos.issueCreateComment(owner, repo, number, { body });
    },
  };
}

function placeOf(path: string): { owner: string; repo: string } {
  const [owner = "", repo = "", ...more] = path.split("/");
  if (owner !== "" && repo !== "" && more.length === 0) return { owner, repo };
  throw new CcwError("not_found", `A repository on Gitea is OWNER/NAME, not ${JSON.stringify(path)}.`);
}
