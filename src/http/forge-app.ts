import { randomBytes } from "node:crypto";
import type { Context } from "hono";
import { html } from "hono/html";
import { CcwError } from "../domain/errors.ts";
import type { HttpContext, HttpEnv } from "./context.ts";

/**
 * GitHub's manifest flow, for an appliance that GitHub cannot reach: the browser carries the manifest there and the
 * code back, so that an address of the LAN is enough. A `state` is good once, for ten minutes, for the forge that it
 * was made for: nobody can have another's browser connect an app of his own.
 */
export interface ForgeAppFlow {
  /** Begins it. Returns the page to open, on the appliance. */
  begin(wish: AppWish): string;
  /** The page whose form goes to GitHub; no script posts it. */
  page(c: Context<HttpEnv>): Response | Promise<Response>;
  /** Where GitHub sends the browser back to. */
  callback(c: Context<HttpEnv>): Promise<Response>;
}

export interface AppWish {
  name: string;
  url: string;
  apiUrl: string;
  /** Whose app it is to be; empty for the person's own. */
  organization: string;
}

const stateMs = 10 * 60_000;
const maxPending = 100;

export function createForgeAppFlow({ store, ids, forges, publicUrl }: HttpContext): ForgeAppFlow {
  const pending = new Map<string, AppWish & { until: number }>();
  const find = (state: string, name: string) => {
    const found = pending.get(state);
    if (found !== undefined && found.name === name && ids.now() < found.until) return found;
    throw new CcwError(
      "not_found",
      "This page was used already, or is older than ten minutes.",
      `Begin again: ccw-server forge add ${JSON.stringify(name.slice(0, 100))} --kind github --app`,
    );
  };
  const headers = (formAction: string) => ({
    "Content-Security-Policy": `default-src 'none'; style-src 'self'; form-action ${formAction}; base-uri 'none'; frame-ancestors 'none'`,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
  });

  return {
    begin(wish) {
      for (const [state, { until }] of pending) if (ids.now() >= until) pending.delete(state);
      const [oldest] = pending.keys();
      if (oldest !== undefined && pending.size >= maxPending) pending.delete(oldest);
      const state = randomBytes(24).toString("base64url");
      pending.set(state, { ...wish, until: ids.now() + stateMs });
      return `${publicUrl()}/settings/forges/${wish.name}/app?state=${state}`;
    },

    page(c) {
      const name = c.req.param("name") ?? "";
      const state = c.req.query("state") ?? "";
      const { url, organization } = find(state, name);
      const owner = organization === "" ? "" : `/organizations/${encodeURIComponent(organization)}`;
      const action = `${url}${owner}/settings/apps/new?state=${state}`;
      return c.html(
        html`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><link rel="stylesheet" href="/app.css"><title>Make a GitHub App</title>
<body class="page stack"><h1>Make a GitHub App for ${name}</h1>
<p>The button leads to ${url}, where the App is made under a name that you choose. Of the
repositories that you install it on it may read and write contents, pull requests and issues (for comments), read the
results of checks, and nothing else. GitHub leads you back here.</p><form method="post" action="${action}"><input type="hidden" name="manifest"
value="${JSON.stringify(manifestOf(publicUrl(), name))}"><p class="actions"><button class="primary">Go on to ${new URL(url).host}</button>
<a class="button" href="/settings">Back to the settings</a></p></form></body></html>`,
        200,
        headers(new URL(url).origin),
      );
    },

    async callback(c) {
      const name = c.req.param("name") ?? "";
      const state = c.req.query("state") ?? "";
      const code = c.req.query("code") ?? "";
      const { url, apiUrl } = find(state, name);
      if (!/^[A-Za-z0-9_-]{1,200}$/.test(code))
        throw new CcwError("invalid", "GitHub has sent no code along.", "Begin again.");
      pending.delete(state);
      const forge = { name, kind: "github", url, apiUrl } as const;
      const credential = await forges.convertManifest(forge, code);
      store.forges.save(forge, credential);
      const apps = new URL(url).host === "github.com" ? "apps" : "github-apps";
      const install = `${url}/${apps}/${encodeURIComponent(credential.slug)}/installations/new`;
      return c.html(
        html`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><link rel="stylesheet" href="/app.css"><title>The GitHub App is connected</title>
<body class="page stack"><h1>${name} is connected</h1>
<p>Its key is kept sealed on the appliance. What is left: <a href="${install}">choose the repositories</a> that it may
reach, and then <a href="/settings">add them here</a>.</p></body></html>`,
        200,
        headers("'none'"),
      );
    },
  };
}

/** What the App may do; there is no webhook, since an appliance on a LAN could not be told. */
function manifestOf(publicUrl: string, name: string) {
  return {
    name: `ccw-server ${name} ${randomBytes(3).toString("hex")}`,
    url: publicUrl,
    redirect_url: `${publicUrl}/settings/forges/${name}/app/callback`,
    public: false,
    hook_attributes: { url: `${publicUrl}/unused`, active: false },
    default_permissions: {
      ...{ contents: "write", pull_requests: "write", checks: "read", statuses: "read" },
      ...{ metadata: "read", issues: "write" },
    },
  };
}
