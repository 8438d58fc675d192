import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CcwError } from "../domain/errors.ts";

/**
 * The second lock on a task's push, should the door's reader of commands ever be wrong: git itself asks this
 * hook, with the names that git has read. Tried at once: on a file system mounted `noexec` git would skip it.
 * Returns the folder for `core.hooksPath`.
 */
export async function writeTaskHook(folder: string): Promise<string> {
  const hooks = join(folder, "task-hooks");
  const hook = join(hooks, "pre-receive");
  await mkdir(hooks, { recursive: true });
  await Bun.write(hook, taskHook);
  await chmod(hook, 0o755);
  const stdin = Buffer.from("0 1 refs/heads/other\n");
  const env = { PATH: "/usr/bin:/bin", CCW_PUSH_REF: "refs/heads/own" };
  let exitCode: number | undefined;
  try {
    exitCode = Bun.spawnSync([hook], { stdin, env, stdout: "ignore", stderr: "ignore" }).exitCode;
  } catch {
    exitCode = undefined;
  }
  if (exitCode !== 1) {
    throw new CcwError(
      "unavailable",
      `Programs cannot be run from ${hooks}, so git could not check what a task pushes.`,
      "Put the data folder on a file system that is not mounted with `noexec`.",
    );
  }
  return hooks;
}

const taskHook = `#!/bin/sh
# Every ref of a task's push must be the one that the task owns, byte for byte; or one that is new, below the place for
# its snapshots, with a name of letters and digits.
while read -r old new ref; do
  if [ -n "$CCW_PUSH_NEW" ]; then
    name="\${ref#"$CCW_PUSH_NEW"}"
    case "$name$old" in
      *[!0-9A-Za-z]*) name="" ;;
    esac
    case "$old" in
      *[!0]*) name="" ;;
    esac
    if [ -n "$name" ] && [ "$ref" = "$CCW_PUSH_NEW$name" ]; then continue; fi
    echo "This task may push new snapshots below $CCW_PUSH_NEW only." >&2
    exit 1
  fi
  if [ -z "$CCW_PUSH_REF" ] || [ "$ref" != "$CCW_PUSH_REF" ]; then
    echo "This task may push to $CCW_PUSH_REF only." >&2
    exit 1
  fi
done
exit 0
`;
