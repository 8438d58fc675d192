import { createPktReader, flushPkt, pktLine } from "../../domain/pkt-line.ts";
import type { PushCommand } from "../../domain/push-policy.ts";

/**
 * The command section of a git-receive-pack request (gitprotocol-pack(5), "Reference Update Request"): what a
 * push wants, before its pack. Whatever this reader does not know for certain is malformed: what git and we
 * might read differently is never passed on.
 */

export type CommandSection =
  | { kind: "malformed"; reason: string }
  /** A signed push. Git honours it even where it was not offered, so it has to be refused by us. */
  | { kind: "certificate"; capabilities: string[] }
  | {
      kind: "commands";
      /** Empty for the lone flush that git sends as a probe before a push of over 1 MiB. */
      commands: PushCommand[];
      shallow: string[];
      capabilities: string[];
      /** Its length as it came. */
      bytes: number;
      /** What came behind the section in the last chunk: the begin of the pack. */
      rest: Uint8Array;
    };

/** Ten thousand refs' worth; a push of a task has one. */
const longestCommandSection = 1024 * 1024;

export interface CommandReader {
  /** The section once it is whole or known to be bad, whatever way the bytes are split; undefined before. */
  read(chunk: Uint8Array): CommandSection | undefined;
}

export function createCommandReader(): CommandReader {
  const reader = createPktReader();
  const commands: PushCommand[] = [];
  const shallow: string[] = [];
  let capabilities: string[] | undefined;
  let inOptions = false;
  let taken = 0;

  /** Takes one line; returns the section if the line decides it. */
  function takeLine(payload: Uint8Array): CommandSection | undefined {
    const line = splitAtNul(payload);
    if (line === undefined) return malformed("a line that is not UTF-8");
    const mark = /^shallow ([0-9a-f]{64}|[0-9a-f]{40})\n?$/.exec(line.text)?.[1];
    if (mark !== undefined) {
      shallow.push(mark);
      return undefined;
    }
    if (line.text === "push-cert" || line.text === "push-cert\n") {
      return { kind: "certificate", capabilities: line.capabilities };
    }
    const command = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (.+)$/s.exec(line.text);
    const [oldId, newId, ref] = command?.slice(1) ?? [];
    if (oldId === undefined || newId === undefined || ref === undefined || oldId.length !== newId.length) {
      return malformed("a line that is no ref update");
    }
    commands.push({ oldId, newId, ref });
    // Git reads capabilities from any line; here only the first one's count, and only they are passed on.
    capabilities ??= line.capabilities;
    return undefined;
  }

  return {
    read(chunk) {
      let at = 0;
      while (at < chunk.length) {
        const { used, pkt } = reader.read(chunk, at);
        at += used;
        taken += used;
        if (taken > longestCommandSection) return malformed("over 1 MiB of ref updates");
        if (pkt === undefined) return undefined;
        if (pkt.kind === "malformed") return malformed("a line length that git does not write");
        if (pkt.kind === "flush") {
          const offered = capabilities ?? [];
          if (!inOptions && offered.includes("push-options")) {
            inOptions = true; // a second section, which is dropped
            continue;
          }
          const rest = chunk.subarray(at);
          return { kind: "commands", commands, shallow, capabilities: offered, bytes: taken, rest };
        }
        const decided = inOptions ? undefined : takeLine(pkt.payload);
        if (decided !== undefined) return decided;
      }
      return undefined;
    },
  };
}

/** The section as git itself would write it, with nothing in it but what was read and is known. */
export function serialiseCommands(section: {
  commands: readonly PushCommand[];
  shallow: readonly string[];
  capabilities: readonly string[];
}): Uint8Array {
  const known = section.capabilities.filter((name) => knownCapability.test(name)).join(" ");
  return Buffer.concat([
    ...section.shallow.map((id) => pktLine(`shallow ${id}`)),
    ...section.commands.map(({ oldId, newId, ref }, index) =>
      pktLine(`${oldId} ${newId} ${ref}${index === 0 ? `\0 ${known}` : ""}`),
    ),
    flushPkt,
  ]);
}

/** gitprotocol-capabilities(5), without those that open another section: push-options, push-cert. */
const knownCapability =
  /^(report-status(-v2)?|side-band(-64k)?|quiet|atomic|ofs-delta|delete-refs|object-format=sha(1|256)|(agent|session-id)=[\x21-\x7e]{1,200})$/;

function malformed(reason: string): CommandSection {
  return { kind: "malformed", reason };
}

function splitAtNul(payload: Uint8Array): { text: string; capabilities: string[] } | undefined {
  const nul = payload.indexOf(0);
  const end = nul === -1 ? payload.length : nul;
  try {
    // A byte order mark is kept: dropped, it would make two different names equal.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload.subarray(0, end));
    const behind = Buffer.from(payload.subarray(end + 1)).toString("latin1");
    return { text, capabilities: nul === -1 ? [] : behind.split(/[ \n]+/).filter((name) => name !== "") };
  } catch {
    return undefined;
  }
}
