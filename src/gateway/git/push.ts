import { CcwError } from "../../domain/errors.ts";
import type { JudgedPush } from "../../domain/git-server.ts";
import type { GitGrant } from "../../domain/ports.ts";
import {
  decidePush,
  decideSnapshots,
  type PushDecision,
  printable,
  readOnly,
} from "../../domain/push-policy.ts";
import { refusalBody } from "../../domain/push-report.ts";
import { type CommandSection, createCommandReader, serialiseCommands } from "./receive-pack-commands.ts";
import type { Body } from "./streams.ts";

/** What is to be done with the body of a `git-receive-pack` request. */
export type PushRequest =
  | { kind: "malformed"; reason: string }
  /** Nothing is asked: git's way to try the connection before a push of over 1 MiB. */
  | { kind: "probe" }
  | {
      kind: "refused";
      ref: string;
      reason: string;
      /** For the git client; undefined where it takes no report and has to be told by a status. */
      answer: Uint8Array | undefined;
    }
  | {
      kind: "allowed";
      push: JudgedPush;
      /** All of it, head and pack. */
      body: AsyncIterable<Uint8Array>;
      contentLength: number | undefined;
    };

/** Reads the ref updates, and no more, and judges them. */
export async function allowPush(push: {
  body: Body;
  /** Of the body, where the client said it. */
  length: number | undefined;
  grant: GitGrant;
  patienceMs: number;
}): Promise<PushRequest> {
  const section = await readSection(push.body, push.patienceMs);
  if (section.kind === "malformed") return section;
  if (section.kind === "certificate") {
    const reason = "signed pushes are not taken here";
    const lines = [`Push refused: ${reason}.`, "Push again without --signed."];
    const report = { unpack: reason, refused: [] };
    return {
      kind: "refused",
      ref: "(signed push)",
      reason,
      answer: refusalBody({ lines, report }, section.capabilities),
    };
  }
  if (section.commands.length === 0) return { kind: "probe" };

  const decision = await decide(section, push.grant);
  if (decision.kind === "refused") {
    const report = { unpack: "ok", refused: decision.perRef };
    return {
      kind: "refused",
      ref: printable(decision.offender),
      reason: decision.reason,
      answer: refusalBody({ lines: decision.lines, report }, section.capabilities),
    };
  }
  const head = serialiseCommands(section);
  const pack = chain([section.rest], push.body.rest());
  const { commands, capabilities } = section;
  return {
    kind: "allowed",
    push: { commands, capabilities, head, pack },
    body: chain([head], pack),
    contentLength: push.length === undefined ? undefined : push.length - section.bytes + head.length,
  };
}

async function decide(
  { commands }: Extract<CommandSection, { kind: "commands" }>,
  { right, endpoint }: GitGrant,
): Promise<PushDecision> {
  if (right.kind === "snapshots") return decideSnapshots(commands);
  if (right.kind !== "branch") return readOnly(commands);
  const rules = { workBranch: right.branch, mayDelete: right.delete };
  // What is refused by its name alone costs the server that has the repository no question.
  const byName = decidePush(commands, { ...rules, workBranchIsSymbolic: false });
  if (byName.kind === "refused") return byName;
  try {
    const workBranchIsSymbolic = await endpoint.isSymbolicRef(`refs/heads/${right.branch}`);
    return decidePush(commands, { ...rules, workBranchIsSymbolic });
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    const reason = "the repository's server could not be asked";
    const lines = [`Push refused: ${reason}.`, ...thrown.message.split("\n"), thrown.hint].filter(
      (line) => line !== "",
    );
    const perRef = commands.map(({ ref }) => ({ ref, reason }));
    return { kind: "refused", offender: perRef[0]?.ref ?? "", reason, lines: lines.map(printable), perRef };
  }
}

async function readSection(body: Body, patienceMs: number): Promise<CommandSection> {
  const reader = createCommandReader();
  const patience = AbortSignal.timeout(patienceMs);
  for (;;) {
    const chunk = await body.next(patience);
    if (chunk === undefined)
      return { kind: "malformed", reason: "it ends, or stalls, among its ref updates" };
    const section = reader.read(chunk);
    if (section !== undefined) return section;
  }
}

async function* chain(first: Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of first) if (chunk.length > 0) yield chunk;
  yield* rest;
}
