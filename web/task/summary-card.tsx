import type { TaskJson } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { Copyable } from "../parts/controls.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { StateIcon } from "../parts/icon.tsx";
import { MarkdownView } from "../parts/markdown-view.tsx";
import { states } from "../states.ts";
import { plainLine } from "../text/plain.ts";
import { KeptWorkNote } from "./kept-work.tsx";

/** How the task ended, and how to get at the work. */
export function SummaryCard(props: { task: TaskJson; pushed: boolean; onPushed: () => void }) {
  const { task, pushed, onPushed } = props;
  const { client, status } = useAppliance();
  const { word, tone } = states[task.state];
  const base = status.value?.publicUrl ?? location.origin;
  const { state } = useLoaded(() => client.read(client.api.repositories.$get()), []);
  const known = state.value.kind === "loaded" ? state.value.value : [];
  const places = task.repositories.map(({ name, workBranch }) => {
    const found = known.find((each) => each.name === name);
    return {
      name,
      workBranch,
      hosted: found?.kind !== "remote",
      url: found?.url ?? `${base}/git/${name}.git`,
    };
  });
  return (
    <section class={`card ${tone}`} aria-label="Result">
      <h2 class={`state ${tone}`}>
        <StateIcon state={task.state} /> {word}
      </h2>
      {task.detail !== "" && <MarkdownView text={task.detail} />}
      {pushed &&
        places.map(({ name, workBranch, hosted, url }) => (
          <div class="take-along" key={name}>
            <p>In a checkout of {plainLine(name)}:</p>
            <Copyable label="the fetch command" text={`git fetch ${plainLine(url)} ${workBranch}`} />
            <p>Or a clone of its own:</p>
            <Copyable label="the clone command" text={`git clone -b ${workBranch} ${plainLine(url)}`} />
            {hosted && <p class="dim">Git asks for a password: an API token, made in Settings.</p>}
          </div>
        ))}
      {task.kept.length > 0 && <KeptWorkNote task={task} onPushed={onPushed} />}
      {!pushed && task.kept.length === 0 && task.repositories.length > 0 && (
        <p class="dim">Nothing was pushed.</p>
      )}
    </section>
  );
}
