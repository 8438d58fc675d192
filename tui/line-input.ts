/** A key as blessed names it. */
export interface Key {
  /** The character, where the key has one. */
  ch: string | undefined;
  /** Such as `up`, `enter`, `C-c`, `q`. */
  full: string;
}

export type Typed = { kind: "typing"; text: string } | { kind: "done" } | { kind: "left" };

/** What a key does to the text: characters, backspace, C-u, C-w; enter ends it, escape leaves it. */
export function typeKey(text: string, { ch, full }: Key): Typed {
  switch (full) {
    case "enter":
      return { kind: "done" };
    case "escape":
    case "C-c":
      return { kind: "left" };
    case "backspace":
      return { kind: "typing", text: [...text].slice(0, -1).join("") };
    case "C-u":
      return { kind: "typing", text: "" };
    case "C-w":
      return { kind: "typing", text: text.replace(/\S*\s*$/, "") };
    default:
      return { kind: "typing", text: ch === undefined || /\p{Cc}/u.test(ch) ? text : text + ch };
  }
}
