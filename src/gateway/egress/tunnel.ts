import { decideConnection, type EgressDecision, type EgressPolicy } from "../../domain/egress-policy.ts";
import { type Host, hostText } from "../../domain/host.ts";
import type { Deadlines } from "../wire/deadlines.ts";
import { streamOf, wireOf } from "../wire/stream-wire.ts";
import { deaf, type Wire } from "../wire/wire.ts";
import type { Authority } from "./authority.ts";
import type { Dialler } from "./dial.ts";
import { readHello } from "./hello.ts";
import type { RequestHead } from "./http/request-head.ts";
import { interceptTls } from "./intercept.ts";
import { join } from "./join.ts";
import { serveProxyConnection } from "./proxy-connection.ts";
import { type Refusal, refusalBytes } from "./refusal.ts";
import { connectTarget } from "./request-target.ts";
import type { Resolver } from "./resolve.ts";
import type { Attempt, Passage, Traffic } from "./traffic.ts";
import type { Upstreams } from "./upstreams.ts";

export interface TunnelOptions {
  traffic: Traffic;
  dialler: Dialler;
  /** Undefined where an upstream proxy looks names up. */
  resolver: Resolver | undefined;
  upstreams: Upstreams;
  authority: Authority;
  deadlines: Deadlines;
  client: Wire;
  head: RequestHead;
  /** What came right behind the request. */
  rest: Uint8Array;
}

const lingerMs = 2000;
const established = Buffer.from("HTTP/1.1 200 Connection Established\r\n\r\n");
/** A fatal TLS alert (RFC 8446, 6): `unrecognized_name`, so that the client's own message says what is wrong. */
const alert = Uint8Array.of(0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x70);

/** CONNECT: decided, looked up and judged, dialled, and only then granted. */
export function openTunnel(options: TunnelOptions): void {
  const { traffic, dialler, resolver, client, deadlines, head } = options;
  let rest: Uint8Array = options.rest;
  let gone = false;
  client.listener = {
    data(bytes) {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      client.pause();
    },
    drain() {},
    end: () => client.destroy(),
    close: () => (gone = true),
  };
  const fail = (refusal: Refusal, target: string) => {
    client.write(refusalBytes(refusal, target, { close: true }));
    linger(client, deadlines);
  };

  const target = connectTarget(head);
  if (!target.ok) {
    traffic.refuse(undefined, target.refusal);
    return fail(target.refusal, "");
  }
  const { host, port } = target.value;
  const name = `${hostText(host)}:${port}`;
  const decide = (policy: EgressPolicy): EgressDecision => {
    const decision = decideConnection(policy, host, port);
    // A header can be added only to what is read.
    const read = decision.allowed && decision.treatment === "pass" && traffic.credentialsFor(host).length > 0;
    return read ? { ...decision, treatment: "inspect" } : decision;
  };
  const attempt: Attempt = { kind: "tunnel", host, port, method: "CONNECT", path: "" };
  const admitted = traffic.admit(attempt, decide);
  if (!admitted.ok) return fail(admitted.refusal, name);
  const { passage, decision } = admitted;
  let end = (refusal: Refusal) => {
    passage.end("cut", refusal.code, refusal.status);
    fail(refusal, name);
  };
  passage.onCut((refusal) => end(refusal));

  const go = async () => {
    const plain = decision.treatment !== "raw" && port === 80;
    if (decision.treatment === "inspect" || plain) {
      // Each request inside is dialled for itself; a name that leads nowhere is told before the tunnel is granted.
      const resolved = await resolver?.resolve(host, port);
      if (gone) return passage.end("failed", "sandbox-closed", 0);
      if (resolved?.ok === false) {
        passage.end(
          resolved.refusal.status === 403 ? "refused" : "failed",
          resolved.refusal.code,
          resolved.refusal.status,
        );
        return fail(resolved.refusal, name);
      }
      end = () => client.destroy();
      client.write(established);
      return plain
        ? serveInside(options, passage, { scheme: "http", host, port }, client, rest)
        : await inspect(options, passage, host, port, rest);
    }
    const dialled = await dialler.dial(host, port, passage.signal);
    if (gone) {
      if (dialled.ok) dialled.wire.destroy();
      return passage.end("failed", "sandbox-closed", 0);
    }
    if (!dialled.ok) {
      const { refusal } = dialled;
      passage.end(refusal.status === 403 ? "refused" : "failed", refusal.code, refusal.status);
      return fail(refusal, name);
    }
    const upstream = dialled.wire;
    passage.reached(dialled.address);
    client.write(established);
    end = ({ code, status }) => {
      passage.end("cut", code, status);
      client.destroy();
      upstream.destroy();
    };
    if (decision.treatment !== "raw") {
      upstream.listener = { ...deaf, close: () => client.destroy() };
      const hello = await readHello(client, deadlines, rest, host);
      if (!hello.ok) {
        passage.end("refused", hello.code, 200);
        upstream.destroy();
        return endWithAlert(client, deadlines);
      }
      rest = hello.bytes;
    }
    join({ client, upstream, passage, traffic, deadlines, fromClient: rest, fromUpstream: dialled.first });
  };
  void go();
}

/** Ends TLS as the host that was asked for, and reads the requests inside. */
async function inspect(
  options: TunnelOptions,
  passage: Passage,
  host: Host,
  port: number,
  rest: Uint8Array,
): Promise<void> {
  const { client, deadlines, authority } = options;
  const hello = await readHello(client, deadlines, rest, host);
  if (!hello.ok) {
    passage.end("refused", hello.code, 200);
    return endWithAlert(client, deadlines);
  }
  try {
    const tls = await interceptTls({ stream: streamOf(client, hello.bytes), authority, host: host.text });
    serveInside(options, passage, { scheme: "https", host, port }, wireOf(tls), new Uint8Array());
  } catch {
    client.destroy();
    passage.end("failed", "tls-failed", 200);
  }
}

/** Requests inside a tunnel that is read. Their bytes are counted with each of them. */
function serveInside(
  { traffic, upstreams, deadlines }: TunnelOptions,
  passage: Passage,
  origin: { scheme: "http" | "https"; host: Host; port: number },
  wire: Wire,
  first: Uint8Array,
): void {
  passage.onCut(() => wire.destroy());
  serveProxyConnection({
    traffic,
    upstreams,
    deadlines,
    wire,
    first,
    serves: {
      kind: "origin",
      origin,
      rowKind: origin.scheme === "https" ? "inspected" : "http",
      granted: passage.granted,
    },
    closed: () => passage.end("allowed", passage.rule, 200),
  });
}

function endWithAlert(client: Wire, deadlines: Deadlines): void {
  client.write(alert);
  linger(client, deadlines);
}

/** Ends it in order, and reads on for a while: a reset must not overtake what was said. */
function linger(client: Wire, deadlines: Deadlines): void {
  const deadline = deadlines.add(() => client.destroy());
  deadline.set(lingerMs);
  client.listener = { ...deaf, end: () => client.destroy(), close: () => deadline.clear() };
  client.end();
  client.resume();
}
