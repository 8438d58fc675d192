import { snapshotRef } from "./session.ts";

/** Which pushes a task may make: its own branch, made new or moved forward, and nothing beside it. */

export interface PushCommand {
  /** Object ids in hex; all zeros for "does not exist". */
  oldId: string;
  newId: string;
  /** The whole name, `refs/heads/…`, exactly as it came. */
  ref: string;
}

export interface PushRules {
  /** The task's own branch, without `refs/heads/`. */
  workBranch: string;
  /** Whether it may be deleted; whether it may be rewritten is git's to judge. */
  mayDelete: boolean;
  /** Whether that branch is only a name for another one in the repository. */
  workBranchIsSymbolic: boolean;
}

export type PushDecision =
  | { kind: "allowed" }
  | {
      kind: "refused";
      /** The first ref that may not be pushed, as it came. */
      offender: string;
      /** Why, in few words. */
      reason: string;
      /** For the person who reads git's output: lines without control characters. */
      lines: string[];
      /** A reason for each command, in their order. */
      perRef: { ref: string; reason: string }[];
    };

/**
 * All or nothing: one bad command refuses the whole push, so that nothing of a mixed push goes through. Names
 * are compared byte for byte (both are valid UTF-8, so equal strings are equal bytes). Whether the branch only
 * moves forward is git's to judge, from the graph: the server runs with `receive.denyNonFastForwards`.
 */
export function decidePush(commands: readonly PushCommand[], rules: PushRules): PushDecision {
  const permitted = `refs/heads/${rules.workBranch}`;
  const faults = commands.map((command, index) => faultOf(command, index, commands, permitted, rules));
  return decisionOf(commands, faults, (offender) =>
    offender === permitted
      ? []
      : [
          `This task may push to its own branch only: ${rules.workBranch}`,
          `Push there with: git push origin HEAD:${permitted}`,
        ],
  );
}

/** A snapshot of one repository is one ref; nobody needs many at once. */
const maxSnapshotsAtOnce = 10;

/** All or nothing, as for a branch: new refs of snapshots, whose names have letters and digits only. */
export function decideSnapshots(commands: readonly PushCommand[]): PushDecision {
  const faults = commands.map((command, index) => snapshotFaultOf(command, index, commands));
  return decisionOf(commands, faults, () => []);
}

/** All are allowed, or none is. `faults`: one for each command; `advice`: what else is said about the first offender. */
function decisionOf(
  commands: readonly PushCommand[],
  faults: readonly (string | undefined)[],
  advice: (offender: string) => string[],
): PushDecision {
  const first = faults.findIndex((fault) => fault !== undefined);
  const offender = commands[first];
  const fault = faults[first];
  if (offender === undefined || fault === undefined) return { kind: "allowed" };
  return {
    kind: "refused",
    offender: offender.ref,
    reason: fault,
    lines: [`Push refused: ${printable(offender.ref)}: ${fault}.`, ...advice(offender.ref)],
    perRef: commands.map(({ ref }, index) => ({
      ref,
      reason: faults[index] ?? "refused together with another ref of this push",
    })),
  };
}

/** For a repository that a task may read and not push to at all. */
export function readOnly(commands: readonly PushCommand[]): PushDecision {
  const reason = "this task may only read this repository";
  const offender = commands[0]?.ref ?? "";
  return {
    kind: "refused",
    offender,
    reason,
    lines: [`Push refused: ${printable(offender)}: ${reason}.`],
    perRef: commands.map(({ ref }) => ({ ref, reason })),
  };
}

/** A ref as text that a terminal and a log can take: no control or formatting characters, at most 200 long. */
export function printable(text: string): string {
  return text.slice(0, 200).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");
}

const snapshotName = /^[A-Za-z0-9]{1,100}$/;
const snapshotRefs = snapshotRef("");

function snapshotFaultOf(
  { oldId, newId, ref }: PushCommand,
  index: number,
  commands: readonly PushCommand[],
): string | undefined {
  if (!ref.startsWith(snapshotRefs) || !snapshotName.test(ref.slice(snapshotRefs.length)) || /\n/.test(ref)) {
    return `only ${snapshotRefs} and a name of letters and digits is permitted`;
  }
  if (commands.some((other, at) => at !== index && other.ref === ref))
    return "named more than once in this push";
  if (/^0+$/.test(newId)) return "a snapshot is not deleted";
  if (!/^0+$/.test(oldId)) return "a snapshot is not changed";
  return commands.length > maxSnapshotsAtOnce
    ? `at most ${maxSnapshotsAtOnce} snapshots are taken at once`
    : undefined;
}

function faultOf(
  command: PushCommand,
  index: number,
  commands: readonly PushCommand[],
  permitted: string,
  rules: PushRules,
): string | undefined {
  if (command.ref !== permitted) return `only ${permitted} is permitted`;
  if (commands.some((other, at) => at !== index && other.ref === command.ref)) {
    return "named more than once in this push";
  }
  if (/^0+$/.test(command.newId) && !rules.mayDelete) return "a task may not delete a branch";
  if (rules.workBranchIsSymbolic)
    return "the branch is only a name for another one, which the push would move";
  return undefined;
}
