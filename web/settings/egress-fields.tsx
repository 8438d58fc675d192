import type { Signal } from "@preact/signals";
import type { AccessLevel } from "../../src/domain/environment.ts";
import { Field } from "../parts/controls.tsx";
import { AccessField } from "./access-field.tsx";
import { CredentialField } from "./credential-field.tsx";
import type { EgressDraft, EgressProblem } from "./egress-edit.ts";
import { GroupField } from "./group-field.tsx";
import { LinesField } from "./lines-field.tsx";
import { SecretField } from "./secret-field.tsx";

const limits = [
  { limit: "uploadBytes", label: "Upload, whole task", mode: "text" },
  { limit: "requestBytes", label: "Upload, one request", mode: "text" },
  { limit: "requestsPerMinute", label: "Requests a minute", mode: "numeric" },
  { limit: "connections", label: "Connections at once", mode: "numeric" },
  { limit: "namesPerMinute", label: "New names a minute", mode: "numeric" },
] as const;

/** Where sandboxes of an environment may connect, and with what. What has no effect at a level is not shown, and stays. */
export function EgressFields(props: {
  access: Signal<AccessLevel>;
  draft: Signal<EgressDraft>;
  secrets: readonly string[];
  problems: readonly EgressProblem[];
}) {
  const { access, draft, problems } = props;
  const set = (change: Partial<EgressDraft>) => (draft.value = { ...draft.value, ...change });
  const { allow, deny, groupsOff, credentials, secrets } = draft.value;
  return (
    <>
      <AccessField level={access.value} onChoose={(level) => (access.value = level)} />
      {access.value === "limited" && (
        <GroupField off={groupsOff} onChange={(off) => set({ groupsOff: off })} />
      )}
      {access.value !== "none" && (
        <>
          <LinesField
            label={
              access.value === "custom" ? "Rules: what may be reached" : "Rules: what may be reached as well"
            }
            hint="One a line: a host, *.name for all below it, or *. Options after it: port=8443, methods=GET,POST, path=/prefix, write, inspect, no-inspect, raw."
            placeholder={"registry.example.com\n*.example.org path=/api write"}
            text={allow}
            problems={problems.filter((problem) => problem.field === "allow")}
            leads={problems[0]?.field === "allow"}
            onInput={(text) => set({ allow: text })}
          />
          <LinesField
            label="Never to be reached"
            hint="One host a line. It wins over everything else."
            placeholder="pastebin.com"
            text={deny}
            problems={problems.filter((problem) => problem.field === "deny")}
            leads={problems[0]?.field === "deny"}
            onInput={(text) => set({ deny: text })}
          />
          <SecretField
            present={props.secrets}
            edits={secrets}
            onChange={(edits) => set({ secrets: edits })}
          />
          <CredentialField
            credentials={credentials}
            problems={problems.filter((problem) => problem.field === "credentials")}
            onChange={(changed) => set({ credentials: changed })}
          />
          <fieldset>
            <legend class="field-label">Limits of one sandbox's traffic</legend>
            <div class="choices limits">
              {limits.map(({ limit, label, mode }) => (
                <Field key={limit} label={label}>
                  <input
                    type="text"
                    inputMode={mode}
                    required
                    pattern={mode === "numeric" ? "[0-9]+" : undefined}
                    placeholder={mode === "text" ? "500MiB" : ""}
                    value={draft.value.limits[limit]}
                    onInput={(event) =>
                      set({ limits: { ...draft.value.limits, [limit]: event.currentTarget.value } })
                    }
                  />
                </Field>
              ))}
            </div>
          </fieldset>
        </>
      )}
    </>
  );
}
