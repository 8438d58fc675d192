import type { DenyCode, EgressLedger, EgressPort } from "../../domain/egress.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import type { LogFields } from "../../domain/ports.ts";
import { createDeadlines } from "../wire/deadlines.ts";
import type { Failed } from "../wire/socket-wire.ts";
import type { Wire } from "../wire/wire.ts";
import type { Authority } from "./authority.ts";
import { createDialler, type UpstreamProxy } from "./dial.ts";
import { serveProxyConnection } from "./proxy-connection.ts";
import { createResolver, type Lookup } from "./resolve.ts";
import { createTraffic, type Traffic } from "./traffic.ts";
import { openTunnel } from "./tunnel.ts";
import type { UpstreamTrust } from "./upstream-tls.ts";
import { createUpstreams, type Upstreams } from "./upstreams.ts";
import { usualWaits, type Waits } from "./waits.ts";

export interface EgressDoorOptions {
  port: EgressPort;
  ledger: EgressLedger;
  authority: Authority;
  lookup: Lookup;
  /** What an address and port are that may not be dialled; undefined where they may. */
  whyNot(address: string, port: number): string | undefined;
  proxy: UpstreamProxy | undefined;
  /** For the hosts that the appliance speaks TLS with. */
  trust: UpstreamTrust;
  /** Called for each refusal that no person was asked to lift; it may show it. */
  refused(sandbox: { id: SandboxId; taskId: TaskId }, target: string, reason: DenyCode): void;
  /** Told of defects: each ends one connection, and must not end the server. */
  failed: Failed;
  /** One line for each decision. */
  decided(fields: LogFields): void;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Where they differ from the usual ones. */
  waits?: Partial<Waits>;
}

export interface EgressDoor {
  /** Takes a connection over, with what was read from it already. */
  accept(sandbox: { id: SandboxId; taskId: TaskId }, wire: Wire, first: Uint8Array): void;
  /** What is known of a sandbox goes with its door. */
  forget(id: SandboxId): void;
  close(): void;
}

/** The way out: plain HTTP in absolute form, and CONNECT. */
export function createEgressDoor(options: EgressDoorOptions): EgressDoor {
  const { port, authority, failed, now } = options;
  const deadlines = createDeadlines(failed);
  const waits: Waits = { ...usualWaits, ...options.waits };
  const resolver = createResolver({ lookup: options.lookup, whyNot: options.whyNot, now });
  const dialler = createDialler({ resolver, proxy: options.proxy, failed });
  const known = new Map<SandboxId, { traffic: Traffic; upstreams: Upstreams }>();
  const stop = port.onChange(() => {
    for (const { traffic } of [...known.values()]) traffic.review();
  });

  const of = (sandbox: { id: SandboxId; taskId: TaskId }) => {
    const found = known.get(sandbox.id);
    if (found !== undefined) return found;
    const made = {
      traffic: createTraffic(sandbox, options),
      upstreams: createUpstreams({ dialler, deadlines, waits, failed, trust: options.trust }),
    };
    known.set(sandbox.id, made);
    return made;
  };

  return {
    accept(sandbox, wire, first) {
      const { traffic, upstreams } = of(sandbox);
      serveProxyConnection({
        traffic,
        upstreams,
        deadlines,
        waits,
        wire,
        first,
        serves: {
          kind: "proxy",
          connect: (head, rest) =>
            openTunnel({
              ...{
                traffic,
                dialler,
                upstreams,
                authority,
                deadlines,
                waits,
                failed,
                client: wire,
                head,
                rest,
              },
              resolver: options.proxy?.resolves === true ? undefined : resolver,
            }),
        },
      });
    },
    forget(id) {
      known.get(id)?.upstreams.close();
      known.delete(id);
    },
    close() {
      stop();
      for (const { upstreams } of known.values()) upstreams.close();
      known.clear();
      deadlines.close();
    },
  };
}
