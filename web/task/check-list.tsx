import type { PullRequestJson } from "../../src/client.ts";
import { Icon } from "../parts/icon.tsx";
import { webAddress } from "../text/markdown.ts";
import { plainLine } from "../text/plain.ts";
import { counted } from "../words.ts";

type Check = PullRequestJson["checks"][number];

const looks = {
  passed: { tone: "good", icon: "check", word: "passed" },
  failed: { tone: "bad", icon: "cross", word: "failed" },
  pending: { tone: "busy", icon: "running", word: "running" },
  neutral: { tone: "quiet", icon: "check", word: "neutral" },
} as const;

const order = ["failed", "pending", "passed", "neutral"] as const;

/** How the checks stand, in one line; each of them behind it, open where one has failed. */
export function CheckList({ pullRequest: { checks, checksState } }: { pullRequest: PullRequestJson }) {
  const sums = order
    .map((state) => ({ state, count: checks.filter((check) => check.state === state).length }))
    .filter(({ count }) => count > 0);
  return (
    <details open={checksState === "failed"}>
      <summary>
        {counted(checks.length, "check")}:{" "}
        {sums.map(({ state, count }) => (
          <span key={state} class={`state ${looks[state].tone}`}>
            <Icon name={looks[state].icon} /> {count} {looks[state].word}{" "}
          </span>
        ))}
      </summary>
      <ul class="checks">
        {checks.map((check) => (
          <li key={check.id}>
            <CheckRow {...check} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function CheckRow({ name, state, webUrl }: Check) {
  const { tone, icon, word } = looks[state];
  const href = webAddress(webUrl);
  return (
    <>
      <span class={`state ${tone}`}>
        <Icon name={icon} /> {word}
      </span>{" "}
      {href === undefined ? (
        plainLine(name)
      ) : (
        <a href={href} target="_blank" rel="noopener noreferrer">
          {plainLine(name)}
        </a>
      )}
    </>
  );
}
