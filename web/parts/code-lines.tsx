import { useSignal } from "@preact/signals";
import type { DiffLine } from "../text/diff.ts";
import { plain } from "../text/plain.ts";
import { counted } from "../words.ts";

/** Lines of a diff; it scrolls sideways by itself and the page never does. Line numbers are shown where `numbered`. */
export function CodeLines({
  lines,
  limit,
  numbered,
}: {
  lines: DiffLine[];
  limit: number;
  numbered: boolean;
}) {
  const whole = useSignal(false);
  const shown = whole.value || lines.length <= limit + 3 ? lines : lines.slice(0, limit);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard */}
      <section class="code-lines" tabIndex={0} aria-label="Changed lines">
        <table>
          <tbody>
            {shown.map((line, index) => (
              <tr key={index} class={line.kind}>
                {numbered && <td class="number" data-line={"before" in line ? line.before : ""} />}
                {numbered && <td class="number" data-line={"after" in line ? line.after : ""} />}
                <td class="sign">{signs[line.kind]}</td>
                <td class="line">{plain(line.text)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {shown.length < lines.length && (
        <button type="button" class="link" onClick={() => (whole.value = true)}>
          Show all ({counted(lines.length - shown.length, "more line")})
        </button>
      )}
    </>
  );
}

const signs: Record<DiffLine["kind"], string> = { hunk: "", added: "+", removed: "−", same: "", note: "\\" };
