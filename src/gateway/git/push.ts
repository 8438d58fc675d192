import type { PushRight } from "../../domain/git-server.ts";
import { decidePush, printable, readOnly } from "../../domain/push-policy.ts";
import { refusalBody } from "./push-report.ts";
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
  | { kind: "allowed"; capabilities: string[]; body: AsyncIterable<Uint8Array> };

/** Reads the ref updates, and no more, and judges them. */
export async function allowPush(push: {
  body: Body;
  /** Undefined: nothing at all may be pushed. */
  right: Extract<PushRight, { kind: "branch" }> | undefined;
  isSymbolic: () => Promise<boolean>;
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

  const { right } = push;
  const decision =
    right === undefined
      ? readOnly(section.commands)
      : decidePush(section.commands, {
          workBranch: right.branch,
          mayDelete: right.delete,
          workBranchIsSymbolic: await push.isSymbolic(),
        });
  if (decision.kind === "refused") {
    const report = { unpack: "ok", refused: decision.perRef };
    return {
      kind: "refused",
      ref: printable(decision.offender),
      reason: decision.reason,
      answer: refusalBody({ lines: decision.lines, report }, section.capabilities),
    };
  }
  return {
    kind: "allowed",
    capabilities: section.capabilities,
    body: chain([serialiseCommands(section), section.rest], push.body.rest()),
  };
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
