import { messageOf } from "../../domain/errors.ts";
import { type Host, hostText } from "../../domain/host.ts";
import type { Deadline, Deadlines } from "../wire/deadlines.ts";
import type { Asker, Failed } from "../wire/socket-wire.ts";
import { streamUnderTls, wireOf } from "../wire/stream-wire.ts";
import { deaf, type Wire } from "../wire/wire.ts";
import type { Dialler } from "./dial.ts";
import { type Refusal, refusalOf } from "./refusal.ts";
import type { UpstreamTrust } from "./upstream-tls.ts";
import type { Waits } from "./waits.ts";

/** Where a request goes that the appliance sends by itself. */
export interface Origin {
  scheme: "http" | "https";
  host: Host;
  port: number;
}

export interface Upstream {
  wire: Wire;
  address: string;
  /** It has carried a request before, so the other side may be closing it just now. */
  used: boolean;
}

interface Idle extends Upstream {
  deadline: Deadline;
}

/** Connections of one sandbox to the hosts it asks for, kept open between its requests; never shared with another. */
export interface Upstreams {
  get(
    origin: Origin,
    options: { fresh: boolean; asker: Asker },
  ): Promise<{ ok: true; upstream: Upstream } | { ok: false; refusal: Refusal }>;
  /** It has answered in full and can take another request. */
  keep(origin: Origin, upstream: Upstream): void;
  close(): void;
}

const maxIdle = 32;

export function createUpstreams(options: {
  dialler: Dialler;
  deadlines: Deadlines;
  waits: Waits;
  trust: UpstreamTrust;
  failed: Failed;
}): Upstreams {
  const { dialler, deadlines, failed, waits, trust } = options;
  const idle = new Map<string, Idle[]>();
  let count = 0;
  const keyOf = ({ scheme, host, port }: Origin) => `${scheme}://${hostText(host)}:${port}`;

  const remove = (key: string, upstream: Idle) => {
    upstream.deadline.clear();
    const list = idle.get(key);
    const at = list?.indexOf(upstream) ?? -1;
    if (list === undefined || at < 0) return;
    list.splice(at, 1);
    count -= 1;
    if (list.length === 0) idle.delete(key);
  };

  return {
    async get(origin, { fresh, asker }) {
      const key = keyOf(origin);
      const kept = fresh ? undefined : idle.get(key)?.at(-1);
      if (kept !== undefined) {
        remove(key, kept);
        const { wire, address, used } = kept;
        wire.listener = deaf;
        return { ok: true, upstream: { wire, address, used } };
      }
      const dialled = await dialler.dial(origin.host, origin.port, asker);
      if (!dialled.ok) return dialled;
      const { address, first } = dialled;
      if (origin.scheme === "http")
        return { ok: true, upstream: { wire: dialled.wire, address, used: false } };
      try {
        const giveUp = new AbortController();
        asker.onGone(() => giveUp.abort());
        const over = streamUnderTls(dialled.wire, first);
        const tls = await trust.connect({ over, host: origin.host.text, signal: giveUp.signal });
        return { ok: true, upstream: { wire: wireOf(tls, over, failed), address, used: false } };
      } catch (thrown) {
        dialled.wire.destroy();
        const text = messageOf(thrown).replace(/\.$/, "");
        return { ok: false, refusal: refusalOf("unreachable", text) };
      }
    },
    keep(origin, { wire, address }) {
      if (wire.closed) return;
      // The newest is the likeliest to be asked for again.
      if (count >= maxIdle) idle.values().next().value?.[0]?.wire.destroy();
      const key = keyOf(origin);
      const deadline = deadlines.add(() => wire.destroy());
      const upstream: Idle = { wire, address, used: true, deadline };
      deadline.set(waits.idleUpstream);
      const list = idle.get(key) ?? [];
      list.push(upstream);
      idle.set(key, list);
      count += 1;
      // Whatever comes now answers nothing that was asked.
      const end = () => wire.destroy();
      wire.listener = { data: end, drain() {}, end, close: () => remove(key, upstream) };
    },
    close() {
      for (const list of [...idle.values()]) for (const { wire } of [...list]) wire.destroy();
    },
  };
}
