import { expect, test } from "bun:test";
import { join } from "node:path";

type Tokens = Record<string, string>;

async function schemes(): Promise<{ light: Tokens; dark: Tokens }> {
  const [light = "", dark = ""] = (await Bun.file(join(import.meta.dir, "tokens.css")).text()).split(
    "@media",
  );
  const read = (css: string) =>
    Object.fromEntries([...css.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map((m) => [m[1], m[2]]));
  return { light: read(light), dark: { ...read(light), ...read(dark) } };
}

/** WCAG 2.2, relative luminance and contrast ratio. */
function contrast(one: string, other: string): number {
  const luminance = (colour: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

const grounds = ["ground", "surface", "sunken"];
const pairs: [string, string][] = [
  ...["text", "dim", "accent-text", "good", "bad", "ask", "busy"].flatMap((text) =>
    grounds.map((ground): [string, string] => [text, ground]),
  ),
  ["on-accent", "accent"],
  ["text", "accent-soft"],
  ["dim", "accent-soft"],
  ["accent-text", "accent-soft"],
  ...["busy", "good", "bad", "ask"].map((text): [string, string] => [text, "accent-soft"]),
  ["good", "good-soft"],
  ["bad", "bad-soft"],
  ["ask", "ask-soft"],
  ["text", "good-soft"],
  ["text", "bad-soft"],
];

for (const scheme of ["light", "dark"] as const) {
  test(`every text can be read on its ground (${scheme})`, async () => {
    const tokens = (await schemes())[scheme];
    const weak = pairs.flatMap(([text, ground]) => {
      const ratio = contrast(tokens[text] ?? "", tokens[ground] ?? "");
      return ratio >= 4.5 ? [] : [`${text} on ${ground}: ${ratio.toFixed(2)}`];
    });
    expect(weak).toEqual([]);
  });
}
