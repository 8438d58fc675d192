/**
 * What an agent, a repository or a person wrote, made safe for a terminal: every character that could move the
 * cursor, change colours, reorder the line or hide is shown instead of obeyed. New lines and tabs stay what they
 * are for. Colour sequences alone (SGR, ECMA-48 8.3.117) are left out: nearly all tool output has them, and they
 * carry no text.
 */
export function plainText(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n/g, "\n")
    .replace(/[\u2028\u2029]/g, "\n")
    .replace(colours, "")
    .replace(/\t/g, "    ")
    .replace(unsafe, show);
}

/** `plainText` in one line: for titles, names and cells of a table. */
export function plainLine(text: string): string {
  return plainText(text)
    .replace(/\s*\n\s*/g, " ")
    .trim();
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these sequences are what is looked for
const colours = /\x1b\[[0-9;:]{0,40}m/g;

/**
 * C0 without the new line, DEL, C1; bidirectional marks, embeddings, overrides and isolates; what takes no room;
 * tag characters. The joiners U+200C and U+200D stay: scripts and emoji need them.
 */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: see above
  /[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** Control pictures for C0 and DEL (U+2400 on); the number for everything else. */
function show(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}
