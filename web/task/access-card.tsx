import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { AccessRequestJson } from "../../src/client.ts";
import { authorityText, decisionInWords, reasonInWords } from "../../src/domain/access-words.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useAction } from "../parts/hooks.ts";
import { states } from "../states.ts";
import { plainLine } from "../text/plain.ts";
import { counted, timeAgo } from "../words.ts";
import { type AccessRequests, isPending } from "./access-requests.ts";

/** All requests of a task, those that wait first. */
export function AccessList({ requests }: { requests: AccessRequests }) {
  const all = requests.all.value;
  if (all.length === 0) return null;
  const waiting = all.filter(isPending).length;
  return (
    <section class={waiting > 0 ? "card ask access" : "card access"} aria-labelledby="access-title">
      <h2 id="access-title">
        {waiting > 0 ? `${counted(waiting, "host")} to decide on` : "Hosts that were asked for"}
      </h2>
      <ul>
        {all.map((request) => (
          <li key={request.id}>
            <AccessRow request={request} onDecided={requests.refresh} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** One request: what is asked for and why, and what a person can decide, or has decided and may change. */
export function AccessRow({ request, onDecided }: { request: AccessRequestJson; onDecided: () => void }) {
  const { now } = useAppliance();
  const changing = useSignal(false);
  const row = useRef<HTMLDivElement>(null);
  const decided = decisionInWords(request);
  const done = () => {
    changing.value = false;
    // The buttons go away, and whoever uses the keyboard stays here.
    row.current?.focus();
    onDecided();
  };
  return (
    <div class="access-row" ref={row} tabIndex={-1}>
      <div class="access-what">
        <code class="access-host">{plainLine(authorityText(request))}</code>
        <span class="dim">
          {reasonInWords(request.reason)} · refused {request.count === 1 ? "once" : `${request.count} times`},{" "}
          {timeAgo(request.lastAt, now.value)}
        </span>
      </div>
      {decided !== undefined && (
        <span class={`access-done ${tones[request.state]}`}>
          {plainLine(decided)}
          {request.decidedAt !== undefined && `, ${timeAgo(request.decidedAt, now.value)}`}{" "}
          <button
            type="button"
            class="link"
            aria-label={`Change the decision on ${plainLine(authorityText(request))}`}
            aria-expanded={changing.value}
            onClick={() => (changing.value = !changing.value)}
          >
            Change
          </button>
        </span>
      )}
      {(decided === undefined || changing.value) && <Decide request={request} onDecided={done} />}
    </div>
  );
}

const tones = {
  pending: "",
  granted: "good",
  "granted-once": "good",
  used: "good",
  denied: "bad",
  expired: "dim",
} as const satisfies Record<AccessRequestJson["state"], string>;

function Decide({ request, onDecided }: { request: AccessRequestJson; onDecided: () => void }) {
  const { client } = useAppliance();
  const target = plainLine(authorityText(request));
  const environment = plainLine(request.environment);
  const decide = useAction(async (decision: "once" | "task" | "environment" | "deny") => {
    const param = { id: String(request.id) };
    await client.read(client.api["access-requests"][":id"].$post({ param, json: { decision } }));
    onDecided();
  });
  const choices = [
    { decision: "once", word: "Once", label: `Allow ${target} once` },
    { decision: "task", word: "This task", label: `Allow ${target} for this task` },
    {
      decision: "environment",
      word: `Environment ${environment}`,
      label: `Allow ${target} for the environment ${environment}`,
    },
    { decision: "deny", word: "Deny", label: `Deny ${target}` },
  ] as const;
  // For a task that has ended nothing but its environment can be given leave.
  const open = states[request.taskState].ended
    ? choices.filter(({ decision }) => decision === "environment")
    : choices;
  return (
    <div class="access-choices">
      {open.map(({ decision, word, label }) => (
        <button
          key={decision}
          type="button"
          class={decision === "deny" ? "small danger" : "small"}
          aria-label={label}
          title={label}
          disabled={decide.busy.value}
          onClick={() => void decide.run(decision)}
        >
          {word}
        </button>
      ))}
      <FailureNote failure={decide.failure.value} />
    </div>
  );
}
