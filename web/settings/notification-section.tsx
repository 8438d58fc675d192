import { useSignal } from "@preact/signals";
import { type ChannelKind, notificationKinds } from "../../src/domain/notification.ts";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton, Copyable } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useLoaded } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plainLine } from "../text/plain.ts";
import { BrowserNotices } from "./browser-notices-field.tsx";
import { ChannelForm } from "./channel-form.tsx";
import { NotificationLog } from "./notification-log.tsx";

type Kind = (typeof notificationKinds)[number];

const kindWords: Record<Kind, string> = {
  done: "Done",
  failed: "Failed",
  question: "Question",
  paused: "Paused",
  access: "Access asked for",
  pull_request: "Pull request opened",
  checks_failed: "Checks failed",
  schedule_paused: "Schedule paused after failures",
};
const channelWords: Record<Channel["kind"], string> = { ntfy: "ntfy", webhook: "Webhook", email: "E-mail" };

interface Channel {
  id: number;
  kind: ChannelKind;
  target: string;
  kinds: Kind[];
  on: boolean;
  trouble: string;
}

/** How the signed-in person is told what became of their tasks. */
export function NotificationSection() {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(() => client.read(client.api.notifications.channels.$get()), []);
  const logRound = useSignal(0);
  const made = useSignal<{ target: string; secret: string } | undefined>(undefined);
  const loaded = state.value;
  return (
    <section aria-labelledby="notifications">
      <h2 id="notifications">Notifications</h2>
      <p class="dim">
        What became of your tasks, told where you are. A notification has the task's title, the reason and a
        link; nothing else of the transcript.
      </p>
      <BrowserNotices />
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {made.value !== undefined && (
        <div class="note good" role="status">
          <div>
            <p>
              The secret of <strong>{plainLine(made.value.target)}</strong>, which signs what is sent there.
              It is shown this once: copy it now.
            </p>
            <Copyable label="the secret" text={made.value.secret} />
          </div>
        </div>
      )}
      {loaded.kind === "loaded" && (
        <>
          <ul class="rows">
            {loaded.value.channels.map((channel) => (
              <ChannelRow
                key={channel.id}
                channel={channel}
                changed={reload}
                tested={() => {
                  logRound.value += 1;
                }}
              />
            ))}
          </ul>
          <ChannelForm
            email={loaded.value.email}
            done={(target, secret) => {
              made.value = secret === undefined ? undefined : { target, secret };
              reload();
            }}
          />
          {loaded.value.channels.length > 0 && <NotificationLog round={logRound.value} />}
        </>
      )}
    </section>
  );
}

function ChannelRow(props: { channel: Channel; changed: () => void; tested: () => void }) {
  const { client } = useAppliance();
  const { id, kind, target, kinds, on, trouble } = props.channel;
  const param = { id: String(id) };
  const said = useSignal<{ sent: boolean; error: string } | undefined>(undefined);
  const one = client.api.notifications.channels[":id"];
  const test = useAction(async () => {
    said.value = undefined;
    said.value = await client.read(one.test.$post({ param }));
    props.tested();
  });
  const change = useAction(async () => {
    await client.read(one.$patch({ param, json: { on: !on } }));
    props.changed();
  });
  const chosen = useSignal(kinds);
  const choose = useAction(async (next: Kind[]) => {
    const before = chosen.value;
    chosen.value = next;
    try {
      await client.read(one.$patch({ param, json: { kinds: next } }));
    } catch (thrown) {
      chosen.value = before;
      throw thrown;
    }
  });
  const remove = useAction(async () => {
    await client.read(one.$delete({ param }));
    props.changed();
  });
  return (
    <li class="channel">
      <div class="row">
        <div>
          <strong>{channelWords[kind]}</strong> <span class="dim">{plainLine(target)}</span>
          {!on && <span class="chip bad">Off</span>}
        </div>
        <div class="actions">
          <button type="button" class="small" disabled={test.busy.value} onClick={() => void test.run()}>
            {test.busy.value ? "Sending…" : "Send a test"}
          </button>
          <button type="button" class="small" disabled={change.busy.value} onClick={() => void change.run()}>
            {on ? "Switch off" : "Switch on"}
          </button>
          <ConfirmButton
            label="Remove"
            question={`Remove ${channelWords[kind]}?`}
            yes="Yes, remove"
            onConfirm={() => void remove.run()}
          />
        </div>
      </div>
      {!on && trouble !== "" && <p class="dim">{plainLine(trouble)}</p>}
      <KindChoice
        legend={`What ${channelWords[kind]} tells`}
        kinds={chosen.value}
        disabled={choose.busy.value}
        onChange={(next) => void choose.run(next)}
      />
      <FailureNote
        failure={test.failure.value ?? change.failure.value ?? choose.failure.value ?? remove.failure.value}
      />
      {said.value !== undefined && (
        <div class={said.value.sent ? "note good" : "note bad"} role="status">
          <Icon name={said.value.sent ? "check" : "warning"} />
          <p>
            {said.value.sent
              ? "The test was taken."
              : `The test was not taken. ${plainLine(said.value.error)}`}
          </p>
        </div>
      )}
    </li>
  );
}

function KindChoice(props: {
  legend: string;
  kinds: readonly Kind[];
  disabled: boolean;
  onChange: (kinds: Kind[]) => void;
}) {
  const { kinds } = props;
  return (
    <fieldset class="inline" disabled={props.disabled} aria-label={props.legend}>
      {notificationKinds.map((kind) => (
        <label key={kind}>
          <input
            type="checkbox"
            checked={kinds.includes(kind)}
            // The last one stays: a channel that tells nothing is one that is off.
            disabled={kinds.length === 1 && kinds.includes(kind)}
            onChange={({ currentTarget: { checked } }) =>
              props.onChange(
                notificationKinds.filter((each) => (each === kind ? checked : kinds.includes(each))),
              )
            }
          />{" "}
          {kindWords[kind]}
        </label>
      ))}
    </fieldset>
  );
}
