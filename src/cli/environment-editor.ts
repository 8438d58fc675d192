import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "smol-toml";
import { z } from "zod";
import { bytesText } from "../domain/amounts.ts";
import { accessLevels } from "../domain/environment.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import { credentialText, parseCredential, sizeOf } from "./egress-flags.ts";
import type { EnvironmentEdit } from "./environment-flags.ts";
import type { ShownEnvironment } from "./environment-show.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** Lets the person edit the environment as a file of their own. Undefined where they changed nothing. */
export async function editInEditor(
  before: ShownEnvironment,
  env: Variables,
): Promise<EnvironmentEdit | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "ccw-env-"));
  try {
    await chmod(folder, 0o700);
    const path = join(folder, `${before.name}.toml`);
    const text = toToml(before);
    await writeFile(path, text, { mode: 0o600 });
    await runEditor(env["VISUAL"] || env["EDITOR"] || "vi", path);
    const after = await readFile(path, "utf8");
    return after === text || after.trim() === "" ? undefined : fromToml(after);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runEditor(editor: string, path: string): Promise<void> {
  // Through the shell, as git does it: EDITOR may have arguments of its own.
  const child = Bun.spawn(["sh", "-c", `${editor} "$1"`, "sh", path], {
    stdio: ["inherit", "inherit", "inherit"],
  });
  const code = await child.exited;
  if (code !== 0) {
    throw new CcwError(
      "invalid",
      `The editor (${editor}) ended with exit code ${code}, so nothing was changed.`,
      "Set EDITOR.",
    );
  }
}

export function toToml(shown: ShownEnvironment): string {
  const { name, image, access, variables, setupScript, limits, egress, secrets } = shown;
  const { uploadBytes, requestBytes, ...rates } = egress.limits;
  return `# The environment ${name}. Saved and closed, it is changed; left as it is, nothing happens.

${stringify({ image, access })}
${scriptToml(setupScript)}

[limits]
${stringify({ memory: sizeText(limits.memoryBytes), cpus: limits.cpus, pids: limits.pids, minutes: limits.minutes })}
# Of one task, in effect at once: turns, tokens of all kinds, US dollars. 0 is no limit.
${stringify({ turns: limits.turns, tokens: limits.tokens, usd: limits.usd })}
# What a sandbox may reach, in effect at once. allow: "HOST [port=N] [methods=GET] [path=/x] [write]", deny: "HOST",
# credentials: "HOST HEADER: Bearer \${SECRET}". \`ccw-server env groups\` lists the groups of the default list.
[egress]
${listToml("allow", egress.allow)}
${listToml("deny", egress.deny)}
${listToml("groups_off", egress.groupsOff)}
${listToml("credentials", egress.credentials.map(credentialText))}

[egress.limits]
${stringify({
  upload_budget: sizeText(uploadBytes),
  request_size: sizeText(requestBytes),
  requests_per_minute: rates.requestsPerMinute,
  connections: rates.connections,
  names_per_minute: rates.namesPerMinute,
})}
# Values are not shown again. NAME = "value" sets one, NAME = false removes it.
# For credentials; no sandbox sees one. Set now: ${secrets.length === 0 ? "none" : secrets.join(", ")}.
[secrets]

# For the set-up script and the agent. Set now: ${variables.length === 0 ? "none" : variables.join(", ")}.
[variables]
`;
}

/** As it is typed, and exactly: what is not touched must come back the same. */
function sizeText(bytes: number): string {
  const text = bytesText(bytes);
  return sizeOf(text) === bytes ? text : String(bytes);
}

/** One a line, so that one is easily added or taken out. */
function listToml(name: string, lines: readonly string[]): string {
  return lines.length === 0
    ? `${name} = []`
    : `${name} = [\n${lines.map((line) => `  ${JSON.stringify(line)},\n`).join("")}]`;
}

/** A literal string over several lines, which needs no escapes, where the script allows it (TOML 1.0). */
function scriptToml(script: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: TOML forbids them in literal strings
  const plain = !script.includes("'''") && !script.endsWith("'") && !/[\x00-\x08\x0b-\x1f\x7f]/.test(script);
  return plain && script !== ""
    ? `setup_script = '''\n${script}'''`
    : stringify({ setup_script: script }).trimEnd();
}

const values = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({});

const fileSchema = z.strictObject({
  image: z.string().optional(),
  access: z.enum(accessLevels).optional(),
  setup_script: z.string().optional(),
  limits: z
    .strictObject({
      memory: z.string().optional(),
      cpus: z.number().optional(),
      pids: z.number().optional(),
      minutes: z.number().optional(),
      turns: z.number().optional(),
      tokens: z.number().optional(),
      usd: z.number().optional(),
    })
    .default({}),
  egress: z
    .strictObject({
      allow: z.array(z.string()).optional(),
      deny: z.array(z.string()).optional(),
      groups_off: z.array(z.string()).optional(),
      credentials: z.array(z.string()).optional(),
      limits: z
        .strictObject({
          upload_budget: z.string().optional(),
          request_size: z.string().optional(),
          requests_per_minute: z.number().optional(),
          connections: z.number().optional(),
          names_per_minute: z.number().optional(),
        })
        .default({}),
    })
    .prefault({}),
  variables: values,
  secrets: values,
});

export function fromToml(text: string): EnvironmentEdit {
  const { image, access, setup_script, limits, egress, variables, secrets } = parsed(text);
  const { memory, cpus, pids, minutes, turns, tokens, usd } = limits;
  return {
    ...(image !== undefined && { image }),
    ...(access !== undefined && { access }),
    ...(setup_script !== undefined && { setupScript: setup_script }),
    limits: {
      ...(memory !== undefined && { memoryBytes: sizeOf(memory) }),
      ...(cpus !== undefined && { cpus }),
      ...(pids !== undefined && { pids }),
      ...(minutes !== undefined && { minutes }),
      ...(turns !== undefined && { turns }),
      ...(tokens !== undefined && { tokens }),
      ...(usd !== undefined && { usd }),
    },
    egress: egressEdit(egress),
    variables: valuesEdit(variables),
    secrets: valuesEdit(secrets),
  };
}

/** Lists stand in the file as a whole: a line that was taken out is gone. */
function egressEdit({ allow, deny, groups_off, credentials, limits }: z.infer<typeof fileSchema>["egress"]) {
  const { upload_budget, request_size, requests_per_minute, connections, names_per_minute } = limits;
  return {
    ...(allow !== undefined && { allow }),
    ...(deny !== undefined && { deny }),
    ...(groups_off !== undefined && { groupsOff: groups_off }),
    ...(credentials !== undefined && { credentials: credentials.map(parseCredential) }),
    limits: {
      ...(upload_budget !== undefined && { uploadBytes: sizeOf(upload_budget) }),
      ...(request_size !== undefined && { requestBytes: sizeOf(request_size) }),
      ...(requests_per_minute !== undefined && { requestsPerMinute: requests_per_minute }),
      ...(connections !== undefined && { connections }),
      ...(names_per_minute !== undefined && { namesPerMinute: names_per_minute }),
    },
  };
}

function valuesEdit(
  values: Readonly<Record<string, string | number | boolean>>,
): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, value === false ? null : String(value)]),
  );
}

function parsed(text: string): z.infer<typeof fileSchema> {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new CcwError("invalid", `The file is not TOML: ${messageOf(cause)}`, "Nothing was changed.", {
      cause,
    });
  }
  const checked = fileSchema.safeParse(value);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new CcwError(
    "invalid",
    `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
    "Nothing was changed.",
  );
}
