import type { GitAnswer, GitCall } from "../domain/git-server.ts";
import { pktLine } from "../domain/pkt-line.ts";
import { printable } from "../domain/push-policy.ts";
import { refusalBody } from "../domain/push-report.ts";

/** Something that stands in the way of a git request, in words for whoever sits at the git client. */
export interface Fault {
  /** Of the answer where git can be told by one: 4xx, 5xx. */
  status: number;
  /** A reason of a few words, for the line of a ref. */
  reason: string;
  /** What happened and what to do, a sentence or two a line. */
  lines: string[];
  retryAfter?: string | undefined;
  /** The request itself is none that git writes: it is told by a status, whoever sent it. */
  malformed?: boolean;
}

/** Of two pushes of one branch, one at most could go through; a sandbox that sends dozens would fill disk and processors. */
export const busyFault: Fault = {
  status: 409,
  reason: "another push of this branch is under way",
  lines: ["Push refused: another push of this branch is under way.", "Wait for it to end, then push again."],
};

/**
 * The fault in the shape that git's client prints: text behind `remote: ` for a list of refs; `fatal: remote error:`
 * for a fetch (gitprotocol-pack(5), "ERR"); text and a refusal of every ref for a push. An error status on those two
 * would be shown as a number, or as "Everything up-to-date".
 */
export function faultAnswer(call: Pick<GitCall, "service" | "body" | "push">, fault: Fault): GitAnswer {
  const lines = fault.lines.map(printable);
  if (call.body !== undefined && call.service === "git-upload-pack" && fault.malformed !== true) {
    return gitAnswer(call.service, pktLine(`ERR ${lines.join(" ")}`));
  }
  if (call.push !== undefined) {
    const refused = call.push.commands.map(({ ref }) => ({ ref, reason: printable(fault.reason) }));
    const body = refusalBody({ lines, report: { unpack: "ok", refused } }, call.push.capabilities);
    if (body !== undefined) return gitAnswer(call.service, body);
  }
  const retry = fault.retryAfter === undefined ? {} : { "retry-after": fault.retryAfter };
  return {
    status: fault.status,
    headers: { "content-type": "text/plain; charset=utf-8", ...retry },
    body: oneChunk(Buffer.from(`${lines.join("\n")}\n`)),
  };
}

function gitAnswer(service: GitCall["service"], body: Uint8Array): GitAnswer {
  return {
    status: 200,
    headers: { "content-type": `application/x-${service}-result`, "cache-control": "no-cache" },
    body: oneChunk(body),
  };
}

/** A body that is there already; one of no bytes has no chunk. */
export async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

/** The same bytes; `left` is called when they end, whichever way, also where nobody has read any. */
export function endingWith(
  body: AsyncIterable<Uint8Array>,
  left: () => Promise<void>,
): AsyncIterable<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  let ended = false;
  const end = async () => {
    if (ended) return;
    ended = true;
    await left();
  };
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      try {
        const result = await chunks.next();
        if (result.done === true) await end();
        return result;
      } catch (thrown) {
        await end();
        throw thrown;
      }
    },
    async return() {
      await chunks.return?.();
      await end();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** How much of a push is still read, and dropped, when its answer is known: the client reads no answer before. */
const maxDrainBytes = 256 * 1024 * 1024;

/** Reads and drops what is left of a request's body. */
export async function dropped(body: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  if (body === undefined) return;
  let left = maxDrainBytes;
  try {
    for await (const chunk of body) {
      left -= chunk.length;
      if (left < 0) return;
    }
  } catch {
    // The client has gone, and waits for no answer.
  }
}
