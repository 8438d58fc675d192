import { decideConnection } from "../../domain/egress-policy.ts";
import { type Host, hostText } from "../../domain/host.ts";
import type { Deadlines } from "../wire/deadlines.ts";
import { joined } from "../wire/joined.ts";
import type { Failed } from "../wire/socket-wire.ts";
import { streamUnderTls, wireOf } from "../wire/stream-wire.ts";
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
import type { Waits } from "./waits.ts";

export interface TunnelOptions {
  traffic: Traffic;
  dialler: Dialler;
  /** Undefined where an upstream proxy looks names up. */
  resolver: Resolver | undefined;
  upstreams: Upstreams;
  authority: Authority;
  deadlines: Deadlines;
  failed: Failed;
  waits: Waits;
  client: Wire;
  head: RequestHead;
  /** What came right behind the request. */
  rest: Uint8Array;
}

const established = Buffer.from("HTTP/1.1 200 Connection Established\r\n\r\n");
/** A fatal TLS alert (RFC 8446, 6): `unrecognized_name`, so that the client's own message says what is wrong. */
const alert = Uint8Array.of(0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x70);

/** CONNECT: decided, looked up and judged, dialled, and only then granted. */
export function openTunnel(options: TunnelOptions): void {
  const { traffic, client, deadlines, waits, head } = options;
  const fail = (refusal: Refusal, target: string): void => {
    client.write(refusalBytes(refusal, target, { close: true }));
    linger(client, deadlines, waits);
  };
  const target = connectTarget(head);
  if (!target.ok) {
    traffic.refuse(undefined, target.refusal);
    fail(target.refusal, "");
    return;
  }
  const { host, port } = target.value;
  const name = `${hostText(host)}:${port}`;
  const attempt: Attempt = {
    kind: "tunnel",
    host,
    port,
    method: "CONNECT",
    path: "",
    searched: false,
    granted: false,
  };
  const admitted = traffic.admit(attempt, (policy) => decideConnection(policy, host, port));
  if (!admitted.ok) {
    fail(admitted.refusal, name);
    return;
  }
  const { passage, decision } = admitted;

  let early: Uint8Array = options.rest;
  client.listener = {
    data(bytes) {
      early = joined(early, bytes);
      client.pause();
    },
    drain() {},
    end: () => client.destroy(),
    close: () => passage.end("failed", "sandbox-closed", 0),
  };
  passage.onCut((refusal) => {
    passage.end("cut", refusal.code, refusal.status);
    fail(refusal, name);
  });
  const tunnel: Tunnel = {
    ...options,
    passage,
    host,
    port,
    early: () => early,
    fail(refusal) {
      passage.end(refusal.status === 403 ? "refused" : "failed", refusal.code, refusal.status);
      fail(refusal, name);
    },
  };
  const broken = (thrown: unknown) => {
    options.failed(thrown);
    passage.end("failed", "internal", 0);
    client.destroy();
  };
  // HTTP in a tunnel is read like any other.
  if (decision.treatment === "inspect" || (decision.treatment === "pass" && port === 80))
    void readInside(tunnel).catch(broken);
  else void passThrough(tunnel, decision.treatment === "pass").catch(broken);
}

interface Tunnel extends TunnelOptions {
  passage: Passage;
  host: Host;
  port: number;
  /** What the client has sent while it waited. */
  early(): Uint8Array;
  fail(refusal: Refusal): void;
}

/** Bytes that are not looked at; `checked`: but for the ClientHello, which must name the host. */
async function passThrough(tunnel: Tunnel, checked: boolean): Promise<void> {
  const { client, passage, traffic, deadlines, waits, host, port } = tunnel;
  const dialled = await tunnel.dialler.dial(host, port, passage);
  if (passage.gone) {
    if (dialled.ok) dialled.wire.destroy();
    return;
  }
  if (!dialled.ok) return tunnel.fail(dialled.refusal);
  const upstream = dialled.wire;
  passage.reached(dialled.address);
  client.write(established);
  let fromClient = tunnel.early();
  if (checked) {
    // What it says before the client does stays with it until both are joined.
    upstream.pause();
    upstream.listener = {
      ...deaf,
      close() {
        passage.end("failed", "unreachable", 200);
        client.destroy();
      },
    };
    passage.onCut(({ code }) => {
      passage.end("cut", code, 200);
      client.destroy();
    });
    const hello = await readHello(client, deadlines, fromClient, host, waits.hello);
    if (!hello.ok || passage.gone) {
      if (!hello.ok) passage.end(hello.verdict, hello.reason, 200);
      upstream.listener = deaf;
      upstream.destroy();
      return endWithAlert(client, deadlines, waits);
    }
    fromClient = hello.bytes;
  }
  join({ client, upstream, passage, traffic, deadlines, waits, fromClient, fromUpstream: dialled.first });
}

/** Requests in the clear or inside TLS that ends here; each of them is decided and dialled for itself. */
async function readInside(tunnel: Tunnel): Promise<void> {
  const { client, passage, deadlines, waits, authority, host, port } = tunnel;
  // A name that leads nowhere is told before the tunnel is granted.
  const resolved = await tunnel.resolver?.resolve(host, port);
  if (passage.gone) return;
  if (resolved?.ok === false) return tunnel.fail(resolved.refusal);
  client.write(established);
  passage.onCut(({ code }) => {
    passage.end("cut", code, 200);
    client.destroy();
  });
  if (port === 80) return serveInside(tunnel, "http", client, tunnel.early());
  const hello = await readHello(client, deadlines, tunnel.early(), host, waits.hello);
  if (!hello.ok || passage.gone) {
    if (!hello.ok) passage.end(hello.verdict, hello.reason, 200);
    return endWithAlert(client, deadlines, waits);
  }
  try {
    const over = streamUnderTls(client, hello.bytes);
    const tls = await interceptTls({ stream: over, authority, host: host.text, withinMs: waits.hello });
    serveInside(tunnel, "https", wireOf(tls, over, tunnel.failed), new Uint8Array());
  } catch {
    // A program that does not trust the appliance, as a rule: it has said so to whoever started it.
    passage.end("failed", "tls-failed", 200);
    client.destroy();
  }
}

/** Their bytes are counted with each request. */
function serveInside(tunnel: Tunnel, scheme: "http" | "https", wire: Wire, first: Uint8Array): void {
  const { traffic, upstreams, deadlines, waits, passage, host, port } = tunnel;
  const closed = () => passage.end("allowed", passage.rule, 200);
  passage.onCut(({ code }) => {
    passage.end("cut", code, 200);
    wire.destroy();
  });
  if (wire.closed) {
    closed();
    return;
  }
  serveProxyConnection({
    ...{ traffic, upstreams, deadlines, waits, wire, first },
    serves: {
      kind: "origin",
      origin: { scheme, host, port },
      rowKind: scheme === "https" ? "inspected" : "http",
      granted: passage.granted,
    },
    closed,
  });
}

function endWithAlert(client: Wire, deadlines: Deadlines, waits: Waits): void {
  client.write(alert);
  linger(client, deadlines, waits);
}

/** Ends it in order, and reads on for a while: a reset must not overtake what was said. */
function linger(client: Wire, deadlines: Deadlines, waits: Waits): void {
  if (client.closed) return;
  const deadline = deadlines.add(() => client.destroy());
  deadline.set(waits.linger);
  client.listener = { ...deaf, end: () => client.destroy(), close: () => deadline.clear() };
  client.end();
  client.resume();
}
