/** A unified diff as git prints it, as files to be shown. Bytes that are no diff are skipped, never thrown at. */
export interface DiffFile {
  /** The name after the change; the name before it for a deleted file. */
  path: string;
  /** Where it was before, for a renamed or copied file. */
  from: string | undefined;
  change: "added" | "deleted" | "renamed" | "modified";
  binary: boolean;
  added: number;
  removed: number;
  lines: DiffLine[];
}

export type DiffLine =
  | { kind: "hunk"; text: string }
  | { kind: "added"; text: string; after: number }
  | { kind: "removed"; text: string; before: number }
  | { kind: "same"; text: string; before: number; after: number }
  /** `\ No newline at end of file`. */
  | { kind: "note"; text: string };

export function parseDiff(source: string): DiffFile[] {
  const files: DiffFile[] = [];
  let file: DiffFile | undefined;
  /** Lines that the hunk still has to show; a line of code that looks like a header is code while they last. */
  let left = { before: 0, after: 0 };
  let next = { before: 1, after: 1 };

  for (const line of source.split("\n")) {
    if (file !== undefined && (left.before > 0 || left.after > 0 || line.startsWith("\\"))) {
      const shown = bodyLine(line, next);
      file.lines.push(shown);
      if (shown.kind === "added") file.added++;
      if (shown.kind === "removed") file.removed++;
      const step = {
        before: "before" in shown ? 1 : 0,
        after: "after" in shown ? 1 : 0,
      };
      next = { before: next.before + step.before, after: next.after + step.after };
      left = { before: left.before - step.before, after: left.after - step.after };
      continue;
    }
    if (line.startsWith("diff --git ")) {
      file = newFile(pathOfHeader(line.slice("diff --git ".length)));
      files.push(file);
      continue;
    }
    if (file === undefined) continue;
    const hunk = line.match(/^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/);
    if (hunk !== null) {
      const [, before, beforeCount = "1", after, afterCount = "1"] = hunk;
      next = { before: Number(before), after: Number(after) };
      left = { before: Number(beforeCount), after: Number(afterCount) };
      file.lines.push({ kind: "hunk", text: line });
    } else {
      readHeader(file, line);
    }
  }
  return files;
}

function newFile(path: string): DiffFile {
  return { path, from: undefined, change: "modified", binary: false, added: 0, removed: 0, lines: [] };
}

function bodyLine(line: string, next: { before: number; after: number }): DiffLine {
  const text = line.slice(1);
  switch (line.charAt(0)) {
    case "+":
      return { kind: "added", text, after: next.after };
    case "-":
      return { kind: "removed", text, before: next.before };
    case "\\":
      return { kind: "note", text: text.trim() };
    default:
      return { kind: "same", text, ...next };
  }
}

function readHeader(file: DiffFile, line: string): void {
  const [, word = "", rest = ""] =
    line.match(
      /^(new file|deleted file|rename from|rename to|copy from|copy to|Binary files|GIT binary|---|\+\+\+)(?: (.*))?$/,
    ) ?? [];
  switch (word) {
    case "new file":
      file.change = "added";
      break;
    case "deleted file":
      file.change = "deleted";
      break;
    case "rename from":
    case "copy from":
      file.change = "renamed";
      file.from = unquote(rest);
      break;
    case "rename to":
    case "copy to":
      file.path = unquote(rest);
      break;
    case "Binary files":
    case "GIT binary":
      file.binary = true;
      break;
    case "---":
    case "+++": {
      const path = unquote(rest.replace(/\t$/, ""));
      if (path !== "/dev/null") file.path = path.slice(2);
      break;
    }
  }
}

/** `a/x b/x`: the names are equal unless the file was renamed, which has headers of its own; so half of it is the name. */
function pathOfHeader(names: string): string {
  const quoted = names.match(/"b\/((?:[^"\\]|\\.)*)"$/);
  if (quoted !== null) return unquote(`"${quoted[1]}"`);
  return names.slice((names.length + 1) / 2 + 2);
}

const escapeBytes: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };

/** Git quotes a name with unusual bytes like a C string, other bytes as three octal digits (git-config(1), core.quotePath). */
function unquote(name: string): string {
  if (!(name.length >= 2 && name.startsWith('"') && name.endsWith('"'))) return name;
  const bytes: number[] = [];
  for (const [part, octal, letter] of name.slice(1, -1).matchAll(/\\([0-3][0-7]{2})|\\(.)|[^\\]+/g)) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else if (letter !== undefined) bytes.push(escapeBytes[letter] ?? letter.charCodeAt(0));
    else bytes.push(...new TextEncoder().encode(part));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
