import { parseBytes } from "../domain/amounts.ts";
import type { accessLevels } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { readTextFile } from "./prompt-text.ts";

export interface EnvironmentFlags {
  image?: string;
  var?: string[];
  varsFile?: string;
  setupFile?: string;
  memory?: string;
  cpus?: number;
  pids?: number;
  minutes?: number;
  access?: (typeof accessLevels)[number];
  unset?: string[];
}

/** What is to change; what is left out stays as it is, and a variable of null goes. */
export interface EnvironmentEdit {
  image?: string;
  access?: (typeof accessLevels)[number];
  setupScript?: string;
  limits?: { memoryBytes?: number; cpus?: number; pids?: number; minutes?: number };
  variables?: Record<string, string | null>;
}

const maxFileBytes = 4 * 1024 * 1024;

/** The options of `env add` and `env edit` as a change. The server checks the values themselves. */
export async function editOf(flags: EnvironmentFlags): Promise<EnvironmentEdit> {
  const variables: Record<string, string | null> = {
    ...(flags.varsFile === undefined
      ? {}
      : await parseVariables(await readTextFile(flags.varsFile, maxFileBytes))),
    ...Object.fromEntries((flags.var ?? []).map(keyAndValue)),
    ...Object.fromEntries((flags.unset ?? []).map((key) => [key, null])),
  };
  const limits = {
    ...(flags.memory !== undefined && { memoryBytes: memoryBytes(flags.memory) }),
    ...(flags.cpus !== undefined && { cpus: coreCount(flags.cpus) }),
    ...(flags.pids !== undefined && { pids: flags.pids }),
    ...(flags.minutes !== undefined && { minutes: flags.minutes }),
  };
  return {
    ...(flags.image !== undefined && { image: flags.image }),
    ...(flags.access !== undefined && { access: flags.access }),
    ...(flags.setupFile !== undefined && { setupScript: await readTextFile(flags.setupFile, maxFileBytes) }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(Object.keys(variables).length > 0 && { variables }),
  };
}

/** Variables in `.env` format. */
async function parseVariables(text: string): Promise<Record<string, string>> {
  const { parse } = await import("dotenv");
  return parse(text);
}

function keyAndValue(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) {
    // The text may be a secret that lost its name: it is not repeated.
    throw new CcwError("invalid", "A variable is given without a name.", "Write --var NAME=VALUE.");
  }
  return [text.slice(0, equals), text.slice(equals + 1)];
}

export function memoryBytes(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(text)} is not a size.`,
      "Write it such as 4GiB or 512MiB.",
    );
  }
  return bytes;
}

function coreCount(cpus: number): number {
  if (Number.isFinite(cpus)) return cpus;
  throw new CcwError("invalid", "--cpus takes a number, such as 2 or 0.5.");
}
