import { CcwError } from "./errors.ts";

/** A repository as the appliance knows it: one that it holds itself, or one of a forge. */
export type Repository = HostedRepository | RemoteRepository;

interface CommonRepository {
  name: string;
  defaultBranch: string;
  /** What a task may do to its own branch beyond making it and moving it forward. */
  push: { force: boolean; delete: boolean };
  createdAt: number;
}

export interface HostedRepository extends CommonRepository {
  kind: "hosted";
}

/** Its name is where it lives: host and path, as in `github.com/acme/widget` or `git.example:8443/team/tool`. */
export interface RemoteRepository extends CommonRepository {
  kind: "remote";
  /** The name of the forge that it was added from; its credential is used. */
  forge: string;
  /** On the forge, as it spells it: `acme/widget`. */
  path: string;
  /** As people clone it, without credentials: `https://github.com/acme/widget.git`. */
  cloneUrl: string;
  /** Its page, empty where it has none. */
  webUrl: string;
}

export interface Commit {
  id: string;
  author: { name: string; email: string };
  /** Milliseconds since the epoch. */
  at: number;
  subject: string;
}

const remoteHost = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$/;
const remoteSegment = /^[A-Za-z0-9_][A-Za-z0-9._~+-]{0,99}$/;

/** A remote repository's name: a host in lower case, a port where there is one, and one to ten segments as the forge spells them. */
export function parseRemoteName(name: string): string {
  const [host = "", ...segments] = name.split("/");
  const good =
    remoteHost.test(host) &&
    !host.includes("..") &&
    segments.length >= 1 &&
    segments.length <= 10 &&
    segments.every(
      (part) => remoteSegment.test(part) && !part.includes("..") && !/\.(git|lock|wiki|atom)$/i.test(part),
    );
  if (!good) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(name.slice(0, 200))} cannot be the name of a repository on a forge.`,
      "It is its host and path, as in `github.com/owner/name`, without `.git` at the end.",
    );
  }
  return name;
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
