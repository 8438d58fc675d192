import type { accessLevels } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { type EgressEdit, type EgressFlags, egressEditOf, sizeOf } from "./egress-flags.ts";
import { readTextFile } from "./prompt-text.ts";

export interface EnvironmentFlags extends EgressFlags {
  image?: string;
  var?: string[];
  varsFile?: string;
  setupFile?: string;
  memory?: string;
  cpus?: number;
  pids?: number;
  minutes?: number;
  turns?: number;
  tokens?: number;
  usd?: number;
  access?: (typeof accessLevels)[number];
  unset?: string[];
  secret?: string[];
  secretsFile?: string;
  unsetSecret?: string[];
}

/** What is to change; what is left out stays as it is, and a variable or secret of null goes. */
export interface EnvironmentEdit {
  image?: string;
  access?: (typeof accessLevels)[number];
  setupScript?: string;
  limits?: {
    memoryBytes?: number;
    cpus?: number;
    pids?: number;
    minutes?: number;
    turns?: number;
    tokens?: number;
    usd?: number;
  };
  variables?: Record<string, string | null>;
  secrets?: Record<string, string | null>;
  egress?: EgressEdit;
}

const maxFileBytes = 4 * 1024 * 1024;

/** The options of `env add` and `env edit` as a change. The server checks the values themselves. */
export async function editOf(flags: EnvironmentFlags): Promise<EnvironmentEdit> {
  const variables = await valuesOf("--var", flags.var, flags.varsFile, flags.unset);
  const secrets = await valuesOf("--secret", flags.secret, flags.secretsFile, flags.unsetSecret);
  const egress = egressEditOf(flags);
  const limits = {
    ...(flags.memory !== undefined && { memoryBytes: sizeOf(flags.memory) }),
    ...(flags.cpus !== undefined && { cpus: coreCount(flags.cpus) }),
    ...(flags.pids !== undefined && { pids: flags.pids }),
    ...(flags.minutes !== undefined && { minutes: flags.minutes }),
    ...(flags.turns !== undefined && { turns: flags.turns }),
    ...(flags.tokens !== undefined && { tokens: flags.tokens }),
    ...(flags.usd !== undefined && { usd: dollars(flags.usd) }),
  };
  return {
    ...(flags.image !== undefined && { image: flags.image }),
    ...(flags.access !== undefined && { access: flags.access }),
    ...(flags.setupFile !== undefined && { setupScript: await readTextFile(flags.setupFile, maxFileBytes) }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(Object.keys(variables).length > 0 && { variables }),
    ...(Object.keys(secrets).length > 0 && { secrets }),
    ...(egress !== undefined && { egress }),
  };
}

const flagOf = { allow: "--allow", deny: "--deny-host", groupsOff: "--groups-off" } as const;

/**
 * What the server says of a line in a list, in the words of whoever gave options: the option and its own value, of
 * which there is no line anywhere. Anything else is passed on as it is.
 */
export async function inWordsOfFlags<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    const message = thrown.message.replace(
      /^egress\.(allow|deny|groupsOff)(?:\.add)?: line \d+ \(("(?:[^"\\]|\\.)*")\): /gm,
      (_, list: keyof typeof flagOf, value: string) => `${flagOf[list]} ${value}: `,
    );
    throw new CcwError(thrown.code, message, thrown.hint, { cause: thrown });
  }
}

/** From a file first, then from the command line; null for what is to go. */
async function valuesOf(
  option: string,
  given: readonly string[] = [],
  file: string | undefined,
  gone: readonly string[] = [],
): Promise<Record<string, string | null>> {
  const path = file === "-" ? "/dev/stdin" : file;
  return {
    ...(path === undefined ? {} : await parseVariables(await readTextFile(path, maxFileBytes))),
    ...Object.fromEntries(given.map((text) => keyAndValue(option, text))),
    ...Object.fromEntries(gone.map((key) => [key, null])),
  };
}

/** Those that are to stay: a new environment has nothing to remove. */
export function withoutNull(values: Readonly<Record<string, string | null>> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

/** Variables in `.env` format. */
async function parseVariables(text: string): Promise<Record<string, string>> {
  const { parse } = await import("dotenv");
  return parse(text);
}

function keyAndValue(option: string, text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) {
    // The text may be a secret that lost its name: it is not repeated.
    throw new CcwError(
      "invalid",
      `A value of ${option} is given without a name.`,
      `Write ${option} NAME=VALUE.`,
    );
  }
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function dollars(usd: number): number {
  if (Number.isFinite(usd) && usd >= 0) return usd;
  throw new CcwError("invalid", "--usd takes US dollars, such as 5 or 0.5; 0 is no limit.");
}

function coreCount(cpus: number): number {
  if (Number.isFinite(cpus)) return cpus;
  throw new CcwError("invalid", "--cpus takes a number, such as 2 or 0.5.");
}
