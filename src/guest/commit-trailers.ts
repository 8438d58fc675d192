import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A folder for git's `init.templateDir`: every repository that is cloned or made in the sandbox gets a hook that ends
 * commit messages with these trailers, whoever writes them. In each repository by itself, and not by `core.hooksPath`,
 * which would take the place of a project's own hooks, and with which `pre-commit install` refuses to work.
 */
export function writeGitTemplate(folder: string, trailers: readonly string[]): void {
  mkdirSync(join(folder, "hooks"), { recursive: true });
  if (trailers.length === 0) return;
  const options = trailers.map((trailer) => ` \\\n  --trailer ${quoted(trailer)}`).join("");
  // Not `commit-msg`, which `--no-verify` skips. A message that is amended has its trailers already.
  const hook = `#!/bin/sh\nexec git interpret-trailers --in-place --if-exists addIfDifferent${options} "$1"\n`;
  writeFileSync(join(folder, "hooks", "prepare-commit-msg"), hook, { mode: 0o755 });
}

function quoted(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}
