import { type Signal, useSignal } from "@preact/signals";
import type { ChannelKind } from "../../src/domain/notification.ts";
import { useAppliance } from "../appliance.ts";
import { Field, SecretInput } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction, useDraft } from "../parts/hooks.ts";

const places: Record<ChannelKind, { label: string; type: "url" | "email"; placeholder: string }> = {
  ntfy: { label: "The topic's address", type: "url", placeholder: "https://ntfy.example/my-topic" },
  webhook: { label: "Its address", type: "url", placeholder: "https://hooks.example/ccw" },
  email: { label: "Address", type: "email", placeholder: "ada@example.com" },
};

/** Adds a channel. `email`: whether the appliance sends mail at all. */
export function ChannelForm({
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
    <form class="form" onSubmit={submitting(add)}>
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
            <SecretInput secret={token} placeholder="empty where the topic needs none" />
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
