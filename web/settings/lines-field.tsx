import { useEffect, useId, useRef } from "preact/hooks";
import { plain } from "../text/plain.ts";

/** A text of lines with their numbers; those that were refused are marked. */
export function LinesField(props: {
  label: string;
  hint: string;
  placeholder: string;
  text: string;
  /** In the order of the lines; the same objects for as long as nothing is said anew. */
  problems: readonly { line: number; why: string }[];
  /** The cursor is put on the first of them. */
  leads: boolean;
  onInput: (text: string) => void;
}) {
  const { problems, leads, text } = props;
  const first = problems[0];
  const bad = new Set(problems.map(({ line }) => line));
  const area = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const lines = text.split("\n");
  useEffect(() => {
    if (first === undefined || !leads || area.current === null) return;
    const start = lines.slice(0, first.line - 1).join("\n").length + (first.line > 1 ? 1 : 0);
    area.current.focus();
    area.current.setSelectionRange(start, start + (lines[first.line - 1]?.length ?? 0));
    // The text moves on while the mistake is mended; the cursor is put there once.
  }, [first, leads]);
  return (
    <div class="field">
      <label class="field-label" for={id}>
        {props.label}
      </label>
      <div class={first === undefined ? "lines" : "lines bad"}>
        <div class="line-numbers" aria-hidden="true">
          {lines.map((_, index) => (
            <span key={index} class={bad.has(index + 1) ? "bad" : ""}>
              {index + 1}
            </span>
          ))}
        </div>
        <textarea
          id={id}
          ref={area}
          class="mono"
          rows={Math.max(3, lines.length)}
          wrap="off"
          spellcheck={false}
          autocapitalize="none"
          placeholder={props.placeholder}
          value={text}
          aria-invalid={first !== undefined}
          aria-describedby={`${id}-hint`}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      </div>
      <span class="dim" id={`${id}-hint`}>
        {problems.map(({ line, why }) => (
          <strong key={line} class="bad-text block">
            Line {line}: {plain(why)}.
          </strong>
        ))}
        {props.hint}
      </span>
    </div>
  );
}
