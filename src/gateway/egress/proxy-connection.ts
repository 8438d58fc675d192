import { bytesText } from "../../domain/amounts.ts";
import { decideRequest, type EgressDecision, type EgressPolicy } from "../../domain/egress-policy.ts";
import { hostText } from "../../domain/host.ts";
import { plainName } from "../../domain/request-reading.ts";
import type { Deadlines } from "../wire/deadlines.ts";
import { joined } from "../wire/joined.ts";
import type { Wire } from "../wire/wire.ts";
import { type Exchange, secretFound, startExchange } from "./exchange.ts";
import { requestFraming } from "./http/body.ts";
import { maxHeadBytes, type RequestHead, readRequestHead, wantsClose } from "./http/request-head.ts";
import { bodyTooLarge, type Refusal, refusalBytes, refusalOf } from "./refusal.ts";
import { absoluteTarget, originTarget } from "./request-target.ts";
import type { Attempt, Traffic } from "./traffic.ts";
import type { Origin, Upstreams } from "./upstreams.ts";
import type { Waits } from "./waits.ts";

export interface ProxyConnectionOptions {
  traffic: Traffic;
  upstreams: Upstreams;
  deadlines: Deadlines;
  waits: Waits;
  wire: Wire;
  first: Uint8Array;
  /** `proxy`: each request names its host; CONNECT takes the connection over. Else all requests go to one origin. */
  serves:
    | { kind: "proxy"; connect(head: RequestHead, rest: Uint8Array): void }
    | {
        kind: "origin";
        origin: Origin;
        rowKind: Attempt["kind"];
        /** The connection has taken a grant for one connection. */
        granted: boolean;
      };
  /** The connection is over. */
  closed?(): void;
}

/** Requests one after the other on a client's connection, in the clear or inside TLS that the appliance ended. */
export function serveProxyConnection(options: ProxyConnectionOptions): void {
  const { traffic, upstreams, waits, wire, serves } = options;
  const buffer = { bytes: options.first };
  let exchange: Exchange | undefined;
  let state: "head" | "busy" | "lingering" | "over" = "head";
  /** Bytes of the buffer in which no head ended. */
  let searched = 0;
  let clientEnded = false;
  const deadline = options.deadlines.add(() => {
    if (state !== "head" || searched === 0) return wire.destroy();
    failUnread(refusalOf("too-slow", "the request's head did not come in time"));
  });

  /** Runs while the next head waits, since too much was refused. */
  const waiting = options.deadlines.add(() => {
    wire.resume();
    advance();
  });

  /** Says why and closes; what still comes is read and dropped, so that a reset does not overtake the answer. */
  const linger = (answer?: Uint8Array) => {
    if (state === "over") return;
    state = "lingering";
    exchange = undefined;
    if (answer !== undefined) wire.write(answer);
    wire.end();
    wire.resume();
    deadline.set(wire.buffered > 0 ? waits.flush : waits.linger);
  };
  const fail = (refusal: Refusal, attempt?: Attempt, head = false) => {
    const target = attempt === undefined ? "" : `${hostText(attempt.host)}:${attempt.port}`;
    linger(refusalBytes(refusal, target, { close: true, head }));
  };
  const failUnread = (refusal: Refusal) => {
    traffic.refuse(undefined, refusal);
    fail(refusal);
  };

  const advance = () => {
    while (state === "head") {
      // Who does not read its answers gets no more of them.
      if (wire.behind) {
        deadline.set(waits.stall);
        return wire.pause();
      }
      if (buffer.bytes.length === 0) {
        if (clientEnded) return linger();
        deadline.set(waits.betweenRequests);
        return;
      }
      if (searched === 0 && !traffic.mayAsk()) {
        deadline.clear();
        waiting.set(1);
        return wire.pause();
      }
      const read = readRequestHead(buffer.bytes, searched);
      if (read.kind === "more") {
        if (clientEnded) return linger();
        // Set once a head: bytes that trickle in do not prolong it.
        if (searched === 0) deadline.set(waits.head);
        searched = buffer.bytes.length;
        return;
      }
      searched = 0;
      waiting.clear();
      if (read.kind === "bad") return failUnread(read.bad);
      deadline.clear();
      const raw = buffer.bytes.subarray(0, read.length);
      buffer.bytes = buffer.bytes.subarray(read.length);
      state = "busy";
      begin(read.head, raw);
    }
  };

  const begin = (head: RequestHead, raw: Uint8Array) => {
    if (head.method === "CONNECT") {
      if (serves.kind === "origin")
        return failUnread(refusalOf("bad-request", "there is no CONNECT inside a connection to one host"));
      state = "over";
      return serves.connect(head, buffer.bytes);
    }
    const target = serves.kind === "proxy" ? absoluteTarget(head) : originTarget(head, serves.origin);
    if (!target.ok) return failUnread(target.refusal);
    const { origin, path } = target.value;
    const attempt: Attempt = {
      kind: serves.kind === "proxy" ? "http" : serves.rowKind,
      host: origin.host,
      port: origin.port,
      method: head.method,
      path,
      searched: false,
      granted: serves.kind === "origin" && serves.granted,
    };
    const isHead = head.method === "HEAD";
    const refuse = (refusal: Refusal) => {
      traffic.refuse(attempt, refusal);
      fail(refusal, attempt, isHead);
    };
    const framed = requestFraming(head);
    if (!framed.ok) return refuse(framed.bad);
    const { framing } = framed;

    const egress = traffic.egress();
    const credentials = origin.scheme === "https" ? traffic.credentialsFor(origin.host) : [];
    const injected = credentials.map(({ header }) => plainName(header));
    // What the proxy replaces is not the sandbox's own credential.
    const headers = head.headers
      .map(([name, value]) => [plainName(name), value] as const)
      .filter(([name]) => !injected.includes(name));
    const decide = (policy: EgressPolicy): EgressDecision =>
      decideRequest(policy, {
        host: origin.host,
        port: origin.port,
        method: head.method,
        target: path,
        headers,
      });
    const maxBody = egress?.limits.requestBytes ?? 0;
    if (framing.kind === "length" && framing.length > maxBody)
      return refuse(bodyTooLarge(bytesText(framing.length), maxBody));
    const stream = traffic.search().start();
    for (const found of [stream.push(raw), stream.end()])
      if ("found" in found) return refuse(secretFound(traffic, found.found, origin));

    const admitted = traffic.admit({ ...attempt, searched: true }, decide);
    if (!admitted.ok) {
      // A client that only reads may go on with its connection.
      if (framing.kind !== "none" || wantsClose(head)) return fail(admitted.refusal, attempt, isHead);
      const target = `${hostText(origin.host)}:${origin.port}`;
      wire.write(refusalBytes(admitted.refusal, target, { close: false, head: isHead }));
      state = "head";
      return;
    }
    exchange = startExchange({
      traffic,
      passage: admitted.passage,
      upstreams,
      deadlines: options.deadlines,
      waits,
      client: wire,
      buffer,
      origin,
      head: { ...head, headers: head.headers.filter(([name]) => !injected.includes(plainName(name))) },
      path,
      framing,
      maxBody,
      credentials,
      done(reusable) {
        exchange = undefined;
        if (state === "over") return;
        if (!reusable) return linger();
        state = "head";
        wire.resume();
        advance();
      },
    });
  };

  wire.listener = {
    data(bytes) {
      if (state === "lingering") return;
      buffer.bytes = joined(buffer.bytes, bytes);
      if (state === "head") advance();
      else exchange?.data();
      if (buffer.bytes.length > 2 * maxHeadBytes) wire.pause();
    },
    drain() {
      if (exchange !== undefined) return exchange.drain();
      if (state !== "head") return;
      wire.resume();
      advance();
    },
    end() {
      clientEnded = true;
      if (exchange !== undefined) exchange.end();
      else if (state === "head") advance();
      else if (wire.buffered === 0) wire.destroy();
    },
    close() {
      state = "over";
      deadline.clear();
      waiting.clear();
      exchange?.closed();
      options.closed?.();
    },
  };
  wire.resume();
  advance();
}
