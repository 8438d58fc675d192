import type { EnvironmentCredential } from "../../src/domain/environment-egress.ts";
import { Field } from "../parts/controls.tsx";
import { plain } from "../text/plain.ts";

const parts = [
  { part: "host", label: "Host", placeholder: "api.example.com" },
  { part: "header", label: "Header", placeholder: "Authorization" },
  { part: "template", label: "Value", placeholder: `Bearer \${NAME}` },
] as const;

/** Headers that the proxy adds on the way to one host, each from a secret. */
export function CredentialField(props: {
  credentials: readonly EnvironmentCredential[];
  problems: readonly { index: number; why: string }[];
  onChange: (credentials: readonly EnvironmentCredential[]) => void;
}) {
  const { credentials, problems, onChange } = props;
  const problemAt = (index: number) => problems.find((problem) => problem.index === index);
  return (
    <fieldset>
      <legend class="field-label">Injected credentials</legend>
      <p class="dim">
        The proxy adds the header to requests for that host, so that the sandbox never holds the secret.{" "}
        <code>{`\${NAME}`}</code> stands for the secret of that name.
      </p>
      {credentials.map((credential, index) => (
        <div class="choices credential" key={index}>
          {parts.map(({ part, label, placeholder }) => (
            <Field key={part} label={label}>
              <input
                type="text"
                required
                placeholder={placeholder}
                autocomplete="off"
                autocapitalize="none"
                spellcheck={false}
                aria-invalid={problemAt(index) !== undefined}
                value={credential[part]}
                onInput={(event) => {
                  const changed = { ...credential, [part]: event.currentTarget.value };
                  onChange(credentials.map((each, place) => (place === index ? changed : each)));
                }}
              />
            </Field>
          ))}
          <button
            type="button"
            class="small"
            aria-label={`Remove the credential for ${credential.host === "" ? "a new host" : credential.host}`}
            onClick={() => onChange(credentials.filter((_, place) => place !== index))}
          >
            Remove
          </button>
          <CredentialProblem problem={problemAt(index)} />
        </div>
      ))}
      <button
        type="button"
        class="small"
        onClick={() => onChange([...credentials, { host: "", header: "Authorization", template: "" }])}
      >
        Add a credential
      </button>
    </fieldset>
  );
}

function CredentialProblem({ problem }: { problem: { why: string } | undefined }) {
  return problem === undefined ? null : <strong class="bad-text">{plain(problem.why)}.</strong>;
}
