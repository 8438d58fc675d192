import { bytesText, parseBytes } from "../../src/domain/amounts.ts";
import type { EgressLimits } from "../../src/domain/egress.ts";
import type { EnvironmentCredential } from "../../src/domain/environment-egress.ts";
import { CcwError } from "../../src/domain/errors.ts";
import type { Failure } from "../parts/hooks.ts";

/** Egress of an environment as it is typed. */
export interface EgressDraft {
  /** One rule a line. */
  allow: string;
  /** One host a line. */
  deny: string;
  groupsOff: readonly string[];
  credentials: readonly EnvironmentCredential[];
  limits: Record<keyof EgressLimits, string>;
  /** What is to become of secrets: a new value, or null to remove it. Those that are not named stay. */
  secrets: Readonly<Record<string, string | null>>;
}

export interface Egress {
  allow: string[];
  deny: string[];
  groupsOff: string[];
  credentials: EnvironmentCredential[];
  limits: EgressLimits;
}

/** Of an environment that is not there yet. */
export const newEgress: Egress = {
  allow: [],
  deny: [],
  groupsOff: [],
  credentials: [],
  limits: {
    uploadBytes: 1024 ** 3,
    requestBytes: 256 * 1024 ** 2,
    requestsPerMinute: 6000,
    connections: 256,
    namesPerMinute: 120,
  },
};

export function newSecrets({ secrets }: EgressDraft): Record<string, string> {
  return Object.fromEntries(
    Object.entries(secrets).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

export function draftOf({ allow, deny, groupsOff, credentials, limits }: Egress): EgressDraft {
  return {
    allow: allow.join("\n"),
    deny: deny.join("\n"),
    groupsOff,
    credentials,
    limits: {
      uploadBytes: exactBytes(limits.uploadBytes),
      requestBytes: exactBytes(limits.requestBytes),
      requestsPerMinute: String(limits.requestsPerMinute),
      connections: String(limits.connections),
      namesPerMinute: String(limits.namesPerMinute),
    },
    secrets: {},
  };
}

/**
 * What is to be saved: the draft, which began at `base`, on top of what the environment holds by now. A grant that was
 * given while the form was open is neither lost nor taken back. Lines keep their numbers, for what the server says of them.
 */
export function egressOf(draft: EgressDraft, base: Egress, now: Egress): Egress {
  return {
    allow: mergedLines(draft.allow, base.allow, now.allow),
    deny: mergedLines(draft.deny, base.deny, now.deny),
    groupsOff: [...draft.groupsOff],
    credentials: [...draft.credentials],
    limits: {
      uploadBytes: bytesOf(draft.limits.uploadBytes),
      requestBytes: bytesOf(draft.limits.requestBytes),
      requestsPerMinute: Number(draft.limits.requestsPerMinute),
      connections: Number(draft.limits.connections),
      namesPerMinute: Number(draft.limits.namesPerMinute),
    },
  };
}

/** Where the server found a mistake: in a line of a field (from 1), or in a credential (from 0). */
export type EgressProblem =
  | { field: "allow"; line: number; why: string }
  | { field: "deny"; line: number; why: string }
  | { field: "credentials"; index: number; why: string };

/** What of a refusal can be shown where the mistake is, and whether that is all of it. */
export function problemsIn(failure: Failure | undefined): { problems: EgressProblem[]; all: boolean } {
  const found = (failure?.message ?? "").split("\n").map(problemIn);
  return {
    problems: found.filter((problem) => problem !== undefined),
    all: found.every((problem) => problem !== undefined),
  };
}

function problemIn(message: string): EgressProblem | undefined {
  const line = message.match(/^egress\.(allow|deny): line (\d+) \("(?:[^"\\]|\\.)*"\): (.*)$/s);
  if (line !== null) {
    const [, field, number, why = ""] = line;
    return { field: field === "deny" ? "deny" : "allow", line: Number(number), why };
  }
  const credential = message.match(/^egress\.credentials\.(\d+)[^:]*: (.*)$/s);
  return credential === null
    ? undefined
    : { field: "credentials", index: Number(credential[1]), why: credential[2] ?? "" };
}

function mergedLines(typed: string, base: readonly string[], now: readonly string[]): string[] {
  const removed = new Set(base.filter((line) => !now.includes(line)));
  const added = now.filter((line) => !base.includes(line));
  return [...typed.split("\n").map((line) => (removed.has(line.trim()) ? "" : line)), ...added];
}

/** In the largest unit that loses nothing. */
function exactBytes(bytes: number): string {
  const text = bytesText(bytes);
  return parseBytes(text) === bytes ? text : String(bytes);
}

function bytesOf(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined) return bytes;
  throw new CcwError(
    "invalid",
    `${JSON.stringify(text)} is not an amount.`,
    "Write it such as 500MiB or 2GiB.",
  );
}
