import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "smol-toml";
import { z } from "zod";
import { bytesText } from "../domain/amounts.ts";
import { accessLevels, type SandboxLimits } from "../domain/environment.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import { type EnvironmentEdit, memoryBytes } from "./environment-flags.ts";

interface ShownEnvironment {
  name: string;
  image: string;
  access: (typeof accessLevels)[number];
  variables: string[];
  setupScript: string;
  limits: SandboxLimits;
}

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

export function toToml({ name, image, access, variables, setupScript, limits }: ShownEnvironment): string {
  return `# The environment ${name}. Saved and closed, it is changed; left as it is, nothing happens.

${stringify({ image, access })}
${scriptToml(setupScript)}

[limits]
${stringify({ memory: bytesText(limits.memoryBytes), cpus: limits.cpus, pids: limits.pids, minutes: limits.minutes })}
# Values are not shown again. Set now: ${variables.length === 0 ? "none" : variables.join(", ")}.
# NAME = "value" sets one, NAME = false removes it.
[variables]
`;
}

/** A literal string over several lines, which needs no escapes, where the script allows it (TOML 1.0). */
function scriptToml(script: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: TOML forbids them in literal strings
  const plain = !script.includes("'''") && !script.endsWith("'") && !/[\x00-\x08\x0b-\x1f\x7f]/.test(script);
  return plain && script !== ""
    ? `setup_script = '''\n${script}'''`
    : stringify({ setup_script: script }).trimEnd();
}

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
    })
    .default({}),
  variables: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
});

export function fromToml(text: string): EnvironmentEdit {
  const { image, access, setup_script, limits, variables } = parsed(text);
  const { memory, cpus, pids, minutes } = limits;
  return {
    ...(image !== undefined && { image }),
    ...(access !== undefined && { access }),
    ...(setup_script !== undefined && { setupScript: setup_script }),
    limits: {
      ...(memory !== undefined && { memoryBytes: memoryBytes(memory) }),
      ...(cpus !== undefined && { cpus }),
      ...(pids !== undefined && { pids }),
      ...(minutes !== undefined && { minutes }),
    },
    variables: Object.fromEntries(
      Object.entries(variables).map(([key, value]) => [key, value === false ? null : String(value)]),
    ),
  };
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
