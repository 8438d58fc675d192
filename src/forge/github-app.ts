import { createPrivateKey } from "node:crypto";
import { createAppAuth } from "@octokit/auth-app";
import { CcwError } from "../domain/errors.ts";
import type { Forge, ForgeCredential } from "../domain/forge.ts";
import { parseAnswer } from "./forge-errors.ts";
import type { ForgeFetch } from "./forge-fetch.ts";
import type { Patience } from "./forge-patience.ts";
import { createGithubClient, githubError } from "./github-client.ts";
import { appShape, installationShape, installationTokenShape } from "./github-shapes.ts";

/** What a token is for: git, to read or to write, or the API. */
export type AppRight = "read" | "write" | "api";

export interface GithubApp {
  /** Who it is: its slug is what its account is called, as `slug[bot]`. */
  identity(): Promise<{ slug: string; name: string }>;
  /** Its installations, with the account that each is at. */
  installations(): Promise<{ id: number; account: string; suspended: boolean }[]>;
  /**
   * A token for this one repository with what the right needs and no more; kept until five minutes before its end.
   * Rejects with `forbidden` where the app is not installed there or lacks the permission.
   */
  tokenFor(path: string, right: AppRight): Promise<string>;
  /** A token that can list an installation's repositories, and read their metadata. */
  listingToken(installation: number): Promise<string>;
  /** What is kept for this repository is thrown away. */
  drop(path: string): void;
  /** All tokens that are kept. */
  tokens(): string[];
}

/** Of each permission, the most that is asked for; what the installation does not have is left out. */
const permissionsOf: Record<AppRight, Record<string, "read" | "write">> = {
  read: { contents: "read", metadata: "read" },
  write: { contents: "write", metadata: "read" },
  api: {
    ...{ metadata: "read", contents: "read", pull_requests: "write", issues: "write" },
    ...{ checks: "read", statuses: "read" },
  },
};

const spareMs = 5 * 60_000;

export function createGithubApp(options: {
  forge: Pick<Forge, "name" | "url" | "apiUrl">;
  credential: Extract<ForgeCredential, { kind: "app" }>;
  fetch: ForgeFetch;
  patience: Patience;
  now(): number;
}): GithubApp {
  const { forge, credential, now } = options;
  const { appId, privateKey } = credential;
  const client = createGithubClient({
    ...options.patience,
    ...{ forge, now, fetch: options.fetch },
    auth: { authStrategy: createAppAuth, auth: { appId, privateKey } },
  });
  const kept = new Map<string, { token: string; until: number }>();
  const pending = new Map<string, Promise<string>>();

  async function ask<Value>(work: () => Promise<Value>): Promise<Value> {
    parsePrivateKey(privateKey);
    try {
      return await work();
    } catch (thrown) {
      throw githubError(forge.name, thrown, now());
    }
  }

  async function installationOf(path: string) {
    const [owner = "", repo = ""] = path.split("/");
    try {
      const { data } = await ask(() =>
        client.request("GET /repos/{owner}/{repo}/installation", { owner, repo }),
      );
      return parseAnswer(forge.name, installationShape, data);
    } catch (thrown) {
      if (!(thrown instanceof CcwError) || thrown.code !== "not_found") throw thrown;
      throw new CcwError(
        "forbidden",
        `The GitHub App of the forge ${forge.name} is not installed on ${path}.`,
        `Install it there: ${installationPage(forge, credential.slug)}`,
      );
    }
  }

  async function makeToken(installation: number, body: { repositories?: string[]; permissions: object }) {
    const { data } = await ask(() =>
      client.request("POST /app/installations/{installation_id}/access_tokens", {
        installation_id: installation,
        ...body,
      }),
    );
    const { token, expires_at } = parseAnswer(forge.name, installationTokenShape, data);
    return { token, until: Date.parse(expires_at) - spareMs };
  }

  async function makeFor(path: string, right: AppRight) {
    const { id, permissions: granted, suspended_at } = await installationOf(path);
    if (suspended_at) {
      const text = `The installation of the GitHub App of the forge ${forge.name} on ${path} is suspended.`;
      throw new CcwError("forbidden", text, `Resume it: ${installationPage(forge, credential.slug)}`);
    }
    const wanted = Object.entries(permissionsOf[right]);
    const permissions = Object.fromEntries(
      wanted.flatMap(([name, level]) => {
        const has = granted[name];
        if (has === undefined) return [];
        return [[name, has === "read" ? "read" : level]];
      }),
    );
    if (right !== "api" && permissions["contents"] !== right) {
      const text = `The GitHub App of the forge ${forge.name} may not ${right} the contents of ${path}.`;
      const hint = `Give it the permission and accept that at the installation: ${installationPage(forge, credential.slug)}`;
      throw new CcwError("forbidden", text, hint);
    }
    return makeToken(id, { repositories: [path.split("/")[1] ?? ""], permissions });
  }

  /** Whoever asks for the same while it is being made waits for the same one. */
  function keptOrMade(key: string, make: () => Promise<{ token: string; until: number }>): Promise<string> {
    const found = kept.get(key);
    if (found !== undefined && now() < found.until) return Promise.resolve(found.token);
    const underWay = pending.get(key);
    if (underWay !== undefined) return underWay;
    const made = make().then((fresh) => {
      // Dropped in the meantime: it is used once and not kept.
      if (pending.get(key) === made) kept.set(key, fresh);
      return fresh.token;
    });
    pending.set(key, made);
    const done = () => {
      if (pending.get(key) === made) pending.delete(key);
    };
    made.then(done, done);
    return made;
  }

  return {
    async identity() {
      const { data } = await ask(() => client.request("GET /app"));
      return parseAnswer(forge.name, appShape, data);
    },
    async installations() {
      const found = await ask(() => client.paginate("GET /app/installations", { per_page: 100 }));
      return parseAnswer(forge.name, installationShape.array(), found).map(
        ({ id, account, suspended_at }) => ({
          id,
          account: account?.login ?? account?.slug ?? "",
          suspended: Boolean(suspended_at),
        }),
      );
    },
    tokenFor: (path, right) => keptOrMade(`${path.toLowerCase()} ${right}`, () => makeFor(path, right)),
    listingToken: (installation) =>
      keptOrMade(`installation ${installation}`, () =>
        makeToken(installation, { permissions: { metadata: "read" } }),
      ),
    drop(path) {
      for (const right of ["read", "write", "api"]) {
        kept.delete(`${path.toLowerCase()} ${right}`);
        pending.delete(`${path.toLowerCase()} ${right}`);
      }
    },
    tokens: () => [...kept.values()].map(({ token }) => token),
  };
}

/** The app signs with its key. Throws `invalid` for a text that is none. */
function parsePrivateKey(pem: string): string {
  try {
    if (createPrivateKey(pem).asymmetricKeyType === "rsa") return pem;
  } catch {
    // What the library says of it may quote the key.
  }
  throw new CcwError(
    "invalid",
    "That is not the private key of a GitHub App.",
    "Give the .pem file as GitHub made it, from the App's page: ccw-server forge add NAME --app-id N --key-file FILE",
  );
}

/** Where a person chooses which repositories an app may reach. GitHub Enterprise Server has its apps elsewhere. */
function installationPage(forge: Pick<Forge, "url">, slug: string): string {
  const apps = new URL(forge.url).host === "github.com" ? "apps" : "github-apps";
  return slug === ""
    ? `${forge.url}/settings/installations`
    : `${forge.url}/${apps}/${slug}/installations/new`;
}
