/**
 * Text of an agent, a repository or another person, made harmless to look at: it comes out as what a terminal would
 * leave on its last screen, with everything that could disguise the text made visible.
 */
export function plain(text: string): string {
  if (!suspicious.test(text)) return text;
  const bare = text.replace(escapes, "");
  const settled = bare.includes("\r") ? bare.split("\n").map(lastDrawn).join("\n") : bare;
  return settled.replace(suspiciousEach, picture);
}

/** Like `plain`, on one line: for names, paths and titles. */
export function plainLine(text: string): string {
  return plain(text).replace(/[\n\t]+/g, " ");
}

/**
 * Control and format characters: escapes, bidirectional controls, invisible spaces, Unicode tags. Line break and tab
 * stay, and the joiners, which scripts and emoji need.
 */
const suspicious = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029]/u;
const suspiciousEach = new RegExp(suspicious, "gu");

/** ECMA-48: CSI sequences; OSC, DCS, APC, PM and SOS strings with their end; two-character escapes. */
const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]|(?:\x1b[\]P_^X]|[\x9d\x90\x9f\x9e\x98])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)|\x1b[ -/]{0,4}[0-Z\\^-~]/g;

/** A line that was drawn over again and again, a progress bar say, as it stood at last. */
function lastDrawn(line: string): string {
  const trimmed = line.replace(/\r+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("\r") + 1);
}

/** U+2400 and following are the pictures of the control characters. */
function picture(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : `⟦U+${code.toString(16).toUpperCase().padStart(4, "0")}⟧`;
}
