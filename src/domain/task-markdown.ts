import type { DocumentFormat, DocumentPart } from "./task-document.ts";

/**
 * CommonMark. What people and agents wrote keeps its Markdown, but for what could do something where it is shown: tags,
 * and pictures that would be loaded from elsewhere.
 */
export const markdownFormat: DocumentFormat = {
  begin: ({ title, facts }) =>
    `# ${oneLine(title)}\n\n${facts.map(([name, value]) => `- **${oneLine(name)}**: ${oneLine(value)}\n`).join("")}\n---\n\n`,
  part,
  end: () => "",
};

function part(one: DocumentPart): string {
  switch (one.kind) {
    case "prompt": {
      const head = `### ${oneLine(one.person === "" ? "ccw-server" : one.person)}, ${new Date(one.at).toISOString()}`;
      return `${head}\n\n${quoted(one.text)}`;
    }
    case "text":
      return quoted(one.text);
    case "thinking":
      return `*Thinking*\n\n${quoted(one.text)}`;
    case "tool":
      return `**${oneLine(one.name)}**\n\n${fenced(one.input)}`;
    case "output": {
      const left = one.omitted > 0 ? `\n… ${one.omitted} characters left out` : "";
      return `${one.isError ? "*Failed*\n\n" : ""}${fenced(`${one.text}${left}`)}`;
    }
    case "line":
      return `- ${oneLine(one.text)}\n\n`;
    case "diff":
      return `## Changes in ${oneLine(one.repository)}\n\n${fenced(one.text, "diff")}${one.truncated ? "*The diff is cut: it is too long.*\n\n" : ""}`;
  }
}

/** Whatever begins in a quotation (a fence that nobody closes) ends with it: CommonMark 0.31, 4.5. */
function quoted(text: string): string {
  return `${tame(text.trim()).replace(/^/gm, "> ")}\n\n`;
}

/** A fence that nothing inside can close. */
function fenced(text: string, language = ""): string {
  if (text === "") return "";
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(({ 0: ticks }) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text.replace(/\n$/, "")}\n${fence}\n\n`;
}

/**
 * No tag begins, in code neither: whoever shows it and whoever wrote it may not agree on where code ends. And no picture:
 * one would tell its server that, and from where, somebody reads.
 */
function tame(text: string): string {
  return text.replace(/(\\*)(<(?=[a-z/!?])|!(?=\[))/gi, (whole, before: string, mark: string) =>
    // Where one is escaped already, another backslash would escape that one's instead.
    before.length % 2 === 0 ? `${before}\\${mark}` : whole,
  );
}

function oneLine(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/[\\`*_{}[\]<>#|!&~]/g, "\\$&")
    .trim();
}
