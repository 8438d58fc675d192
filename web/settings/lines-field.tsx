import { useEffect, useId, useRef } from "preact/hooks";
import { plain } from "../text/plain.ts";

/** A text of lines with their numbers; the one that was refused is marked, and the cursor is put on it. */
export function LinesField(props: {
  label: string;
  hint: string;
  placeholder: string;
  text: string;
  problem: { line: number; why: string } | undefined;
  onInput: (text: string) => void;
}) {
  const { problem, text } = props;
  const area = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const lines = text.split("\n");
  useEffect(() => {
    if (problem === undefined || area.current === null) return;
    const start = lines.slice(0, problem.line - 1).join("\n").length + (problem.line > 1 ? 1 : 0);
    area.current.focus();
    area.current.setSelectionRange(start, start + (lines[problem.line - 1]?.length ?? 0));
    // The text moves on while the mistake is mended; the cursor is put there once.
  }, [problem]);
  return (
    <div class="field">
      <label class="field-label" for={id}>
        {props.label}
      </label>
      <div class={problem === undefined ? "lines" : "lines bad"}>
        <div class="line-numbers" aria-hidden="true">
          {lines.map((_, index) => (
            <span key={index} class={problem?.line === index + 1 ? "bad" : ""}>
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
          aria-invalid={problem !== undefined}
          aria-describedby={`${id}-hint`}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      </div>
      <span class="dim" id={`${id}-hint`}>
        {problem !== undefined && (
          <strong class="bad-text block">
            Line {problem.line}: {plain(problem.why)}.
          </strong>
        )}
        {props.hint}
      </span>
    </div>
  );
}
