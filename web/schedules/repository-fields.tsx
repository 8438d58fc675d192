import { Icon } from "../parts/icon.tsx";
import { plainLine } from "../text/plain.ts";
import type { Filled } from "./filled.ts";

/** The repositories of a schedule's task, each with the branch that its work begins from. */
export function RepositoryFields(props: {
  known: readonly string[];
  value: Filled["repositories"];
  onChange: (value: Filled["repositories"]) => void;
}) {
  const { known, value, onChange } = props;
  const free = known.filter((name) => !value.some((each) => each.name === name));
  const change = (at: number, changed: Partial<Filled["repositories"][number]>) =>
    onChange(value.map((each, index) => (index === at ? { ...each, ...changed } : each)));
  return (
    <fieldset class="schedule-repositories">
      <legend>Repositories</legend>
      {value.map(({ name, branch }, index) => (
        <div class="schedule-repository" key={name}>
          <select
            name="repository"
            aria-label={`Repository ${index + 1}`}
            value={name}
            onChange={({ currentTarget }) => change(index, { name: currentTarget.value, branch: "" })}
          >
            {[name, ...free].map((each) => (
              <option key={each} value={each}>
                {plainLine(each)}
              </option>
            ))}
          </select>
          <input
            type="text"
            name="branch"
            aria-label={`Branch of ${plainLine(name)}`}
            placeholder="the default branch"
            value={branch}
            onInput={({ currentTarget }) => change(index, { branch: currentTarget.value })}
          />
          <button
            type="button"
            class="icon-button"
            aria-label={`Leave out ${plainLine(name)}`}
            onClick={() => onChange(value.filter((_, at) => at !== index))}
          >
            <Icon name="cross" />
          </button>
        </div>
      ))}
      {value.length === 0 && <p class="dim">None: the task works in an empty folder.</p>}
      {free[0] !== undefined && value.length < 10 && (
        <button
          type="button"
          class="small"
          onClick={() => free[0] !== undefined && onChange([...value, { name: free[0], branch: "" }])}
        >
          Add a repository
        </button>
      )}
    </fieldset>
  );
}
