import { type Signal, useSignal } from "@preact/signals";
import { notificationKinds } from "../../src/domain/notification.ts";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton, Copyable, Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useDraft, useLoaded } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plainLine } from "../text/plain.ts";
import { BrowserNotices } from "./browser-notices-field.tsx";
import { NotificationLog } from "./notification-log.tsx";

type Kind = (typeof notificationKinds)[number];
type ChannelKind = "ntfy" | "webhook" | "email";

const kindWords: Record<Kind, string> = {
  done: "Done",
  failed: "Failed",
  question: "Question",
  paused: "Paused",
  access: "Access asked for",
  pull_request: "Pull request opened",
  checks_failed: "Checks failed",
};
const channelWords: Record<ChannelKind, string> = { ntfy: "ntfy", webhook: "Webhook", email: "E-mail" };

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

const places: Record<ChannelKind, { label: string; type: "url" | "email"; placeholder: string }> = {
  ntfy: { label: "The topic's address", type: "url", placeholder: "https://ntfy.example/my-topic" },
  webhook: { label: "Its address", type: "url", placeholder: "https://hooks.example/ccw" },
  email: { label: "Address", type: "email", placeholder: "ada@example.com" },
};

function ChannelForm({
  email,
  done,
}: {
  email: boolean;
  done: (target: string, secret: string | undefined) => void;
}) {
  const { client } = useAppliance();
  const kind = useSignal<ChannelKind>("ntfy");
  const place = useDraft("notification-place");
  // A token is no draft: it stays out of the browser's storage.
  const token = useSignal("");
  const add = useAction(async () => {
    const url = place.value.trim();
    const json =
      kind.value === "email"
        ? { kind: "email" as const, address: url }
        : kind.value === "ntfy"
          ? { kind: "ntfy" as const, url, token: token.value.trim() }
          : { kind: "webhook" as const, url };
    const made = await client.read(client.api.notifications.channels.$post({ json }));
    token.value = "";
    place.value = "";
    done(made.channel.target, made.secret);
  });
  const { label, type, placeholder } = places[kind.value];
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void add.run();
      }}
    >
      <h3>Add a channel</h3>
      <div class="choices">
        <Field label="Kind of channel">
          <select
            value={kind.value}
            onChange={({ currentTarget: { value } }) => {
              kind.value = value === "webhook" || value === "email" ? value : "ntfy";
            }}
          >
            <option value="ntfy">ntfy</option>
            <option value="webhook">Webhook</option>
            <option value="email" disabled={!email}>
              E-mail{email ? "" : ", no mail server is set up"}
            </option>
          </select>
        </Field>
        <Field label={label}>
          <PlaceInput type={type} placeholder={placeholder} place={place} />
        </Field>
        {kind.value === "ntfy" && (
          <Field label="Access token" hint="Kept encrypted on the appliance, and never shown again.">
            <input
              type="password"
              autocomplete="off"
              placeholder="empty where the topic needs none"
              value={token.value}
              onInput={(event) => (token.value = event.currentTarget.value)}
            />
          </Field>
        )}
      </div>
      <p class="dim">
        A server within your own network is reached where the operator lists its address in ccw.toml, under
        [notifications].
      </p>
      <FailureNote failure={add.failure.value} />
      <div class="actions">
        <button type="submit" class="primary" disabled={add.busy.value}>
          Add channel
        </button>
      </div>
    </form>
  );
}

/** The type of an input decides what its other attributes may be: it is chosen here, not computed. */
function PlaceInput(props: { type: "url" | "email"; placeholder: string; place: Signal<string> }) {
  const { type, placeholder, place } = props;
  const onInput = (event: { currentTarget: { value: string } }) => {
    place.value = event.currentTarget.value;
  };
  const rest = { required: true, placeholder, value: place.value, onInput };
  return type === "url" ? <input type="url" {...rest} /> : <input type="email" {...rest} />;
}
