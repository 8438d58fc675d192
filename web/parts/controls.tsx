import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon.tsx";

/** A button that asks once more before it acts. */
export function ConfirmButton(props: {
  label: string;
  question: string;
  yes: string;
  disabled?: boolean;
  /** It is what a person comes here for. */
  main?: boolean;
  onConfirm: () => void;
}) {
  const asking = useSignal(false);
  const next = useRef<HTMLButtonElement>(null);
  const shown = useRef(false);
  // Whoever uses the keyboard stands on the answer, and back on the button after a no.
  useEffect(() => {
    if (shown.current) next.current?.focus();
    shown.current = true;
  }, [asking.value]);
  if (!asking.value) {
    return (
      <button
        type="button"
        class={props.main ? "primary" : "small"}
        ref={next}
        disabled={props.disabled}
        onClick={() => (asking.value = true)}
      >
        {props.label}
      </button>
    );
  }
  return (
    <fieldset class="confirm" aria-label={props.question}>
      <span>{props.question}</span>
      <button
        type="button"
        class={props.main ? "primary" : "small danger"}
        ref={next}
        onClick={() => {
          asking.value = false;
          props.onConfirm();
        }}
      >
        {props.yes}
      </button>
      <button type="button" class="small" onClick={() => (asking.value = false)}>
        No
      </button>
    </fieldset>
  );
}

/** A command to take along. Over plain HTTP browsers lend no clipboard, so there the text is selected and copied the old way. */
export function Copyable({ text, label }: { text: string; label: string }) {
  const code = useRef<HTMLElement>(null);
  const copied = useSignal(false);
  const copy = async () => {
    if (code.current !== null) getSelection()?.selectAllChildren(code.current);
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      document.execCommand("copy");
    }
    copied.value = true;
    setTimeout(() => (copied.value = false), 2000);
  };
  return (
    <div class="copyable">
      <code ref={code}>{text}</code>
      <button type="button" class="small" aria-label={`Copy ${label}`} onClick={() => void copy()}>
        <Icon name={copied.value ? "check" : "copy"} />
        <span aria-live="polite">{copied.value ? "Copied" : "Copy"}</span>
      </button>
    </div>
  );
}

export function Field(props: { label: string; hint?: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label class="field">
      <span class="field-label">{props.label}</span>
      {props.children}
      {props.hint !== undefined && <span class="dim">{props.hint}</span>}
    </label>
  );
}

/** For a credential: nothing of the browser keeps it or fills it in. */
export function SecretInput({
  secret,
  ...rest
}: {
  secret: Signal<string>;
  placeholder?: string;
  required?: boolean;
}) {
  return (
    <input
      type="password"
      autocomplete="off"
      value={secret.value}
      onInput={(event) => (secret.value = event.currentTarget.value)}
      {...rest}
    />
  );
}
