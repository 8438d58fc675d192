import { expect, test } from "bun:test";
import { type AcpForm, asInput, fillIn, formIn } from "./acp-forms.ts";

/** A form as questions, and their answers as its fields. */

const requestOf = (properties: object, more: object = {}) => ({
  ...{ mode: "form", sessionId: "s1", message: "Tell me." },
  requestedSchema: { type: "object", properties, ...more },
});
const read = (properties: object, more?: object): AcpForm => {
  const form = formIn(requestOf(properties, more));
  if (form.kind === "unfit") throw new Error(form.why);
  return form;
};
const whyUnfit = (request: unknown) => {
  const form = formIn(request);
  return form.kind === "unfit" ? form.why : "it fits";
};
/** What one field of the name `it` becomes when a person says that. */
const filled = (property: object, said: string, isRequired = true) => {
  const form = read({ it: property }, isRequired ? { required: ["it"] } : {});
  const { content, wrong } = fillIn(form.questions, { [form.questions[0]?.question ?? ""]: said });
  return wrong.length > 0 ? "wrong" : content;
};

test("each field becomes a question in words, with its choices", () => {
  const form = read(
    {
      colour: { type: "string", title: "Colour", enum: ["red", "green"], default: "green" },
      size: {
        ...{ type: "array", title: "Sizes", description: "All that fit", minItems: 1 },
        items: {
          anyOf: [
            { const: "s", title: "Small", description: "Up to 2" },
            { const: "l", title: "Large" },
          ],
        },
      },
      sure: { type: "boolean" },
      port: { type: "integer", minimum: 1, maximum: 9, default: 8 },
      name: { type: "string", maxLength: 20 },
    },
    { required: ["colour", "size", "sure", "port"] },
  );
  expect(asInput(form.questions)).toEqual({
    questions: [
      {
        ...{ question: "Tell me.\n\nColour", header: "", multiSelect: false },
        options: [
          { label: "red", description: "" },
          { label: "green", description: "the default" },
        ],
      },
      {
        ...{ question: "Sizes: All that fit (at least 1 of them)", header: "", multiSelect: true },
        options: [
          { label: "Small", description: "Up to 2" },
          { label: "Large", description: "" },
        ],
      },
      {
        ...{ question: "sure", header: "", multiSelect: false },
        options: [
          { label: "Yes", description: "" },
          { label: "No", description: "" },
        ],
      },
      {
        question: 'port (a whole number, at least 1, at most 9; "default" for 8)',
        ...{ header: "", multiSelect: false, options: [] },
      },
      {
        question: 'name (at most 20 characters; "skip" for none)',
        ...{ header: "", multiSelect: false, options: [] },
      },
    ],
  });
});

test("words become values of the form, and those that fit none are found", () => {
  const choice = {
    type: "string",
    oneOf: [
      { const: "g", title: "Green" },
      { const: "r", title: "Red" },
    ],
  };
  expect(filled(choice, "green")).toEqual({ it: "g" });
  expect(filled(choice, "r")).toEqual({ it: "r" });
  expect(filled(choice, "Blue")).toBe("wrong");
  expect(filled(choice, "")).toBe("wrong");
  expect(filled({ ...choice, default: "r" }, "")).toEqual({ it: "r" });
  expect(filled(choice, "Skip", false)).toEqual({});
  expect(filled({ type: "boolean" }, "no")).toEqual({ it: false });
  expect(filled({ type: "boolean" }, "maybe")).toBe("wrong");
  const port = { type: "integer", minimum: 1, maximum: 65535, default: 80 };
  for (const [said, becomes] of [
    ["8080", { it: 8080 }],
    ["default", { it: 80 }],
    ["0", "wrong"],
    ["1.5", "wrong"],
    ["0x10", "wrong"],
    ["many", "wrong"],
  ] as const)
    expect(filled(port, said)).toEqual(becomes);
  expect(filled({ type: "number" }, "-1.5e2")).toEqual({ it: -150 });
  expect(filled({ type: "number" }, "1e999")).toBe("wrong");
  expect(filled({ type: "number" }, "skip", false)).toEqual({});
  expect(filled({ type: "number" }, "skip")).toBe("wrong");
  expect(filled({ type: "string", format: "email" }, "ada@example.org")).toEqual({ it: "ada@example.org" });
  expect(filled({ type: "string", format: "email" }, "ada")).toBe("wrong");
  expect(filled({ type: "string", format: "date" }, "2026-13-01")).toBe("wrong");
  expect(filled({ type: "string", minLength: 2, maxLength: 3 }, "äöü")).toEqual({ it: "äöü" });
  expect(filled({ type: "string", minLength: 2, maxLength: 3 }, "a")).toBe("wrong");
});

test("several choices are told apart, with commas in their names too", () => {
  const many = { type: "array", items: { type: "string", enum: ["a", "a, b", "c"] }, maxItems: 2 };
  expect(filled(many, "a, b, c")).toEqual({ it: ["a, b", "c"] });
  expect(filled(many, "c,a")).toEqual({ it: ["c", "a"] });
  expect(filled(many, "c, c")).toEqual({ it: ["c"] });
  expect(filled(many, "a, b, c, a")).toBe("wrong");
  expect(filled(many, "c, d")).toBe("wrong");
  expect(filled({ ...many, default: ["a, b", "c"] }, "")).toEqual({ it: ["a, b", "c"] });
});

test("choices of one title, and questions of one wording, are told apart", () => {
  const oneOf = [
    { const: "1", title: "Same" },
    { const: "2", title: "same" },
  ];
  const form = read({
    a: { type: "string", title: "Which", oneOf },
    b: { type: "string", title: "Which", oneOf },
  });
  const texts = form.questions.map(({ question }) => question);
  expect(new Set(texts).size).toBe(2);
  expect(form.questions[0]?.options.map(({ label }) => label)).toEqual(["Same (1)", "same (2)", "Skip"]);
  const { content } = fillIn(form.questions, { [texts[0] ?? ""]: "Same (1)", [texts[1] ?? ""]: "2" });
  expect(content).toEqual({ a: "1", b: "2" });
});

test("an answer beside the choices goes where Claude's adapter wants it", () => {
  const beside = { type: "string", title: "Other", description: "Type your own answer (optional)." };
  const of = (choice: object, said: string) => {
    const { questions } = read({ question_0: { title: "Colour", ...choice }, question_0_custom: beside });
    expect(questions.map(({ question, header }) => [question, header])).toEqual([["Tell me.", "Colour"]]);
    return fillIn(questions, { "Tell me.": said }).content;
  };
  const anyOf = [
    { const: "Red", title: "Red" },
    { const: "Green", title: "Green" },
  ];
  const one = { type: "string", oneOf: anyOf };
  expect(of(one, "Green")).toEqual({ question_0: "Green" });
  expect(of(one, "Green, mostly")).toEqual({ question_0_custom: "Green, mostly" });
  expect(of(one, "Skip")).toEqual({});
  expect(of({ type: "array", items: { anyOf } }, "Red, Green, Blue")).toEqual({
    ...{ question_0: ["Red", "Green"], question_0_custom: "Blue" },
  });
});

test("what cannot be asked here is no form, and it is said why", () => {
  for (const [properties, why] of [
    [{ a: { type: "object", properties: {} } }, "properties.a"],
    [{ a: { type: "array", items: { type: "number" } } }, "properties.a.items"],
    [{ a: { type: "string", pattern: "(a+)+$" } }, "not tried by a pattern"],
    [{ a: { type: "string", enum: [] } }, "properties.a.enum"],
    [{ a: { type: "string", enum: ["x".repeat(301)] } }, "properties.a.enum"],
    [{ a: { type: "string", enum: Array.from({ length: 51 }, String) } }, "properties.a.enum"],
    [Object.fromEntries(Array.from({ length: 21 }, (_, n) => [n, { type: "boolean" }])), "over 20 fields"],
  ] as const)
    expect(whyUnfit(requestOf(properties))).toContain(why);
  const long = Array.from({ length: 50 }, (_, n) => ({ const: `${n}`, title: "t".repeat(290) + n }));
  const fields = Array.from({ length: 20 }, (_, n) => [`f${n}`, { type: "string", oneOf: long }]);
  expect(whyUnfit(requestOf(Object.fromEntries(fields)))).toContain("too long");
  expect(whyUnfit({ mode: "url", sessionId: "s1", url: "https://example.org", message: "" })).toContain(
    "address",
  );
  for (const nothing of [undefined, null, [], {}, { mode: "form" }])
    expect(whyUnfit(nothing)).not.toBe("it fits");
  const { questions } = read({ a: { type: "string", description: "d".repeat(50_000) } });
  expect(questions[0]?.question.length).toBeLessThan(10_000);
});
