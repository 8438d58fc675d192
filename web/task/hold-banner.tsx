import type { TaskJson } from "../../src/client.ts";
import { pauseParts } from "../../src/domain/steering-words.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useAction } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plain } from "../text/plain.ts";
import { atTime, counted } from "../words.ts";

/** Why a task does not go on by itself, until when, and the word that lets it. */
export function HoldBanner(props: { task: TaskJson; waiting: number; onChanged: () => void }) {
  const { task, waiting, onChanged } = props;
  const { client, now } = useAppliance();
  const resume = useAction(async () => {
    await client.read(client.api.tasks[":id"].resume.$post({ param: { id: task.id } }));
    onChanged();
  });
  const { paused, held } = task;
  const pause = paused && pauseParts(paused);
  // A queue that is held and empty holds nothing up: the next prompt goes first.
  if (paused === undefined && !(held && waiting > 0)) return null;
  return (
    <div class="note ask hold" role="status">
      <Icon name="paused" />
      <div>
        {pause === undefined ? (
          <p>
            <strong>Interrupted.</strong> {counted(waiting, "prompt")} {waiting === 1 ? "waits" : "wait"} for
            your word. A new prompt goes first.
          </p>
        ) : (
          <p>
            <strong>{pause.kind}.</strong> {plain([pause.more, paused?.hint].join(" ").trim())}
          </p>
        )}
        {paused?.until !== undefined && <p>It goes on by itself {atTime(paused.until, now.value)}.</p>}
        <FailureNote failure={resume.failure.value} />
      </div>
      <button type="button" class="small" disabled={resume.busy.value} onClick={() => void resume.run()}>
        Go on
      </button>
    </div>
  );
}
