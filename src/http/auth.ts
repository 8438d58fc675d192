import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { createMiddleware } from "hono/factory";
import { CcwError } from "../domain/errors.ts";
import type { Person, Token } from "../domain/store/people.ts";
import type { Store } from "../domain/store.ts";
import type { HttpContext, HttpEnv } from "./context.ts";

const sessionMs = 30 * 24 * 3600 * 1000;

/**
 * A page of another site that rebinds its own name to this address is addressed by that name: only names that are
 * ours pass, and IP literals, which cannot be rebound.
 */
export function checkHost({ hostNames }: HttpContext) {
  const own = new Set([
    "localhost",
    hostname().toLowerCase(),
    `${hostname().toLowerCase()}.local`,
    ...hostNames,
  ]);
  return createMiddleware<HttpEnv>(async (c, next) => {
    const name = hostOf(c.req.header("host") ?? "");
    if (name === undefined || !(isIP(name) !== 0 || own.has(name))) {
      throw new CcwError(
        "forbidden",
        `This appliance is not addressed as ${JSON.stringify((c.req.header("host") ?? "").slice(0, 100))}.`,
        "Use its IP address, or list the name in ccw.toml under [http] host_names.",
      );
    }
    await next();
  });
}

/** Lets through who has a session cookie or a token, and says who it is in `person`. */
export function requirePerson({ store }: HttpContext) {
  return createMiddleware<HttpEnv>(async (c, next) => {
    const bearer = bearerOf(c.req.header("authorization"));
    const token = bearer === undefined ? sessionOf(c, store) : apiToken(store, bearer);
    if (token === undefined) {
      throw new CcwError(
        "unauthenticated",
        bearer === undefined
          ? "You are not signed in."
          : "This token is not valid: it is unknown, expired or revoked.",
        "Open the sign-in link that `ccw-server link` prints, or send `Authorization: Bearer TOKEN`.",
      );
    }
    c.set("person", token.person);
    c.set("token", token);
    await next();
  });
}

/** Browsers keep cookies by host and not by port: two appliances on one machine must not sign each other out. */
function cookieNameOf(c: Context<HttpEnv>): string {
  const port = c.req.header("host")?.match(/:(\d{1,5})$/)?.[1];
  return port === undefined ? "ccw_session" : `ccw_session_${port}`;
}

/** A browser sends the cookie along whoever asks; what changes something must come from our own page. */
function sessionOf(c: Context<HttpEnv>, store: Store): Token | undefined {
  const secret = getCookie(c, cookieNameOf(c));
  const token = secret === undefined ? undefined : store.tokens.find(secret);
  if (token?.kind !== "session") return undefined;
  const reads = c.req.method === "GET" || c.req.method === "HEAD";
  const origin = c.req.header("origin");
  const upgrade = c.req.header("upgrade") !== undefined;
  const own =
    origin !== undefined &&
    hostOf(origin.replace(/^https?:\/\//, ""), true) === hostOf(c.req.header("host") ?? "", true);
  if ((!reads || upgrade) && !own) {
    throw new CcwError(
      "forbidden",
      "This request came from another site.",
      "Use the appliance's own page, or a token.",
    );
  }
  return token;
}

function apiToken(store: Store, secret: string): Token | undefined {
  const token = store.tokens.find(secret);
  return token?.kind === "api" ? token : undefined;
}

export function bearerOf(header: string | undefined): string | undefined {
  return header?.match(/^Bearer ([\x21-\x7e]{1,500})$/i)?.[1];
}

/** Who a token of git's basic authentication belongs to; git sends the token as the password, or as the user. */
export function personOfBasic(store: Store, header: string | undefined): Person | undefined {
  const encoded = header?.match(/^Basic ([A-Za-z0-9+/=]{1,2000})$/i)?.[1];
  if (encoded === undefined) return undefined;
  const [user = "", ...rest] = Buffer.from(encoded, "base64").toString("utf8").split(":");
  return (apiToken(store, rest.join(":")) ?? apiToken(store, user))?.person;
}

/** Turns a one-time link into a session. */
export function signIn(c: Context<HttpEnv>, { store, ids, publicUrl }: HttpContext): boolean {
  const token = store.tokens.find(c.req.query("token") ?? "");
  // A chat program looks at a link before the person does.
  if (c.req.method === "HEAD") return token?.kind === "link";
  if (token?.kind !== "link" || store.tokens.use(c.req.query("token") ?? "") === undefined) return false;
  const expiresAt = ids.now() + sessionMs;
  const secret = store.tokens.create({
    kind: "session",
    name: "browser",
    person: token.person.id,
    expiresAt,
  });
  // Lax: the link is followed from a terminal or a chat, and the redirect behind it must carry the cookie.
  setCookie(c, cookieNameOf(c), secret, {
    httpOnly: true,
    sameSite: "Lax",
    secure: publicUrl().startsWith("https:"),
    path: "/",
    maxAge: sessionMs / 1000,
  });
  return true;
}

export function signOut(c: Context<HttpEnv>, { store }: HttpContext): void {
  const token = store.tokens.find(getCookie(c, cookieNameOf(c)) ?? "");
  if (token !== undefined) store.tokens.revoke(token.id);
  deleteCookie(c, cookieNameOf(c), { path: "/" });
}

/** The host of `name:port` or `[v6]:port`, lower case; with its port where asked. Undefined for anything else. */
function hostOf(authority: string, withPort = false): string | undefined {
  const match = authority.toLowerCase().match(/^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::(\d{1,5}))?$/);
  const name = match?.[1] ?? match?.[2]?.replace(/\.$/, "");
  return name !== undefined && withPort ? `${name}:${match?.[3] ?? ""}` : name;
}
