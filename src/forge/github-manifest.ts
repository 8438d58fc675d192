import { z } from "zod";
import type { Forge, ForgeCredential } from "../domain/forge.ts";
import { parseAnswer } from "./forge-errors.ts";
import type { ForgeFetch } from "./forge-fetch.ts";
import { exactName } from "./forge-text.ts";
import { createGithubClient, githubError } from "./github-client.ts";

/**
 * The last step of GitHub's manifest flow: the code that the browser brought back becomes the app's id and key.
 * https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
 */
export async function convertManifest(
  forge: Pick<Forge, "name" | "apiUrl">,
  code: string,
  { fetch, now }: { fetch: ForgeFetch; now(): number },
): Promise<Extract<ForgeCredential, { kind: "app" }>> {
  const client = createGithubClient({ forge, fetch, now });
  try {
    const { data } = await client.request("POST /app-manifests/{code}/conversions", { code });
    const { id, pem, slug } = parseAnswer(forge.name, madeShape, data);
    return { kind: "app", appId: id, privateKey: pem, slug };
  } catch (thrown) {
    throw githubError(forge.name, thrown, now());
  }
}

const madeShape = z.object({
  id: z.number().int().positive(),
  pem: z.string().min(1).max(16_384),
  slug: exactName.default(""),
});
