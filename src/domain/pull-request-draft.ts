import { nameForPeople, neutral } from "./neutral-text.ts";
import { maxBody, maxTitle } from "./pull-request.ts";
import type { Commit } from "./repository.ts";
import { cut } from "./text-line.ts";

/** What is known of a task's work in one repository. All of it but the template and the URL is quoted, not believed. */
export interface Work {
  title: string;
  /** What was asked. */
  prompt: string;
  /** What the agent said last. */
  summary: string;
  /** Newest first. */
  commits: readonly Commit[];
  /** The repository's own, from its base branch. */
  template: string | undefined;
  /** The task's page on the appliance; empty where there is none to link to. */
  taskUrl: string;
}

const maxPrompt = 2000;
const maxSummary = 6000;
const maxCommits = 20;

/** Title and description of a pull request, as a first draft for whoever opens it. */
export function draftOf(work: Work): { title: string; body: string } {
  const [only, another] = work.commits;
  const title = only !== undefined && another === undefined ? only.subject : work.title;
  const sections = [
    quoted("What was asked", work.prompt, maxPrompt),
    quoted("What the agent says", work.summary, maxSummary),
    commitList(work.commits),
    work.taskUrl === "" ? "" : `[The task, with its transcript](${work.taskUrl})`,
  ];
  const ours = sections.filter((section) => section !== "").join("\n\n");
  const body = work.template === undefined ? ours : intoTemplate(work.template, ours);
  return { title: cut(nameForPeople(title), maxTitle - 1) || "Work of a task", body: cut(body, maxBody - 1) };
}

/** Where forges look for the template of a description, in their order. */
export const templatePaths: readonly string[] = [
  ".github/pull_request_template.md",
  ".github/PULL_REQUEST_TEMPLATE.md",
  "pull_request_template.md",
  "PULL_REQUEST_TEMPLATE.md",
  "docs/pull_request_template.md",
  "docs/PULL_REQUEST_TEMPLATE.md",
  ".gitea/pull_request_template.md",
  ".gitlab/merge_request_templates/Default.md",
];

/** A block quote on every line, so that whatever stands in it ends with it. */
function quoted(what: string, text: string, length: number): string {
  const words = neutral(cut(text.trim(), length)).trim();
  if (words === "") return "";
  return `**${what}**\n\n${words
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n")}`;
}

function commitList(commits: readonly Commit[]): string {
  if (commits.length === 0) return "";
  const rows = commits
    .slice(0, maxCommits)
    .map(({ id, subject }) => `- ${id.slice(0, 10)} ${cut(nameForPeople(subject), 200)}`);
  const left = commits.length - rows.length;
  return ["**Commits**", "", ...rows, ...(left > 0 ? [`- and ${left} more`] : [])].join("\n");
}

/** Under the template's first heading; before all of it where it has none. Headings that nobody sees do not count. */
function intoTemplate(template: string, ours: string): string {
  const lines = template.replace(/\r\n?/g, "\n").split("\n");
  let fence = "";
  let inComment = false;
  const at = lines.findIndex((line) => {
    if (!inComment && fence === "" && /^ {0,3}#{1,6}(\s|$)/.test(line)) return true;
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? "";
    if (!inComment && mark !== "") {
      if (fence === "") fence = mark;
      else if (mark.startsWith(fence)) fence = "";
    }
    if (fence === "")
      inComment = line.lastIndexOf("<!--") > line.lastIndexOf("-->") || (inComment && !line.includes("-->"));
    return false;
  });
  const [before, after] = [lines.slice(0, at + 1), lines.slice(at + 1)];
  return [...before, ...(at === -1 ? [] : [""]), ours, "", ...after].join("\n").trim();
}
