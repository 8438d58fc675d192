import { createHmac } from "node:crypto";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { CcwError } from "../domain/errors.ts";
import type { ForgeKind } from "../domain/forge.ts";
import { isSameSecret } from "../domain/same-secret.ts";
import type { HttpContext } from "./context.ts";

/** Anybody may send one before its signature is looked at. A forge's larger ones are lost; polling finds what they say. */
const maxPayload = 4 * 1024 * 1024;

/** The part of every payload that says what it is about: GitHub's and Gitea's, or GitLab's. */
const payloadSchema = z.union([
  z.object({ repository: z.object({ full_name: z.string() }) }).transform((it) => it.repository.full_name),
  z
    .object({ project: z.object({ path_with_namespace: z.string() }) })
    .transform((it) => it.project.path_with_namespace),
]);

export const webhookSecretName = (forge: string): string => `webhook:${forge}`;

/**
 * Where forges say that something has happened in a repository, for those that can reach the appliance. A message is
 * believed in nothing but that: what has changed is then asked of the forge. Whoever has no secret is told nothing,
 * not even whether there is such a forge.
 */
export function webhookRoutes({ store, follower }: HttpContext) {
  const tooLarge = () => {
    throw new CcwError("too_large", "The message is over 4 MiB.");
  };
  return new Hono().post("/:forge", bodyLimit({ maxSize: maxPayload, onError: tooLarge }), async (c) => {
    const name = c.req.param("forge");
    const secret = store.settings.get(webhookSecretName(name));
    const forge = store.forges.get(name);
    const body = Buffer.from(await c.req.arrayBuffer());
    if (forge === undefined || secret === undefined || !isSigned(forge.kind, c.req.raw.headers, body, secret))
      throw new CcwError("unauthenticated", "This is not signed with the secret of a forge.");
    const path = pathIn(body);
    if (path === undefined) return c.text("Nothing in it is about a repository.\n", 202);
    for (const repository of store.repositories.list()) {
      if (repository.kind === "remote" && repository.forge === name && sameText(repository.path, path))
        follower.changed(repository.name);
    }
    return c.body(null, 204);
  });
}

/** GitHub and Gitea sign with HMAC-SHA256 over the body; GitLab sends the secret itself. */
function isSigned(kind: ForgeKind, headers: Headers, body: Uint8Array, secret: string): boolean {
  if (kind === "gitlab") return isSameSecret(headers.get("x-gitlab-token") ?? "", secret);
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  return isSameSecret(headers.get("x-hub-signature-256") ?? "", `sha256=${signature}`);
}

/** GitHub sends JSON by itself, or in a form's field `payload`. */
function pathIn(body: Buffer): string | undefined {
  const text = body.toString("utf8");
  const json = text.startsWith("payload=") ? (new URLSearchParams(text).get("payload") ?? "") : text;
  try {
    return payloadSchema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}

const sameText = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
