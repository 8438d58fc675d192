import { expect, test } from "bun:test";
import { neutral } from "./neutral-text.ts";
import { draftOf, type Work } from "./pull-request-draft.ts";

const commit = (subject: string, id = "0123456789abcdef") => ({
  ...{ id, subject, at: 0 },
  author: { name: "a", email: "a@b.invalid" },
});
const work = (change: Partial<Work> = {}): Work => ({
  title: "Make the widget round",
  prompt: "Make the widget round.\nAll of it.",
  summary: "It is round now.",
  commits: [commit("Round the widget")],
  template: undefined,
  taskUrl: "https://ccw.example/tasks/tsk_1",
  ...change,
});

test("the only commit names the pull request; of several, the task does", () => {
  expect(draftOf(work()).title).toBe("Round the widget");
  expect(draftOf(work({ commits: [commit("a"), commit("b")] })).title).toBe("Make the widget round");
  expect(draftOf(work({ commits: [commit("x".repeat(400))] })).title.length).toBeLessThanOrEqual(250);
});

test("the description says what was asked, what the agent says, the commits, and where the task is", () => {
  expect(draftOf(work()).body).toBe(`**What was asked**

> Make the widget round.
> All of it.

**What the agent says**

> It is round now.

**Commits**

- 0123456789 Round the widget

[The task, with its transcript](https://ccw.example/tasks/tsk_1)`);
});

test("what is long is cut, and the whole stays below what a forge takes", () => {
  const long = draftOf(
    work({ prompt: "p".repeat(9000), summary: "s ".repeat(90_000), template: "t\n".repeat(90_000) }),
  );
  expect(long.body.length).toBeLessThanOrEqual(60_000);
  expect(long.body).toContain(`${"p".repeat(2000)}…`);
});

test("the template's headings stay, and the work goes under the first that is seen", () => {
  const template =
    "<!-- # not this\n## nor this -->\n```\n# nor code\n```\n## What\n\n(say it)\n\n## Tests\n- [ ] done";
  const lines = draftOf(work({ template })).body.split("\n");
  const at = (line: string) => lines.indexOf(line);
  expect(at("## What")).toBeGreaterThan(at("# nor code"));
  expect(at("**What was asked**")).toBe(at("## What") + 2);
  expect(at("(say it)")).toBeGreaterThan(at("**Commits**"));
  expect(at("## Tests")).toBeGreaterThan(at("(say it)"));
  const flat = draftOf(work({ template: "Only words." })).body;
  expect(flat.startsWith("**What was asked**") && flat.endsWith("Only words.")).toBe(true);
});

/** What the forges' own documentation says that they act on. */
const effects: [what: string, text: string, effect: RegExp][] = [
  ["a mention", "thanks @octocat and @acme/team", /@[\w]/],
  ["a closing keyword", "Fixes #12, closes acme/other#3", /#\d/],
  ["a closing keyword by URL", "Resolves: https://github.com/acme/widget/issues/4", /\bresolves\b/i],
  ["a closing keyword by another way", "fixes GH-4", /GH-\d/],
  ["a merge request", "see !12", /!\d/],
  ["a quick action", "ok\n/merge\n  /close", /^\s*\/[a-z]/m],
  ["an HTML comment", "<!-- hidden -->", /<!--/],
  ["markup", "<img src=https://evil.example/x>", /<img/],
  ["an image", "![x](https://evil.example/?secret)", /!\[/],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what is looked for
  ["an escape sequence", "\u001b]8;;https://evil.example\u0007x", /[\u001b\u0007]/],
  ["text turned round", "a\u202eb", /\u202e/],
];
for (const [what, text, effect] of effects) {
  test(`${what} in what the agent says is only read`, () => {
    expect(effect.test(text)).toBe(true);
    expect(effect.test(neutral(text))).toBe(false);
    const { title, body } = draftOf(
      work({ summary: text, prompt: text, commits: [commit(text)], taskUrl: "" }),
    );
    expect(effect.test(body)).toBe(false);
    expect(effect.test(title)).toBe(false);
  });
}

test("words cannot leave the quotation that they stand in", () => {
  const { body } = draftOf(
    work({ prompt: "a\n\n```\n# out", summary: "b\r\n\u2028c\n\n---\n# Approved by security" }),
  );
  const inside = body.split("\n").filter((line) => /out|Approved|---|```|^>? ?c$/.test(line));
  expect(inside.length).toBe(5);
  for (const line of inside) expect(line.startsWith(">")).toBe(true);
});

test("plain words stay as they are", () => {
  const text = "The price is 3 < 4, a # b, 50 % & more!\n\n- `code`\n- **bold** a@ b";
  expect(neutral(text)).toBe(text);
});

test("what only becomes a mention, a link or a command when it is shown is taken apart, too", () => {
  const joiner = "\u2060";
  for (const entity of ["&#x40;ada", "&#X00040;ada", "&commat;ada", "&num;12", "&excl;12"]) {
    expect(neutral(`ask ${entity}`)).toBe(`ask &${joiner}${entity.slice(1)}`);
  }
  expect(neutral("&#64;ada &#35;12")).toBe(`&#${joiner}64;ada &#${joiner}35;12`);
  expect(neutral("R&D, a && b, &amp;")).toBe("R&D, a && b, &amp;");
  // GitLab takes its quick actions in any case.
  for (const command of ["/Merge", "/CLOSE", "  /assign me"])
    expect(neutral(command)).toBe(command.replace("/", `/${joiner}`));
});
