import Tput from "blessed/lib/tput.js";
import unicode from "blessed/lib/unicode.js";
import { width } from "./cells.ts";

/**
 * Two things that blessed 0.1.81, of 2015, knows wrong of the terminals of today. Call it before the first screen.
 *
 * - Its table of wide characters is from before emoji: a line with one would be drawn a cell off. Widths come from
 *   the runtime instead; blessed marks the second cell of a wide character with U+0003.
 * - It draws lines in the alternate character set, which tmux and screen do not always carry through. Every one of
 *   them takes the same characters as UTF-8.
 */
export function mendBlessed(): void {
  unicode.charWidth = (text, index = 0) =>
    width(String.fromCodePoint(typeof text === "number" ? text : (text.codePointAt(index) ?? 0x20)));
  unicode.chars.all = {
    [Symbol.replace]: (text) =>
      // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is passed over
      text.replace(/[^\x00-\u02ff]/gu, (character) =>
        width(character) === 2 ? `${character}\x03` : character,
      ),
  };
  Tput.prototype.detectBrokenACS = () => true;
}
