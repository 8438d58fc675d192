import type { AccessLevel } from "../../src/domain/environment.ts";

const levels: { level: AccessLevel; word: string; meaning: string }[] = [
  {
    level: "none",
    word: "None",
    meaning: "Nothing but the agent's model and the task's own git repositories.",
  },
  {
    level: "limited",
    word: "Limited",
    meaning: "The default list of hosts for software development, and what the rules below add.",
  },
  { level: "custom", word: "Custom", meaning: "Only what the rules below allow." },
  {
    level: "full",
    word: "Full",
    meaning:
      "Any public host by name, on ports 80 and 443. Hosts where anybody can publish can still only be read from.",
  },
];

/** How far sandboxes may reach, each level with what it means. */
export function AccessField(props: { level: AccessLevel; onChoose: (level: AccessLevel) => void }) {
  return (
    <fieldset class="network">
      <legend class="field-label">Network access</legend>
      {levels.map(({ level, word, meaning }) => (
        <label key={level} class="option">
          <input
            type="radio"
            name="access"
            checked={props.level === level}
            onChange={() => props.onChoose(level)}
          />
          <span>
            {word}
            <span class="dim block">{meaning}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
