import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { plain } from "../text/plain.ts";
import { counted } from "../words.ts";

/** Text as it came, made harmless; more than `lines` lines, or very long ones, are folded until asked for. */
export function LongText({ text, lines, omitted = 0 }: { text: string; lines: number; omitted?: number }) {
  const whole = useSignal(false);
  const { shown, hidden } = useMemo(() => fold(plain(text).trimEnd(), lines), [text, lines]);
  return (
    <>
      <pre>{whole.value ? plain(text).trimEnd() : shown}</pre>
      {hidden > 0 && (
        <button type="button" class="link" onClick={() => (whole.value = !whole.value)}>
          {whole.value ? "Show less" : `Show all (${counted(hidden, "more line")})`}
        </button>
      )}
      {omitted > 0 && <p class="dim">{counted(omitted, "character")} left out by the agent.</p>}
    </>
  );
}

/** At most this many characters a folded line. */
const maxWidth = 400;

function fold(text: string, lines: number): { shown: string; hidden: number } {
  const all = text.split("\n");
  // One line more than allowed is shown rather than folded.
  const kept = all.length <= lines + 1 ? all : all.slice(0, lines);
  const cut = kept.some((line) => line.length > maxWidth);
  const shown = kept.map((line) => (line.length > maxWidth ? `${line.slice(0, maxWidth)}…` : line));
  return { shown: shown.join("\n"), hidden: all.length - kept.length + (cut ? 1 : 0) };
}
