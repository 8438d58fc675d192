import type { Deadlines } from "../wire/deadlines.ts";
import type { Wire } from "../wire/wire.ts";
import { budgetSpent } from "./exchange.ts";
import { type Refusal, refusalOf } from "./refusal.ts";
import type { Passage, Traffic } from "./traffic.ts";
import type { Waits } from "./waits.ts";

/**
 * Joins a client and what it has dialled until both sides have ended. Each direction ends by itself, the slow side
 * slows the fast one, and every byte is counted.
 */
export function join(options: {
  client: Wire;
  upstream: Wire;
  passage: Passage;
  traffic: Traffic;
  deadlines: Deadlines;
  waits: Waits;
  /** What each has sent already. */
  fromClient: Uint8Array;
  fromUpstream: Uint8Array;
}): void {
  const { client, upstream, passage, traffic, deadlines, waits } = options;
  let broken: { verdict: "failed" | "cut"; code: string } | undefined;
  let open = 2;
  const cut = (verdict: "failed" | "cut", { code }: Refusal) => {
    broken ??= { verdict, code };
    client.destroy();
    upstream.destroy();
  };
  const deadline = deadlines.add(() => cut("failed", refusalOf("timeout", "nothing moved for too long")));
  const closed = (other: Wire) => {
    open -= 1;
    if (open > 0) {
      // What the other side has not taken yet is still its own.
      if (other.buffered === 0) return other.destroy();
      deadline.set(waits.flush);
      return other.end();
    }
    deadline.clear();
    passage.end(broken?.verdict ?? "allowed", broken?.code ?? passage.rule, 200);
  };
  passage.onCut((refusal) => cut("cut", refusal));
  deadline.set(waits.idleTunnel);

  upstream.listener = {
    data(bytes) {
      passage.down(bytes.length);
      deadline.set(waits.idleTunnel);
      if (!client.write(bytes)) upstream.pause();
      client.spent(bytes);
    },
    drain: () => client.resume(),
    end: () => client.end(),
    close: () => closed(client),
  };
  client.listener = {
    data(bytes) {
      if (!passage.up(bytes.length)) return cut("cut", budgetSpent(traffic));
      deadline.set(waits.idleTunnel);
      if (!upstream.write(bytes)) client.pause();
      upstream.spent(bytes);
    },
    drain: () => upstream.resume(),
    end: () => upstream.end(),
    close: () => closed(upstream),
  };
  if (options.fromUpstream.length > 0) upstream.listener.data(options.fromUpstream);
  if (options.fromClient.length > 0) client.listener.data(options.fromClient);
  client.resume();
  upstream.resume();
  if (client.closed || upstream.closed) {
    // One of them went while nobody listened for it.
    broken ??= { verdict: "failed", code: "sandbox-closed" };
    for (const wire of [client, upstream]) {
      if (wire.closed) open -= 1;
      else wire.destroy();
    }
    if (open > 0) return;
    deadline.clear();
    passage.end(broken.verdict, broken.code, 200);
  }
}
