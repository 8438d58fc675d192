import { Hono } from "hono";
import { parseGitTarget } from "../domain/git-server.ts";
import { bearerOf, personOfBasic } from "./auth.ts";
import type { HttpContext, HttpEnv } from "./context.ts";

/** Git's smart HTTP for people: any branch, read and write, with a token as the password. */
export function gitRoutes({ store, git }: HttpContext) {
  return new Hono<HttpEnv>().all("/*", async (c) => {
    const authorization = c.req.header("authorization");
    const bearer = bearerOf(authorization);
    const token = bearer === undefined ? undefined : store.tokens.find(bearer);
    const person = token?.kind === "api" ? token.person : personOfBasic(store, authorization);
    if (person === undefined) {
      return c.text("Sign in with a token as the password: `ccw-server token add NAME` makes one.\n", 401, {
        "WWW-Authenticate": 'Basic realm="ccw-server", charset="UTF-8"',
      });
    }
    const target = parseGitTarget(c.req.url.replace(/^https?:\/\/[^/]*\/git/, ""));
    if (target === undefined || store.repositories.get(target.repository)?.kind !== "hosted") {
      return c.text("There is no such repository.\n", 404);
    }
    return git(c.req.raw, target);
  });
}
