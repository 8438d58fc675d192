import { Hono } from "hono";
import { parseGitTarget } from "../domain/git-server.ts";
import { parseLfsTarget } from "../domain/lfs.ts";
import { bearerOf, personOfBasic } from "./auth.ts";
import type { HttpContext, HttpEnv } from "./context.ts";

/** Git's smart HTTP for people: any branch, read and write, with a token as the password. */
export function gitRoutes({ store, git, lfs }: HttpContext) {
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
    const path = c.req.url.replace(/^https?:\/\/[^/]*\/git/, "");
    const isHosted = (name: string) => store.repositories.get(name)?.kind === "hosted";
    const files = parseLfsTarget(path);
    if (files !== undefined && isHosted(files.repository)) return lfs(c.req.raw, files);
    const target = parseGitTarget(path);
    if (target === undefined || !isHosted(target.repository)) {
      return c.text("There is no such repository.\n", 404);
    }
    return git(c.req.raw, target);
  });
}
