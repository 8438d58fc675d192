import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { plainLine } from "../text/plain.ts";

const another = "\n";

interface FieldProps<Value> {
  value: Value;
  /** Beside a prompt, where the words of the choices say enough. */
  bare?: boolean;
  disabled?: boolean;
  onChoose: (value: Value) => void;
}

/** The model by name: the appliance's default, the agent's own names, those in use, or any other. */
export function ModelField({
  agent,
  value,
  bare = false,
  disabled = false,
  onChoose,
}: FieldProps<string> & { agent: string }) {
  const { tasks, status } = useAppliance();
  const typing = useSignal(false);
  const inUse = (tasks.value ?? []).filter((task) => task.agent === agent).map(({ model }) => model);
  const own = status.value?.agents.find(({ name }) => name === agent);
  const known = [...new Set([...(own?.models ?? []), ...inUse, value])].filter((name) => name !== "");
  const give = (text: string) => {
    typing.value = false;
    if (text.trim() !== "") onChoose(text.trim());
  };
  if (typing.value) {
    return (
      <input
        type="text"
        class={bare ? "bare" : ""}
        aria-label="Name of the model"
        placeholder="Name of the model"
        ref={(input) => input?.focus()}
        onBlur={(event) => give(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") typing.value = false;
          if (event.key !== "Enter") return;
          event.preventDefault();
          give(event.currentTarget.value);
        }}
      />
    );
  }
  return (
    <select
      class={bare ? "bare" : ""}
      name="model"
      aria-label="Model"
      disabled={disabled}
      value={value}
      onChange={(event) => {
        const { value: chosen } = event.currentTarget;
        // The choice stays what it was until a name has been typed.
        if (chosen === another) event.currentTarget.value = value;
        if (chosen === another) typing.value = true;
        else onChoose(chosen);
      }}
    >
      <option value="">{bare ? "default model" : "default"}</option>
      {known.map((name) => (
        <option key={name} value={name}>
          {plainLine(name)}
        </option>
      ))}
      <option value={another}>another…</option>
    </select>
  );
}

export function AgentField({ value, onChoose }: FieldProps<string>) {
  const agents = useAppliance().status.value?.agents ?? [];
  return (
    <select name="agent" value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
      {!agents.some(({ name }) => name === value) && <option value={value}>{plainLine(value)}</option>}
      {agents.map(({ name, title }) => (
        <option key={name} value={name}>
          {plainLine(title)}
        </option>
      ))}
    </select>
  );
}

export type Mode = "act" | "plan";

export function ModeField({ value, bare = false, disabled = false, onChoose }: FieldProps<Mode>) {
  return (
    <select
      class={bare ? "bare" : ""}
      name="mode"
      aria-label="Mode"
      title="In plan mode the agent changes nothing before you have approved its plan"
      disabled={disabled}
      value={value}
      onChange={(event) => onChoose(event.currentTarget.value === "plan" ? "plan" : "act")}
    >
      <option value="act">act</option>
      <option value="plan">plan first</option>
    </select>
  );
}
