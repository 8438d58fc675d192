import { CcwError } from "../domain/errors.ts";
import type { GitAnswer, GitCall, GitEndpoint, JudgedPush } from "../domain/git-server.ts";
import { dropped, endingWith, type Fault, faultAnswer } from "./git-answers.ts";
import { lookUpRef, type RefState } from "./ls-refs.ts";
import type { Quarantine, QuarantineBase } from "./quarantine.ts";
import { limited } from "./request-body.ts";

export interface GuardOptions {
  quarantine: Quarantine;
  base: QuarantineBase;
  /** The largest pack that a task may push, in bytes; default 2 GiB. */
  maxTaskPackBytes?: number;
}

export const defaultMaxTaskPackBytes = 2 * 1024 ** 3;

/**
 * A server elsewhere, with what git's own settings do for a hosted repository: whether a task's push only moves its
 * branch forward is judged here, from the graph and from what the server has, not from what the client claims. A push
 * that makes the branch, deletes it or may rewrite it has nothing to be judged, and is passed on as it comes.
 */
export function guarded(
  ask: (call: GitCall) => Promise<GitAnswer>,
  repository: string,
  options: GuardOptions,
): GitEndpoint {
  const { quarantine, base, maxTaskPackBytes = defaultMaxTaskPackBytes } = options;
  /** An endpoint lives for one request; both questions of a push are one to the server. */
  const known = new Map<string, Promise<RefState>>();

  function stateOf(ref: string, signal: AbortSignal): Promise<RefState> {
    const asked = known.get(ref) ?? lookUpRef(ask, ref, signal);
    known.set(ref, asked);
    return asked;
  }

  async function pushOn(call: GitCall, push: JudgedPush, force: boolean): Promise<GitAnswer> {
    const refuse = async (fault: Fault) => {
      await dropped(push.pack);
      return faultAnswer(call, fault);
    };
    const [update] = push.commands;
    // The door has let one ref through; two would mean that what follows is not what was judged.
    if (update === undefined || push.commands.length !== 1) throw new Error("a task's push has one ref");
    const { tip } = await stateOf(update.ref, call.signal);
    if (tip !== (isZero(update.oldId) ? undefined : update.oldId)) return refuse(movedFault(update.ref));
    if (tip === undefined || force || isZero(update.newId)) {
      return ask({
        ...call,
        body: chain(push.head, limited(push.pack, maxTaskPackBytes, "pack of this push")),
      });
    }

    const verdict = await quarantine.judge({
      branch: `${repository} ${update.ref}`,
      known: await base.folderWith(repository, tip, call.signal),
      oldId: tip,
      newId: update.newId,
      pack: push.pack,
      signal: call.signal,
    });
    if (verdict.kind === "refused") return refuse(verdict.fault);
    try {
      const answer = await ask({
        ...call,
        body: chain(push.head, verdict.pack()),
        push: { ...push, pack: nothing() },
        contentLength: push.head.length + verdict.bytes,
      });
      return { ...answer, body: endingWith(answer.body, verdict.release) };
    } catch (thrown) {
      await verdict.release();
      throw thrown;
    }
  }

  return {
    async serve(call) {
      const { right, push } = call;
      if (call.service === "git-upload-pack" || right.kind === "any" || call.body === undefined)
        return ask(call);
      // Fail closed: a push of a task comes with what the door has read of it.
      if (right.kind !== "branch" || push === undefined) {
        throw new CcwError("forbidden", "This repository may only be read.");
      }
      try {
        return await pushOn(call, push, right.force);
      } catch (thrown) {
        if (!(thrown instanceof CcwError)) throw thrown;
        await dropped(push.pack);
        return faultAnswer(call, {
          status: 502,
          reason: thrown.code === "no_space" ? "no space left on the appliance" : "it could not be judged",
          lines: [thrown.message, ...(thrown.hint === "" ? [] : [thrown.hint])],
        });
      }
    },
    async isSymbolicRef(ref) {
      return (await stateOf(ref, AbortSignal.timeout(lookUpMs))).symbolic;
    },
  };
}

const lookUpMs = 60_000;

const isZero = (id: string): boolean => /^0+$/.test(id);

const movedFault = (ref: string): Fault => ({
  status: 409,
  reason: "fetch first",
  lines: [
    `Push refused: ${ref} is not where this push takes it to be: somebody else has moved, made or removed it.`,
    "Fetch first, put your work on top of what is there, and push again.",
  ],
});

async function* chain(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rest;
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // the pack was taken in already
}
