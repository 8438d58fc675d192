/**
 * The part of Markdown that agents write, as a tree to be rendered as elements. There is no HTML in it: a tag is text.
 * Anything that is not understood stays as it was typed.
 */
export type Block =
  | { kind: "paragraph"; inline: Inline[] }
  | { kind: "heading"; level: number; inline: Inline[] }
  | { kind: "code"; language: string; text: string }
  | { kind: "list"; ordered: boolean; start: number; items: ListItem[] }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "rule" };

interface ListItem {
  inline: Inline[];
  /** How far in the item stands, from 0. */
  depth: number;
}

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "bold"; inline: Inline[] }
  | { kind: "italic"; inline: Inline[] }
  /** `href` is http or https, always. */
  | { kind: "link"; href: string; inline: Inline[] };

const maxNesting = 4;

export function parseMarkdown(source: string, nesting = 0): Block[] {
  const lines = source.split("\n");
  const blocks: Block[] = [];
  let paragraph: string[] = [];
  const flush = () => {
    if (paragraph.length > 0) blocks.push({ kind: "paragraph", inline: parseInline(paragraph.join("\n")) });
    paragraph = [];
  };

  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const fence = line.match(/^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)/);
    const heading = line.match(/^(#{1,6})\s+(.*?)\s*#*$/);
    const item = itemOf(line);
    if (fence !== null) {
      flush();
      const end = closingFence(lines, at + 1, fence[1] ?? "```");
      blocks.push({ kind: "code", language: fence[2] ?? "", text: lines.slice(at + 1, end).join("\n") });
      at = end;
    } else if (heading !== null) {
      flush();
      blocks.push({ kind: "heading", level: heading[1]?.length ?? 1, inline: parseInline(heading[2] ?? "") });
    } else if (/^ {0,3}([-*_])( *\1){2,} *$/.test(line)) {
      flush();
      blocks.push({ kind: "rule" });
    } else if (/^ {0,3}>/.test(line) && nesting < maxNesting) {
      flush();
      const end = lines.findIndex((other, index) => index > at && !/^ {0,3}>/.test(other));
      const quoted = lines.slice(at, end === -1 ? lines.length : end);
      const inner = quoted.map((other) => other.replace(/^ {0,3}> ?/, "")).join("\n");
      blocks.push({ kind: "quote", blocks: parseMarkdown(inner, nesting + 1) });
      at += quoted.length - 1;
    } else if (item !== undefined) {
      flush();
      const last = blocks.at(-1);
      const joins = last?.kind === "list" && (last.ordered === item.ordered || item.depth > 0);
      const list = joins ? last : newList(blocks, item);
      list.items.push({ inline: parseInline(item.text), depth: item.depth });
    } else if (line.trim() === "") {
      flush();
    } else {
      paragraph.push(line);
    }
  }
  flush();
  return blocks;
}

function newList(blocks: Block[], item: { ordered: boolean; start: number }) {
  const list = { kind: "list" as const, ordered: item.ordered, start: item.start, items: [] as ListItem[] };
  blocks.push(list);
  return list;
}

function itemOf(line: string): { ordered: boolean; start: number; depth: number; text: string } | undefined {
  const match = line.match(/^(\s{0,12})(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/);
  if (match === null) return undefined;
  const [, indent = "", number, text = ""] = match;
  const depth = Math.min(3, Math.floor(indent.replaceAll("\t", "    ").length / 2));
  return { ordered: number !== undefined, start: Number(number ?? 1), depth, text };
}

function closingFence(lines: string[], from: number, fence: string): number {
  const mark = fence.charAt(0);
  for (let at = from; at < lines.length; at++) {
    const trimmed = (lines[at] ?? "").trim();
    if (trimmed.length >= fence.length && trimmed.replaceAll(mark, "") === "") return at;
  }
  return lines.length;
}

/** Each alternative is bounded and free of nested repetition, so hostile text costs linear time. */
const token =
  /(`{1,3})([^`]{1,2000})\1|\*\*([^*\n]{1,1000})\*\*|\*([^*\s][^*\n]{0,500})\*|\[([^[\]\n]{1,500})\]\(([^()\s]{1,2000})\)|(https?:\/\/[^\s<>"'`)\]}]{1,2000})/g;

function parseInline(text: string): Inline[] {
  const found: Inline[] = [];
  let done = 0;
  for (const match of text.matchAll(token)) {
    if (match.index > done) found.push({ kind: "text", text: text.slice(done, match.index) });
    found.push(inlineOf(match));
    done = match.index + match[0].length;
  }
  if (done < text.length) found.push({ kind: "text", text: text.slice(done) });
  return found;
}

function inlineOf(match: RegExpMatchArray): Inline {
  const [whole, , code, bold, italic, label, target, bare] = match;
  if (code !== undefined) return { kind: "code", text: code };
  if (bold !== undefined) return { kind: "bold", inline: parseInline(bold) };
  if (italic !== undefined) return { kind: "italic", inline: parseInline(italic) };
  const href = webAddress(target ?? bare ?? "");
  if (href === undefined) return { kind: "text", text: whole };
  return {
    kind: "link",
    href,
    inline: label === undefined ? [{ kind: "text", text: whole }] : parseInline(label),
  };
}

/** An address that a link may lead to; undefined for anything but http and https. */
export function webAddress(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === "https:" || url?.protocol === "http:" ? url.href : undefined;
}
