import { z } from "zod";
import type { ForgeCheck, ForgeRepository } from "../domain/forge.ts";
import { cutText, exactName, numericId, shownLine, shownText, webLink } from "./forge-text.ts";

/** What GitHub's answers and Gitea's, which are made after them, have in common. */

export const maxSummary = 16 * 1024;

export const repositoryFields = z.object({
  full_name: exactName,
  clone_url: exactName,
  html_url: webLink,
  default_branch: exactName.nullish(),
  private: z.boolean(),
  archived: z.boolean().default(false),
});
export const permissionFields = z.object({ push: z.boolean().default(false) });

export function repositoryOf(
  found: z.infer<typeof repositoryFields> & {
    permissions?: z.infer<typeof permissionFields> | null | undefined;
  },
): ForgeRepository {
  return {
    path: found.full_name,
    cloneUrl: found.clone_url,
    webUrl: found.html_url,
    defaultBranch: found.default_branch ?? "",
    private: found.private,
    archived: found.archived,
    writable: found.permissions?.push === true && !found.archived,
  };
}

export const statusFields = z.object({
  id: numericId,
  context: shownLine,
  target_url: webLink,
  description: shownText,
});

const states: Record<string, ForgeCheck["state"]> = {
  success: "passed",
  failure: "failed",
  error: "failed",
  pending: "pending",
};

/** `state`: in the forge's own word. */
export function checkOfStatus(status: z.infer<typeof statusFields>, state: string): ForgeCheck {
  return {
    id: `status:${status.id}`,
    name: status.context,
    state: states[state] ?? "neutral",
    webUrl: status.target_url,
    summary: cutText(status.description, maxSummary),
  };
}
