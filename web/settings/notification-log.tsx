import { headlineOf } from "../../src/domain/notification.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { Link } from "../router.tsx";
import { plainLine } from "../text/plain.ts";
import { timeAgo } from "../words.ts";

const shown = "30";
const states = {
  pending: { word: "Waiting", tone: "ask" },
  sent: { word: "Sent", tone: "good" },
  failed: { word: "Not sent", tone: "bad" },
} as const;

/** What was sent lately, and what became of it. `round`: loads again when it changes. */
export function NotificationLog({ round }: { round: number }) {
  const { client, now } = useAppliance();
  const { state, reload } = useLoaded(
    () => client.read(client.api.notifications.log.$get({ query: { limit: shown } })),
    [round],
  );
  const loaded = state.value;
  return (
    <details class="delivery-log">
      <summary>What was sent</summary>
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && loaded.value.length === 0 && <p class="dim">Nothing yet.</p>}
      {loaded.kind === "loaded" && (
        <ul class="rows">
          {loaded.value.map(({ id, kind, title, taskId, at, state, attempts, error }) => (
            <li key={id} class="row">
              <div>
                {taskId === undefined ? (
                  <span>Test</span>
                ) : (
                  <Link to={`/tasks/${taskId}`}>{headlineOf({ kind, title })}</Link>
                )}{" "}
                <span class="dim">
                  {timeAgo(at, now.value)}
                  {attempts > 1 && `, ${attempts} tries`}
                  {error !== "" && ` · ${plainLine(error)}`}
                </span>
              </div>
              <span class={`chip ${states[state].tone}`}>{states[state].word}</span>
            </li>
          ))}
        </ul>
      )}
      <button type="button" class="small" onClick={reload}>
        Look again
      </button>
    </details>
  );
}
