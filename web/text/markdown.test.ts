import { expect, test } from "bun:test";
import { type Inline, parseMarkdown } from "./markdown.ts";

const only = (source: string): Inline[] => {
  const [block] = parseMarkdown(source);
  return block?.kind === "paragraph" ? block.inline : [];
};

test("headings, paragraphs, lists and fenced code are told apart", () => {
  const blocks = parseMarkdown(
    "# Title\n\nSome text\nmore\n\n- one\n  - two\n\n1. first\n\n```ts\nlet a = 1;\n```\n",
  );
  expect(blocks.map(({ kind }) => kind)).toEqual(["heading", "paragraph", "list", "list", "code"]);
  expect(blocks[2]).toMatchObject({ ordered: false, items: [{ depth: 0 }, { depth: 1 }] });
  expect(blocks[4]).toEqual({ kind: "code", language: "ts", text: "let a = 1;" });
});

test("a fence that is still being written holds what is there", () => {
  expect(parseMarkdown("```\nhalf")).toEqual([{ kind: "code", language: "", text: "half" }]);
});

test("code, bold and italic stand inside a line", () => {
  expect(only("run `a*b*` **now** or *later*")).toEqual([
    { kind: "text", text: "run " },
    { kind: "code", text: "a*b*" },
    { kind: "text", text: " " },
    { kind: "bold", inline: [{ kind: "text", text: "now" }] },
    { kind: "text", text: " or " },
    { kind: "italic", inline: [{ kind: "text", text: "later" }] },
  ]);
});

test("HTML is text", () => {
  expect(only("<img src=x onerror=alert(1)>")).toEqual([
    { kind: "text", text: "<img src=x onerror=alert(1)>" },
  ]);
});

test("only http and https become links", () => {
  expect(only("[a](https://example.com/x)")[0]).toMatchObject({
    kind: "link",
    href: "https://example.com/x",
  });
  for (const bad of [
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "JaVaScRiPt:alert`1`",
    "file:///etc",
  ]) {
    expect(only(`[a](${bad})`).some(({ kind }) => kind === "link")).toBe(false);
  }
});

test("quotes nest no deeper than is useful, and hostile repetition ends soon", () => {
  const started = performance.now();
  parseMarkdown(
    `${">".repeat(20_000)} x\n${"*".repeat(50_000)}\n${"[".repeat(50_000)}\n${"`".repeat(50_001)}`,
  );
  // What is looked at again and again would take minutes; a busy machine takes its time.
  expect(performance.now() - started).toBeLessThan(20_000);
});
