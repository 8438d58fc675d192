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
  const sections: [header: string, settings: [string, string][]][] = [
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
    ...start.repositories.map(({ name, url }): [string, [string, string][]] => [
      section("url", `${door.base}/${name}.git`),
      [["insteadOf", url]],
    ]),
  ];
  return sections
    .flatMap(([header, settings]) => [
      header,
      ...settings.map(([key, value]) => `\t${key} = ${quote(value)}`),
      "",
    ])
    .join("\n");
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
