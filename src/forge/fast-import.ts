import { CcwError } from "../domain/errors.ts";
import { parseBranchName } from "../domain/repository.ts";

/** One commit made of whole files, for a repository that the appliance fills itself. */
export interface FirstFiles {
  branch: string;
  message: string;
  author: { name: string; email: string };
  files: { path: string; content: string | Uint8Array; mode?: "100644" | "100755" }[];
}

/** The commit as git-fast-import(1) reads it. `at` is in milliseconds since the epoch. */
export function fastImportOf(commit: FirstFiles, parent: string | undefined, at: number): Uint8Array {
  const { name, email } = commit.author;
  const who = `${plain(name)} <${plain(email)}> ${Math.floor(at / 1000)} +0000`;
  return Buffer.concat([
    Buffer.from(`commit refs/heads/${parseBranchName(commit.branch)}\nauthor ${who}\ncommitter ${who}\n`),
    data(commit.message),
    Buffer.from(parent === undefined ? "" : `from ${parent}\n`),
    ...commit.files.flatMap(({ path, content, mode = "100644" }) => [
      Buffer.from(`M ${mode} inline ${parsePath(path)}\n`),
      data(content),
    ]),
    Buffer.from("done\n"),
  ]);
}

function data(content: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from("\n")]);
}

/** A name without what ends it in a commit's header. */
function plain(text: string): string {
  return text.replace(/[<>\p{Cc}]/gu, "").trim();
}

/** Paths go unquoted, so they may hold nothing that quoting is for, and nothing that git refuses in a tree. */
function parsePath(path: string): string {
  const segments = path.split("/");
  const good =
    !/[\p{Cc}"\\]/u.test(path) &&
    segments.every((part) => part !== "" && part !== "." && part !== ".." && part.toLowerCase() !== ".git");
  if (good) return path;
  throw new CcwError("invalid", `${JSON.stringify(path)} cannot be a file's path in a repository.`);
}
