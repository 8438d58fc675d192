import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Field } from "../parts/controls.tsx";
import { plainLine } from "../text/plain.ts";

type Edits = Readonly<Record<string, string | null>>;

/** Secrets by name: values go in and are not shown again. */
export function SecretField(props: {
  present: readonly string[];
  edits: Edits;
  onChange: (edits: Edits) => void;
}) {
  const { present, edits, onChange } = props;
  const adding = useSignal("");
  const name = adding.value.trim();
  const field = useRef<HTMLInputElement>(null);
  // A name that is typed and not added would be lost when the form is saved.
  useEffect(
    () =>
      field.current?.setCustomValidity(name === "" ? "" : "Press “Add secret” first, or empty this field."),
    [name],
  );
  const editOf = (each: string) => (Object.hasOwn(edits, each) ? edits[each] : undefined);
  const names = [...new Set([...present, ...Object.keys(edits)])];
  const without = (gone: string) =>
    Object.fromEntries(Object.entries(edits).filter(([each]) => each !== gone));
  const add = () => {
    if (name === "" || editOf(name) !== undefined) return;
    onChange({ ...edits, [name]: "" });
    adding.value = "";
  };
  return (
    <fieldset>
      <legend class="field-label">Secrets</legend>
      <p class="dim">
        Values for injected credentials. No sandbox ever sees one; a request that carries one is stopped. They
        are not shown again.
      </p>
      <ul class="rows">
        {names.map((each) => (
          <SecretRow
            key={each}
            name={each}
            edit={editOf(each)}
            onEdit={(edit) => onChange(edit === undefined ? without(each) : { ...edits, [each]: edit })}
          />
        ))}
      </ul>
      <div class="choices add-row">
        <Field label="New secret">
          <input
            type="text"
            ref={field}
            placeholder="NAME"
            pattern="[A-Za-z_][A-Za-z0-9_]*"
            title="Letters, digits and underscores, with no digit at the start"
            autocomplete="off"
            spellcheck={false}
            value={adding.value}
            onInput={(event) => (adding.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              add();
            }}
          />
        </Field>
        <button type="button" disabled={name === ""} onClick={add}>
          Add secret
        </button>
      </div>
    </fieldset>
  );
}

function SecretRow(props: {
  name: string;
  /** Undefined: it stays; null: it goes; else its new value. */
  edit: string | null | undefined;
  onEdit: (edit: string | null | undefined) => void;
}) {
  const { name, edit, onEdit } = props;
  const shown = plainLine(name);
  return (
    <li class="row">
      <div>
        <code>{edit === null ? <s>{shown}</s> : shown}</code>{" "}
        <span class="dim">
          {edit === undefined && "is set"}
          {edit === null && "is removed when you save"}
        </span>
        {typeof edit === "string" && (
          <input
            type="password"
            required
            minLength={8}
            autocomplete="off"
            aria-label={`Value of ${shown}`}
            placeholder="value, at least 8 characters"
            value={edit}
            onInput={(event) => onEdit(event.currentTarget.value)}
          />
        )}
      </div>
      <div class="actions">
        {edit === undefined ? (
          <>
            <button type="button" class="small" aria-label={`Replace ${shown}`} onClick={() => onEdit("")}>
              Replace
            </button>
            <button type="button" class="small" aria-label={`Remove ${shown}`} onClick={() => onEdit(null)}>
              Remove
            </button>
          </>
        ) : (
          <button
            type="button"
            class="small"
            aria-label={`Leave ${shown} as it was`}
            onClick={() => onEdit(undefined)}
          >
            Undo
          </button>
        )}
      </div>
    </li>
  );
}
