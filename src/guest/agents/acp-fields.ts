import { z } from "zod";
import { cutWithNote } from "../text.ts";
import { type AcpField, choice, labelled, type Place, typed, type Wanted } from "./acp-answers.ts";

const maxOptions = 50;
/** Of what is picked or typed as it is; what only explains is cut. */
export const fieldName = z.string().max(300);
const words = z
  .string()
  .nullish()
  .catch(null)
  .transform((text) => cutWithNote(text ?? "", 2000).trim());
const count = z.number().nullish();
const options = z
  .array(z.object({ const: fieldName, title: fieldName, description: words }))
  .min(1)
  .max(maxOptions);
const untitled = z
  .array(fieldName)
  .min(1)
  .max(maxOptions)
  .transform((all) => all.map((each) => ({ const: each, title: each, description: "" })));

const formats = {
  email: { schema: z.email(), words: "an e-mail address" },
  uri: { schema: z.url(), words: "an address, as https://example.org" },
  date: { schema: z.iso.date(), words: "a date, as 2026-01-31" },
  "date-time": { schema: z.iso.datetime({ offset: true }), words: "a time, as 2026-01-31T09:00:00Z" },
};

const about = { title: words, description: words };
const textSchema = z.object({
  ...{ type: z.literal("string"), ...about },
  ...{ minLength: count, maxLength: count },
  // One may take for ever to try.
  pattern: z.null({ error: "answers are not tried by a pattern" }).optional(),
  format: z.enum(["email", "uri", "date", "date-time"]).nullish(),
  default: fieldName.nullish(),
  oneOf: options.nullish(),
  enum: untitled.nullish(),
});
const numberSchema = z.object({
  ...{ type: z.enum(["number", "integer"]), ...about },
  ...{ minimum: count, maximum: count, default: count },
});
const manySchema = z.object({
  ...{ type: z.literal("array"), ...about },
  ...{ minItems: count, maxItems: count },
  items: z.union([
    z.object({ anyOf: options }).transform(({ anyOf }) => anyOf),
    z.object({ type: z.literal("string"), enum: untitled }).transform((items) => items.enum),
  ]),
  default: z.array(fieldName).max(maxOptions).nullish(),
});
/** As JSON Schema has them, and `ElicitationPropertySchema` of the SDK; null is as good as not there. */
export const propertySchema = z.discriminatedUnion("type", [
  textSchema,
  numberSchema,
  z.object({ type: z.literal("boolean"), ...about, default: z.boolean().nullish() }),
  manySchema,
]);
export type Property = z.infer<typeof propertySchema>;

export const isChoice = (of: Property | undefined): boolean =>
  of?.type === "array" || (of?.type === "string" && (of.oneOf ?? of.enum) != null);
export const isFreeText = (of: Property | undefined): boolean =>
  of?.type === "string" && !isChoice(of) && (of.minLength ?? of.maxLength ?? of.format) == null;

export function fieldOf(of: Property, place: Place): AcpField {
  switch (of.type) {
    case "boolean": {
      const yesNo = [
        { label: "Yes", value: true, description: "" },
        { label: "No", value: false, description: "" },
      ];
      return choice(yesNo, place, of.default == null ? "" : of.default ? "Yes" : "No");
    }
    case "array":
      return choice(labelled(of.items), place, (of.default ?? []).join(", "), of);
    case "number":
    case "integer":
      return typed(place, of.default == null ? "" : String(of.default), numberWanted(of));
    case "string": {
      const choices = of.oneOf ?? of.enum;
      return choices == null
        ? typed(place, of.default ?? "", textWanted(of))
        : choice(labelled(choices), place, of.default ?? "");
    }
  }
}

function numberWanted({ type, minimum, maximum }: z.infer<typeof numberSchema>): Wanted {
  const least = minimum ?? Number.NEGATIVE_INFINITY;
  const most = maximum ?? Number.POSITIVE_INFINITY;
  return {
    words: [
      type === "integer" ? "a whole number" : "a number",
      ...(minimum == null ? [] : [`at least ${minimum}`]),
      ...(maximum == null ? [] : [`at most ${maximum}`]),
    ].join(", "),
    valueOf(said) {
      const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(said) ? Number(said) : Number.NaN;
      const isOne = type === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
      return isOne && value >= least && value <= most ? value : undefined;
    },
  };
}

function textWanted({ minLength, maxLength, format }: z.infer<typeof textSchema>): Wanted {
  const known = format == null ? undefined : formats[format];
  return {
    words: [
      ...(known === undefined ? [] : [known.words]),
      ...(minLength == null ? [] : [`at least ${minLength} characters`]),
      ...(maxLength == null ? [] : [`at most ${maxLength} characters`]),
    ].join(", "),
    valueOf(said) {
      const { length } = [...said];
      const isOne = length >= (minLength ?? 0) && length <= (maxLength ?? length);
      return isOne && (known === undefined || known.schema.safeParse(said).success) ? said : undefined;
    },
  };
}
