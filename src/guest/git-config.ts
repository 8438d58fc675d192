import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { SessionStart } from "../domain/session.ts";
import { writeGitTemplate } from "./commit-trailers.ts";

/** Where git finds the door: `http://127.0.0.1:3128/git` in a sandbox. */
export interface GitDoor {
  /** Without a slash at the end; a repository is `<base>/<name>.git`. */
  base: string;
}

const marker = "# ccw-server: written by the guest; what stands below is replaced at each start.";

/**
 * Git's settings for all of the sandbox: remotes read as people see them and go to the door with the sandbox's own
 * credential. Settings that the image brought are kept; ours come later in the file, and so win.
 */
export function writeGitConfig(path: string, start: SessionStart, door: GitDoor): void {
  mkdirSync(dirname(path), { recursive: true });
  const before = existsSync(path) ? (readFileSync(path, "utf8").split(marker)[0] ?? "") : "";
  const kept = before === "" || before.endsWith("\n") ? before : `${before}\n`;
  writeGitTemplate(templateFolderOf(path), start.trailers);
  writeFileSync(path, `${kept}${marker}\n${gitConfigText(path, start, door)}`, { mode: 0o644 });
}

const templateFolderOf = (path: string): string => `${path}-template`;

function gitConfigText(path: string, start: SessionStart, door: GitDoor): string {
  const sections: Section[] = [
    [
      "[user]",
      [
        ["name", start.author.name],
        ["email", start.author.email],
      ],
    ],
    [
      "[init]",
      [
        ["defaultBranch", "main"],
        ["templateDir", templateFolderOf(path)],
      ],
    ],
    // The workspace may belong to another user than the one who works in it, as the image has it.
    ["[safe]", [["directory", "*"]]],
    ["[advice]", [["detachedHead", "false"]]],
    [
      section("http", `${new URL(door.base).origin}/`),
      [["extraHeader", `Authorization: Bearer ${start.tokens.git}`]],
    ],
    // Git LFS, where the image has it, would tell at each push what to set here.
    [section("lfs", `${door.base}/`), [["locksverify", "false"]]],
    ...start.repositories.flatMap((repository) => rewrites(repository, door)),
  ];
  return sections
    .flatMap(([header, settings]) => [
      header,
      ...settings.map(([key, value]) => `\t${key} = ${quote(value)}`),
      "",
    ])
    .join("\n");
}

type Section = [header: string, settings: [string, string][]];

/**
 * The forms of address that people and submodules use for a repository, sent to the door. Git replaces the longest
 * beginning that matches, so `https://host/acme/widget` would take `https://host/acme/widget-other` with it: each way
 * in which such a name can go on is therefore "replaced" by itself, and its requests take the sandbox's way out like
 * any other. What goes on behind `.git` is taken all the same, but for `.github…` and `.gitlab…`; and so is what begins
 * alike over ssh and git's own protocol, which lead nowhere from a sandbox anyway.
 */
function rewrites({ name, url }: SessionStart["repositories"][number], door: GitDoor): Section[] {
  const addresses = addressesOf({ name, url });
  const web = [...new Set(addresses.map(({ scheme, host, path }) => `${scheme}//${host}/${path}`))];
  const others = isRemote({ name, url })
    ? addresses.flatMap(({ host, path }) => {
        const hostname = host.replace(/:\d+$/, "");
        return [`git@${hostname}:${path}`, `ssh://git@${hostname}/${path}`, `git://${hostname}/${path}`];
      })
    : [];
  const forms = [...new Set([...web, ...others])].flatMap((form) => [form, `${form}.git`]);
  const siblings = isRemote({ name, url })
    ? web.flatMap((form) => [...nameCharacters.map((next) => form + next), `${form}.gith`, `${form}.gitl`])
    : [];
  return [
    [section("url", `${door.base}/${name}.git`), forms.map((form): [string, string] => ["insteadOf", form])],
    ...siblings.map((form): Section => [section("url", form), [["insteadOf", form]]]),
  ];
}

const nameCharacters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~+%"];

interface Address {
  scheme: string;
  /** With a port where it is not the scheme's own. */
  host: string;
  /** Without slashes around it and `.git` behind it. */
  path: string;
}

/** As it is cloned, and by its name, which stays the same when it is renamed on its forge. */
export function addressesOf({ name, url }: { name: string; url: string }): Address[] {
  const { protocol: scheme, host, pathname } = new URL(url);
  const path = pathname.replace(/^\/+|(\.git)?\/*$/g, "");
  const named = name.startsWith(`${host}/`) ? name.slice(host.length + 1) : path;
  return [path, named].map((each) => ({ scheme, host, path: each }));
}

/** A repository on a forge is named by its host. */
function isRemote({ name, url }: { name: string; url: string }): boolean {
  return name.startsWith(`${new URL(url).host}/`);
}

/** git-config(1), "Syntax": in a subsection `"` and `\` are escaped; NUL and newline cannot stand there. */
function section(name: string, subsection: string): string {
  return `[${name} "${subsection.replace(/[\0\r\n]/g, "").replace(/["\\]/g, "\\$&")}"]`;
}

/** git-config(1), "Values": quoted, with `"`, `\` and newline escaped. */
function quote(value: string): string {
  return `"${value
    .replace(/[\0\r]/g, "")
    .replace(/["\\]/g, "\\$&")
    .replace(/\n/g, "\\n")}"`;
}
