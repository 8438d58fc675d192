import { CcwError } from "./errors.ts";

/** A repository as the appliance knows it. Hosted is the first of several kinds. */
export interface Repository {
  name: string;
  kind: "hosted";
  defaultBranch: string;
  createdAt: number;
}

const segment = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/**
 * A repository's name: one segment, or an owner and a name. Lower case only, since names become folders and
 * some file systems fold case; no `.git` at the end, which git and URLs add by themselves.
 */
export function parseRepositoryName(name: string): string {
  const parts = name.split("/");
  const good =
    parts.length <= 2 &&
    parts.every(
      (part) =>
        segment.test(part) && !part.includes("..") && !/\.(git|lock|wiki)$/.test(part) && !part.endsWith("."),
    );
  if (!good) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(name.slice(0, 100))} cannot be a repository's name.`,
      "Use lower-case letters, digits, `.`, `_` and `-`, as `name` or `owner/name`, without `.git` at the end.",
    );
  }
  return name;
}

/** git-check-ref-format(1), rules 1 to 10, for the part behind `refs/heads/`; and no leading `-`, which options have. */
function isBranchName(name: string): boolean {
  if (name === "" || name.length > 244 || name === "@" || name === "HEAD" || name.startsWith("-"))
    return false;
  if (name.includes("..") || name.includes("@{") || name.includes("//")) return false;
  if (name.startsWith("/") || name.endsWith("/") || name.endsWith(".")) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: git forbids exactly these
  if (/[\x00-\x20\x7f~^:?*[\\]/.test(name)) return false;
  return name.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
}

export function parseBranchName(name: string): string {
  if (!isBranchName(name)) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(name.slice(0, 100))} is not a branch name that git allows.`,
      "A branch name has no spaces, no `..`, no `~ ^ : ? * [ \\`, and does not begin with `-` or `/`.",
    );
  }
  return name;
}
