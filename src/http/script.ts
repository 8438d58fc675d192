import { plainLine } from "../domain/plain-text.ts";
import type { TeleportFacts } from "../domain/teleport.ts";
import common from "./scripts/common.sh" with { type: "text" };
import handover from "./scripts/handover.sh" with { type: "text" };
import teleport from "./scripts/teleport.sh" with { type: "text" };

/**
 * POSIX shell scripts for a person's machine: values first, each in single quotes, then text that is the same for all.
 * Only the last line runs something, so that half a script does nothing.
 */

export interface Target {
  /** Where the person's machine reaches the appliance, without a slash at the end. */
  base: string;
  token: string;
}

export interface TeleportTarget extends Target {
  taskId: string;
  title: string;
  facts: TeleportFacts;
  /** Another name for the conversation, where its own is taken. */
  spare: string;
  /** How many repositories the task has, and what is known of each by its name. */
  repositories: readonly { name: string; cloneUrl: string; keys: readonly string[] }[];
}

export function teleportScript({ facts, ...target }: TeleportTarget): string {
  const brought = facts.repositories.map((each) => ({
    ...each,
    ...(target.repositories.find(({ name }) => name === each.name) ?? { cloneUrl: "", keys: [] }),
  }));
  const state = facts.state === undefined ? "" : `, as it was after ${facts.state}`;
  const values = {
    ccw_task: target.taskId,
    ccw_title: plainLine(`Task “${target.title}”${state}.`),
    ccw_session: facts.session?.id ?? "",
    ccw_session_commit: facts.session?.commit ?? "",
    ccw_spare: target.spare,
    ccw_repositories: String(brought.length),
  };
  const cases = brought.map((each, at) => {
    const own = {
      index: String(each.index),
      name: plainLine(each.name),
      clone: each.cloneUrl === "" ? "" : plainLine(`git clone ${each.cloneUrl}`),
      keys: each.keys.filter((key) => /^\S+$/.test(key)).join("\n"),
      roots: each.roots.join("\n"),
      branch: each.branch,
      target: each.target,
      files: each.files,
      behind: each.moved,
    };
    return `    ${at})\n${assignments(own, "      ")}      ;;\n`;
  });
  const repository = `ccw_repository() {\n  case $1 in\n${cases.join("")}  esac\n}\n`;
  return scriptOf(target, `${assignments(values)}${repository}`, teleport);
}

/** The largest conversation that is taken, in bytes. */
export const maxConversationBytes = 256 * 1024 * 1024;

export function handoverScript(target: Target): string {
  return scriptOf(target, assignments({ ccw_max_conversation: String(maxConversationBytes) }), handover);
}

/** In place of one of these: says why there is none, and fails. */
export function failingScript(lines: readonly string[]): string {
  const words = lines.map(plainLine).filter((line) => line !== "");
  return `printf '%s\\n' ${words.map(shellQuoted).join(" ")} >&2\nexit 1\n`;
}

/** For a shell of POSIX: nothing in single quotes means anything but a single quote. NUL cannot be in a script. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("\0", "").replaceAll("'", `'\\''`)}'`;
}

function scriptOf({ base, token }: Target, values: string, text: string): string {
  return [
    "#!/bin/sh\n# Made by ccw-server for one person and one purpose; good for a short time.\n",
    assignments({ ccw_base: base, ccw_token: token }),
    values,
    common,
    text,
    // In braces: a script that is cut off anywhere before the last of them does nothing.
    // biome-ignore lint/suspicious/noTemplateCurlyInString: some shells take no arguments at all for an unset variable
    '{ ccw_main ${1+"$@"} </dev/null; }\n',
  ].join("");
}

function assignments(values: Record<string, string>, indent = ""): string {
  return Object.entries(values)
    .map(([name, value]) => `${indent}${name}=${shellQuoted(value)}\n`)
    .join("");
}
