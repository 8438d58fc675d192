import type { Octokit } from "@octokit/rest";
import { z } from "zod";
import { CcwError } from "../domain/errors.ts";
import type { Forge, ForgeApi, ForgeCredential, ForgeRepository, PullRequestDraft } from "../domain/forge.ts";
import { parseAnswer } from "./forge-errors.ts";
import type { ForgeFetch } from "./forge-fetch.ts";
import { createUnchanged } from "./forge-memory.ts";
import { pageOf, pagesOf } from "./forge-pages.ts";
import type { Patience } from "./forge-patience.ts";
import { exactName } from "./forge-text.ts";
import { createGithubApp, type GithubApp } from "./github-app.ts";
import { createGithubClient, type GithubPace, githubError } from "./github-client.ts";
import { createGithubReviews } from "./github-reviews.ts";
import { pullNode, pullShape, repositoryShape, userShape } from "./github-shapes.ts";

export interface ForgeApiOptions {
  forge: Pick<Forge, "name" | "url" | "apiUrl">;
  credential: ForgeCredential;
  /** Towards `forge.apiUrl`. */
  fetch: ForgeFetch;
  patience: Patience;
  now(): number;
  pace?: GithubPace;
}

export interface GithubForge extends ForgeApi {
  /** Where the credential is a GitHub App's. */
  app: GithubApp | undefined;
}

/** A request as octokit makes it, with the credential that is good for one repository. */
export type GithubCall = <Value>(
  path: string,
  work: (
    client: Octokit,
    where: { owner: string; repo: string; headers: { authorization?: string } },
  ) => Promise<Value>,
) => Promise<Value>;

/** More than these nobody searches by hand; the rest is found by its whole name. */
const maxSearched = 1000;

/** GitHub and GitHub Enterprise Server, whose `apiUrl` ends in `/api/v3`. Errors are those of ForgeApi. */
export function createGithub(options: ForgeApiOptions): GithubForge {
  const { forge, credential, fetch, patience, now } = options;
  const pace = options.pace === undefined ? {} : { pace: options.pace };
  const client = createGithubClient({ ...patience, ...pace, forge, fetch, now });
  const app =
    credential.kind === "app" ? createGithubApp({ forge, credential, fetch, patience, now }) : undefined;
  const unchanged = createUnchanged();
  const ask = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    try {
      return await work();
    } catch (thrown) {
      throw githubError(forge.name, thrown, now());
    }
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const own = credential.kind === "token" ? bearer(credential.token) : {};

  const call: GithubCall = async (path, work) => {
    const where = placeOf(path);
    const once = async () =>
      work(client, { ...where, headers: app ? bearer(await app.tokenFor(path, "api")) : own });
    try {
      return await ask(once);
    } catch (thrown) {
      if (app === undefined || !(thrown instanceof CcwError) || thrown.code !== "unauthenticated")
        throw thrown;
      // A token that was revoked before its time; another one may be had.
      app.drop(path);
      return ask(once);
    }
  };
  const parse = <Schema extends z.ZodType>(schema: Schema, data: unknown) =>
    parseAnswer(forge.name, schema, data);

  let account: Promise<string> | undefined;
  /** Empty without a credential. What failed is asked again. */
  const accountName = () => {
    account ??= findAccount().catch((thrown) => {
      account = undefined;
      throw thrown;
    });
    return account;
  };
  async function findAccount(): Promise<string> {
    if (app !== undefined) return `${(await app.identity()).slug}[bot]`;
    if (credential.kind === "none") return "";
    const { data } = await ask(() => client.request("GET /user", { headers: own }));
    return parse(userShape, data).login;
  }

  async function allRepositories(): Promise<ForgeRepository[]> {
    if (app === undefined) {
      const asked = { per_page: 100, sort: "pushed", headers: own } as const;
      const list = () => pagesOf(client.paginate.iterator("GET /user/repos", asked), maxSearched);
      return parse(repositoryShape.array(), await ask(list));
    }
    const found: ForgeRepository[] = [];
    for (const { id, suspended } of await app.installations()) {
      if (suspended || found.length >= maxSearched) continue;
      const headers = bearer(await app.listingToken(id));
      const asked = { per_page: 100, headers };
      const list = () =>
        pagesOf(client.paginate.iterator("GET /installation/repositories", asked), maxSearched);
      found.push(...parse(repositoryShape.array(), await ask(list)));
    }
    return found;
  }

  async function search(text: string): Promise<ForgeRepository[]> {
    const words = text.toLowerCase().split(/\s+/);
    if (credential.kind === "none") {
      const q = `${text.slice(0, 200)} in:name`;
      const { data } = await ask(() => client.request("GET /search/repositories", { q, per_page: 50 }));
      return parse(repositoryShape.array(), data.items);
    }
    const known = await allRepositories();
    const found = known.filter(({ path }) => words.every((word) => path.toLowerCase().includes(word)));
    if (found.length > 0 || !/^[\w.-]+\/[\w.-]+$/.test(text)) return found;
    return [await repository(text)];
  }

  async function repository(path: string): Promise<ForgeRepository> {
    const { data } = await call(path, (octokit, where) =>
      octokit.request("GET /repos/{owner}/{repo}", where),
    );
    return parse(repositoryShape, data);
  }

  const pull = (path: string, pull_number: number) =>
    call(path, (octokit, where) =>
      octokit.request("GET /repos/{owner}/{repo}/pulls/{pull_number}", { ...where, pull_number }),
    );

  const reviews = createGithubReviews({ forge: forge.name, call, accountName, now });

  return {
    app,
    async check() {
      if (app !== undefined) {
        const { slug, name } = await app.identity();
        const places = await app.installations();
        const where = places.map((each) => `${each.account}${each.suspended ? " (suspended)" : ""}`);
        const notes = [
          `GitHub App ${name}`,
          where.length === 0
            ? "It is installed nowhere yet."
            : `installed at ${where.slice(0, 20).join(", ")}`,
        ];
        return { account: `${slug}[bot]`, notes };
      }
      if (credential.kind === "none") {
        await ask(() => client.request("GET /meta"));
        return { account: "", notes: ["no credential: public repositories, to read"] };
      }
      const { data, headers } = await ask(() => client.request("GET /user", { headers: own }));
      return { account: parse(userShape, data).login, notes: notesOnToken(headers) };
    },

    async repositories({ search: text, page }) {
      if (text !== undefined && text.trim() !== "")
        return { items: await search(text.trim()), next: undefined };
      if (credential.kind === "none") return { items: [], next: undefined };
      if (app !== undefined) return pageOf(await allRepositories(), page);
      const asked = { per_page: 50, sort: "pushed", page: Number(page ?? 1), headers: own } as const;
      const { data } = await ask(() => client.request("GET /user/repos", asked));
      const items = parse(repositoryShape.array(), data);
      return { items, next: items.length === asked.per_page ? String(asked.page + 1) : undefined };
    },

    repository,

    async branches(path, { search: text, page }) {
      const shape = z.array(z.object({ name: exactName }));
      const route = "GET /repos/{owner}/{repo}/branches";
      if (text !== undefined && text !== "") {
        const all = await call(path, (octokit, where) =>
          pagesOf(octokit.paginate.iterator(route, { ...where, per_page: 100 }), maxSearched),
        );
        const names = parse(shape, all).map(({ name }) => name);
        return {
          items: names.filter((name) => name.toLowerCase().includes(text.toLowerCase())),
          next: undefined,
        };
      }
      const asked = { per_page: 100, page: Number(page ?? 1) };
      const { data } = await call(path, (octokit, where) => octokit.request(route, { ...where, ...asked }));
      const items = parse(shape, data).map(({ name }) => name);
      return { items, next: items.length === asked.per_page ? String(asked.page + 1) : undefined };
    },

    async findPullRequest(path, head, base) {
      const { owner } = placeOf(path);
      const { data } = await call(path, (octokit, where) =>
        octokit.request("GET /repos/{owner}/{repo}/pulls", {
          ...where,
          ...{ state: "open", head: `${owner}:${head}`, base, per_page: 100 },
        }),
      );
      // A filter that GitHub cannot read is left out there: the answer is looked at once more.
      return parse(pullShape.array(), data).find((each) => each.head === head && each.base === base);
    },

    async createPullRequest(path, draft: PullRequestDraft) {
      const { title, body, head, base } = draft;
      const { data } = await call(path, (octokit, where) =>
        octokit.request("POST /repos/{owner}/{repo}/pulls", {
          ...where,
          ...{ title, body, head, base, draft: draft.draft },
        }),
      );
      return parse(pullShape, data);
    },

    async updatePullRequest(path, number, { draft, ...change }) {
      if (draft !== undefined) {
        const node = parse(pullNode, (await pull(path, number)).data);
        // REST cannot change it: https://docs.github.com/graphql/reference/mutations#markpullrequestreadyforreview
        const mutation = draft ? "convertPullRequestToDraft" : "markPullRequestReadyForReview";
        if (node.draft !== draft) {
          await call(path, (octokit, { headers }) =>
            octokit.graphql(
              `mutation($id: ID!) { ${mutation}(input: { pullRequestId: $id }) { pullRequest { isDraft } } }`,
              { id: node.node_id, headers },
            ),
          );
        }
      }
      if (Object.keys(change).length === 0) return parse(pullShape, (await pull(path, number)).data);
      const { data } = await call(path, (octokit, where) =>
        octokit.request("PATCH /repos/{owner}/{repo}/pulls/{pull_number}", {
          ...where,
          ...change,
          pull_number: number,
        }),
      );
      return parse(pullShape, data);
    },

    async pullRequest(path, number) {
      const { data } = await pull(path, number);
      return unchanged(`pull ${path} ${number}`, parse(pullShape, data));
    },
    async checks(path, commit) {
      return unchanged(`checks ${path} ${commit}`, await reviews.checks(path, commit));
    },
    async comments(path, number) {
      return unchanged(`comments ${path} ${number}`, await reviews.comments(path, number));
    },
    reply: reviews.reply,
  };
}

function placeOf(path: string): { owner: string; repo: string } {
  const [owner = "", repo = "", ...more] = path.split("/");
  if (owner !== "" && repo !== "" && more.length === 0) return { owner, repo };
  throw new CcwError("not_found", `A repository on GitHub is OWNER/NAME, not ${JSON.stringify(path)}.`);
}

/** What a token may do, as far as GitHub says it: a classic one has scopes, a fine-grained one has none to show. */
function notesOnToken(headers: Record<string, unknown>): string[] {
  const scopes = headers["x-oauth-scopes"];
  const expires = headers["github-authentication-token-expiration"];
  const list =
    typeof scopes === "string" ? scopes.split(/\s*,\s*/).filter((scope) => scope !== "") : undefined;
  return [
    ...(list === undefined ? ["fine-grained token: its repositories and rights are set at GitHub"] : []),
    ...(list === undefined || list.length === 0 ? [] : [`scopes ${list.join(", ").slice(0, 300)}`]),
    ...(list !== undefined && !list.includes("repo")
      ? ["It lacks the scope repo: private repositories and pushes are out of its reach."]
      : []),
    ...(list === undefined
      ? []
      : list.includes("workflow")
        ? [
            "It has the scope workflow: a task may change what GitHub Actions run, and they have the repository's secrets.",
          ]
        : ["It lacks the scope workflow: no task changes what GitHub Actions run."]),
    ...(typeof expires === "string" ? [`ends ${expires.slice(0, 40)}`] : []),
  ];
}
