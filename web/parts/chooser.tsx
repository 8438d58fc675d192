import { useSignal } from "@preact/signals";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { plainLine } from "../text/plain.ts";
import { submits } from "./hooks.ts";

export interface Choice {
  value: string;
  words: string;
  /** What tells it from others, beside it. */
  aside?: string;
}

/** So many are shown at once; whoever has more of them types. */
const mostShown = 100;

/** One of many, found by typing parts of its name: the combobox of the ARIA practices, with a list that opens below. */
export function Chooser(props: {
  label: string;
  name: string;
  value: string;
  choices: readonly Choice[];
  hint?: string;
  onChoose: (value: string) => void;
  onOpen?: () => void;
  onType?: (text: string) => void;
  /** What is typed is a choice by itself, for when nobody knows what there is. */
  takesTyped?: boolean;
  /** Stands at the end, whatever is typed. */
  more?: { words: string; run: (typed: string) => void };
}) {
  const { choices, value, more, takesTyped = false } = props;
  const id = useId();
  const open = useSignal(false);
  /** Undefined until something is typed: what is chosen is shown till then. */
  const typed = useSignal<string | undefined>(undefined);
  const active = useSignal(0);
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);

  const fitting = fits(choices, typed.value ?? "");
  const offered = fitting.slice(0, mostShown);
  const text = (typed.value ?? "").trim();
  if (takesTyped && text !== "" && !offered.some((choice) => choice.value === text)) {
    offered.push({ value: text, words: text, aside: "as typed" });
  }
  const count = offered.length + (more === undefined ? 0 : 1);

  useLayoutEffect(() => {
    if (open.value) list.current?.children[active.value]?.scrollIntoView({ block: "nearest" });
  }, [open.value, active.value]);

  // What is shown is chosen already, so whatever is typed next replaces it.
  useLayoutEffect(() => {
    if (typed.value === undefined && document.activeElement === field.current) field.current?.select();
  }, [typed.value === undefined, value]);

  const close = () => {
    open.value = false;
    typed.value = undefined;
  };
  const show = () => {
    if (open.value) return;
    props.onOpen?.();
    active.value = Math.max(
      0,
      offered.findIndex((choice) => choice.value === value),
    );
    open.value = true;
  };
  const take = (index: number) => {
    const choice = offered[index];
    close();
    if (choice !== undefined) props.onChoose(choice.value);
    else if (index === offered.length) more?.run(text);
  };
  const leave = () => {
    const [only, another] = fitting;
    const exact =
      choices.find((choice) => choice.value === text) ?? (another === undefined ? only : undefined);
    close();
    if (text === "") return;
    if (exact !== undefined) props.onChoose(exact.value);
    else if (takesTyped) props.onChoose(text);
  };
  const press = (event: KeyboardEvent & { currentTarget: HTMLInputElement }) => {
    if (submits(event)) {
      event.preventDefault();
      leave();
      event.currentTarget.form?.requestSubmit();
      return;
    }
    switch (event.key) {
      case "ArrowDown":
      case "ArrowUp":
        event.preventDefault();
        if (!open.value) show();
        else if (count > 0)
          active.value = (active.value + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
        return;
      case "Enter":
        if (event.isComposing) return;
        event.preventDefault();
        if (open.value) take(active.value);
        else show();
        return;
      case "Escape":
        if (!open.value) return;
        event.preventDefault();
        close();
    }
  };

  const chosen = choices.find((choice) => choice.value === value)?.words ?? value;
  return (
    <div class="field chooser">
      <label class="field-label" for={id}>
        {props.label}
      </label>
      <div class="chooser-field">
        <input
          ref={field}
          id={id}
          name={props.name}
          type="text"
          role="combobox"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-expanded={open.value}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={open.value && count > 0 ? `${id}-${active.value}` : undefined}
          value={typed.value ?? plainLine(chosen)}
          title={plainLine(chosen)}
          onFocus={(event) => event.currentTarget.select()}
          onClick={show}
          onBlur={leave}
          onInput={(event) => {
            show();
            typed.value = event.currentTarget.value;
            active.value = 0;
            props.onType?.(event.currentTarget.value.trim());
          }}
          onKeyDown={press}
        />
        {open.value && (
          <div class="chooser-list">
            <div
              id={`${id}-list`}
              role="listbox"
              tabIndex={-1}
              aria-label={props.label}
              ref={list}
              // Whoever presses here stays in the field.
              onMouseDown={(event) => event.preventDefault()}
            >
              {offered.map((choice, index) => (
                // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's
                // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus and names the active one
                <div
                  key={choice.value}
                  id={`${id}-${index}`}
                  role="option"
                  aria-selected={choice.value === value}
                  class={index === active.value ? "active" : undefined}
                  onClick={() => take(index)}
                >
                  <span>{plainLine(choice.words)}</span>
                  {choice.aside !== undefined && <span class="dim">{plainLine(choice.aside)}</span>}
                </div>
              ))}
              {more !== undefined && (
                // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's
                // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus and names the active one
                <div
                  id={`${id}-${offered.length}`}
                  role="option"
                  aria-selected={false}
                  class={offered.length === active.value ? "more active" : "more"}
                  onClick={() => take(offered.length)}
                >
                  {more.words}
                </div>
              )}
            </div>
            {props.hint !== undefined && <p class="dim">{props.hint}</p>}
            {fitting.length === 0 && text !== "" && !takesTyped && (
              <p class="dim">None has “{plainLine(text)}” in it.</p>
            )}
            {fitting.length > mostShown && (
              <p class="dim">{fitting.length - mostShown} more. Type a part of the name.</p>
            )}
          </div>
        )}
      </div>
      {props.hint !== undefined && !open.value && <span class="dim">{props.hint}</span>}
    </div>
  );
}

/** Those that have every word that was typed in their name; names that begin with it come first. */
function fits(choices: readonly Choice[], typed: string): Choice[] {
  const text = typed.trim().toLowerCase();
  if (text === "") return [...choices];
  const parts = text.split(/\s+/);
  const found = choices.filter(({ words }) => parts.every((part) => words.toLowerCase().includes(part)));
  const rank = ({ words }: Choice) =>
    words
      .toLowerCase()
      .split("/")
      .some((part) => part.startsWith(text))
      ? 0
      : 1;
  return found.sort((a, b) => rank(a) - rank(b));
}
