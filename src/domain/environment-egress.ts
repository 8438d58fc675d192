import { z } from "zod";
import { bytesText } from "./amounts.ts";
import { defaultGroups } from "./default-allowlist.ts";
import { formatEgressRule, parseEgressRule } from "./egress-rule.ts";
import { type Host, type Parsed, parseHost } from "./host.ts";
import { formatHostPattern, parseHostPattern } from "./host-pattern.ts";
import { minSecretLength } from "./secret-names.ts";

/** What an environment says of egress, as it is kept: rules are canonical text, checked when they were saved. */

const GiB = 1024 ** 3;
const TiB = 1024 * GiB;

export const egressLimitsSchema = z.object({
  /** Of all requests and tunnels, over the sandbox's whole life. */
  uploadBytes: z
    .number()
    .int()
    .min(0)
    .max(1024 * TiB)
    .default(GiB),
  /** Of one request's body. */
  requestBytes: z
    .number()
    .int()
    .min(0)
    .max(TiB)
    .default(GiB / 4),
  requestsPerMinute: z.number().int().min(1).max(10_000_000).default(6000),
  /** Tunnels and requests under way at once. */
  connections: z.number().int().min(1).max(10_000).default(256),
  /** Distinct names that wildcards or Full access let, in any minute. */
  namesPerMinute: z.number().int().min(1).max(1_000_000).default(120),
});

/** A header that the proxy adds on the way to a host; the value comes from a secret, which no sandbox sees. */
export const credentialSchema = z.object({
  /** One exact host. */
  host: z.string().max(300),
  header: z.string().max(100),
  /** `Bearer ${NAME}`, with the name of a secret of this environment. */
  template: z.string().max(4000),
});
export type EnvironmentCredential = z.infer<typeof credentialSchema>;

const lines = z.array(z.string().max(2000)).max(1000, "is a list of at most 1000");

export const egressSchema = z.object({
  /** Rules, in addition to those of the access level: `HOST [port=N] [methods=GET] [path=/x] [write] …`. */
  allow: lines.default([]),
  /** Host patterns that are refused, whatever else allows them. */
  deny: lines.default([]),
  /** Groups of the default list that are switched off. */
  groupsOff: lines.default([]),
  credentials: z.array(credentialSchema).max(100).default([]),
  limits: egressLimitsSchema.default(egressLimitsSchema.parse({})),
});

/** The same, as a person types it: each line is checked, and becomes its canonical text. */
export const egressInputSchema = egressSchema.extend({
  allow: canonical(canonicalRule).default([]),
  deny: canonical(canonicalPattern).default([]),
  groupsOff: canonical(knownGroup).default([]),
  credentials: z.array(credentialSchema.transform(asCanonical)).max(100).default([]),
});

/** Values for credentials; no sandbox sees one. */
export const secretsSchema = z
  .record(
    z
      .string()
      .regex(
        /^[A-Za-z_][A-Za-z0-9_]{0,199}$/,
        "A secret's name has letters, digits and underscores, and starts with no digit.",
      ),
    z
      .string()
      .min(
        minSecretLength,
        `A secret has at least ${minSecretLength} characters: a shorter one would be found in honest requests.`,
      )
      .max(16 * 1024, `A secret has at most ${bytesText(16 * 1024)}.`)
      .regex(
        /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
        "A secret has printable ASCII characters alone and no space at its ends: it is sent in a header.",
      ),
  )
  .default({});

/** Where the appliance has credentials of its own, or another tenant's data is one path away. */
const neverInjected = [
  "anthropic.com",
  "bitbucket.org",
  "codeberg.org",
  "dev.azure.com",
  "gitea.com",
  "github.com",
  "githubusercontent.com",
  "gitlab.com",
  "sr.ht",
  "visualstudio.com",
];

/** Those that the proxy writes itself: RFC 9110, 7.6.1 (of one connection alone), and what frames a message. */
const ownHeaders =
  /^(?:connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;

const reference = /\$\{([^}]*)\}/g;

/** The name of the secret that a template takes; undefined where it is not exactly one. */
export function secretOf(template: string): string | undefined {
  const names = [...template.matchAll(reference)].map((match) => match[1]);
  return names.length === 1 ? names[0] : undefined;
}

/** As it is typed, and as it is kept: an IPv6 address with brackets or without. */
export function parseCredentialHost(text: string): Parsed<Host> {
  return parseHost(/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text) ? `[${text}]` : text);
}

/** What is wrong with a credential, and how to mend it; undefined where nothing is. */
export function whyNotInjected(
  { host, header, template }: EnvironmentCredential,
  secrets: readonly string[],
): string | undefined {
  const shown = `The credential for ${JSON.stringify(host)}`;
  const parsed = parseCredentialHost(host);
  if (!parsed.ok) return `${shown} is not for one exact host: ${parsed.why}`;
  const forge = neverInjected.find((each) => host === each || host.endsWith(`.${each}`));
  if (forge !== undefined) {
    return `${shown} is refused: nothing is injected for ${forge}, where anybody can publish, or which serves the model. The appliance itself speaks to forges and to the model`;
  }
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header))
    return `${shown} names no legal header: ${JSON.stringify(header)}`;
  if (ownHeaders.test(header)) return `${shown} cannot set ${header}: the proxy writes that header itself`;
  if (!/^[\x20-\x7e]*$/.test(template)) return `${shown} has a template with characters that no header takes`;
  const name = secretOf(template);
  if (name === undefined) return `${shown} takes exactly one secret: write it such as Bearer \${NAME}`;
  if (secrets.includes(name)) return undefined;
  return `${shown} takes the secret ${JSON.stringify(name)}, which this environment does not have. ${
    secrets.length === 0 ? "It has none: set it first" : `It has: ${secrets.join(", ")}`
  }`;
}

/** Lines that become canonical, each once; the message of a bad one says which line it is. */
function canonical(parse: (line: string) => Parsed<string>) {
  return lines.transform((list, context) => {
    const good = new Set<string>();
    for (const [index, line] of list.entries()) {
      if (line.trim() === "") continue;
      const parsed = parse(line.trim());
      if (parsed.ok) good.add(parsed.value);
      else
        context.addIssue({
          code: "custom",
          message: `line ${index + 1} (${JSON.stringify(line.slice(0, 200))}): ${parsed.why}`,
        });
    }
    return [...good];
  });
}

function canonicalRule(line: string): Parsed<string> {
  const parsed = parseEgressRule(line);
  return parsed.ok ? { ok: true, value: formatEgressRule(parsed.value) } : parsed;
}

function canonicalPattern(line: string): Parsed<string> {
  const parsed = parseHostPattern(line, "deny");
  return parsed.ok ? { ok: true, value: formatHostPattern(parsed.value) } : parsed;
}

function knownGroup(line: string): Parsed<string> {
  const known = defaultGroups.find(({ name }) => name.toLowerCase() === line.toLowerCase());
  return known === undefined
    ? {
        ok: false,
        why: `there is no such group. There are: ${defaultGroups.map(({ name }) => name).join(", ")}`,
      }
    : { ok: true, value: known.name };
}

function asCanonical(credential: EnvironmentCredential): EnvironmentCredential {
  const host = parseCredentialHost(credential.host);
  return host.ok ? { ...credential, host: host.value.text } : credential;
}
