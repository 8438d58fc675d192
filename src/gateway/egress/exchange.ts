import { bytesText } from "../../domain/amounts.ts";
import type { InjectedCredential } from "../../domain/egress.ts";
import { messageOf } from "../../domain/errors.ts";
import { hostText } from "../../domain/host.ts";
import type { Deadlines } from "../wire/deadlines.ts";
import { deaf, type Wire } from "../wire/wire.ts";
import { writeAll } from "../wire/write-all.ts";
import { createAnswer } from "./answer.ts";
import type { SecretStream } from "./filter/secret-search.ts";
import { type BodyFraming, chunkOf, createBodyReader, lastChunk } from "./http/body.ts";
import { requestBytes } from "./http/forward-headers.ts";
import { headerOf, type RequestHead, wantsClose } from "./http/request-head.ts";
import { bodyTooLarge, type Refusal, refusalBytes, refusalOf } from "./refusal.ts";
import type { Passage, Traffic } from "./traffic.ts";
import type { Origin, Upstream, Upstreams } from "./upstreams.ts";
import type { Waits } from "./waits.ts";

/** One admitted request and its answer. The connection's owner passes on what the client's wire tells. */
export interface Exchange {
  /** More bytes of the client are in the buffer. */
  data(): void;
  drain(): void;
  /** The client has sent its last byte. */
  end(): void;
  closed(): void;
}

export interface ExchangeOptions {
  traffic: Traffic;
  passage: Passage;
  upstreams: Upstreams;
  deadlines: Deadlines;
  waits: Waits;
  client: Wire;
  /** What the client has sent and nobody has taken; the exchange takes its body from it. */
  buffer: { bytes: Uint8Array };
  origin: Origin;
  head: RequestHead;
  path: string;
  framing: BodyFraming;
  maxBody: number;
  credentials: readonly InjectedCredential[];
  /** It is over; `reusable` where the client's connection may carry another request. */
  done(reusable: boolean): void;
}

/** A client's bytes that may wait while it is not yet known whether they pass. */
const maxWaiting = 64 * 1024;
const nothing: Uint8Array = new Uint8Array();

export function startExchange(options: ExchangeOptions): Exchange {
  const { traffic, passage, upstreams, waits, client, buffer, origin, head, framing, credentials } = options;
  const bodyReader = createBodyReader(framing);
  let body: SecretStream | undefined;
  let upstream: Upstream | undefined;
  let bodySize = 0;
  let bodyDone = framing.kind === "none" || (framing.kind === "length" && framing.length === 0);
  let blocked = false;
  let clientEnded = false;
  let over = false;
  const deadline = options.deadlines.add(() => {
    if (!bodyDone && !blocked && upstream !== undefined && !answer.begun)
      stop(refusalOf("too-slow", "the request's body stopped coming"), "refused");
    else if (!answer.begun)
      stop(refusalOf("timeout", `${hostText(origin.host)} did not answer in time`), "failed");
    else stop(refusalOf("timeout", "nothing moved for too long"), "failed");
  });

  const answer = createAnswer({
    client,
    method: head.method,
    minor: head.minor,
    wantsClose: wantsClose(head),
    redaction: credentials.length > 0 ? traffic.echoesAt(origin.host) : undefined,
    sent: (bytes) => passage.down(bytes),
  });

  /** The end of what cannot go on: told to the client where it has heard nothing yet. */
  const stop = (refusal: Refusal, verdict: "refused" | "failed" | "cut") => {
    if (over) return;
    over = true;
    deadline.clear();
    upstream?.wire.destroy();
    passage.end(verdict, refusal.code, answer.begun ? answer.status : refusal.status);
    if (answer.begun) return client.destroy();
    client.write(
      refusalBytes(refusal, `${hostText(origin.host)}:${origin.port}`, {
        close: true,
        head: head.method === "HEAD",
      }),
    );
    options.done(false);
  };

  passage.onCut((refusal) => stop(refusal, "cut"));

  const finish = () => {
    if (over) return;
    over = true;
    deadline.clear();
    passage.end("allowed", passage.rule, answer.status);
    // What is left of a body that the origin did not want has no place to go.
    const reusable = bodyDone && answer.clientReusable;
    if (upstream !== undefined) {
      if (bodyDone && answer.upstreamReusable) upstreams.keep(origin, upstream);
      else upstream.wire.destroy();
    }
    options.done(reusable);
  };

  /** Passes on what may leave. False: it was stopped. */
  const send = (pieces: readonly Uint8Array[], last: boolean): boolean => {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    bodySize += length;
    if (bodySize > options.maxBody) {
      stop(bodyTooLarge("more", options.maxBody), "refused");
      return false;
    }
    if (!passage.up(length)) {
      stop(budgetSpent(traffic), "cut");
      return false;
    }
    const out = framing.kind === "chunked" ? [...chunkOf(pieces), ...(last ? [lastChunk] : [])] : pieces;
    if (upstream !== undefined && !writeAll(upstream.wire, out)) blocked = true;
    return true;
  };

  const pump = () => {
    if (upstream === undefined || over) return;
    if (!bodyDone) body ??= traffic.search().start();
    while (body !== undefined && !bodyDone && !blocked && buffer.bytes.length > 0) {
      const taken = buffer.bytes;
      const read = bodyReader.read(taken);
      if (!read.ok) return stop(refusalOf("bad-framing", read.why), "refused");
      const isAll = read.consumed === taken.length;
      buffer.bytes = isAll ? nothing : taken.subarray(read.consumed);
      const pass: Uint8Array[] = [];
      for (const content of read.content) {
        const found = body.push(content);
        if ("found" in found) return stop(secretFound(traffic, found.found, origin), "refused");
        pass.push(...found.pass);
      }
      if (read.done) {
        const rest = body.end();
        if ("found" in rest) return stop(secretFound(traffic, rest.found, origin), "refused");
        pass.push(...rest.pass);
      }
      if (!send(pass, read.done)) return;
      if (isAll) upstream.wire.spent(taken);
      bodyDone = read.done;
    }
    if (clientEnded && !bodyDone && !blocked)
      return stop(refusalOf("bad-request", "the request's body ended too early"), "failed");
    if (blocked) client.pause();
    else client.resume();
    deadline.set(bodyDone ? (answer.begun ? waits.stall : waits.answer) : blocked ? waits.stall : waits.body);
  };

  const failed = (text: string) => stop(refusalOf("bad-answer", text), "failed");

  const start = (fresh: boolean) =>
    void begin(fresh).catch((thrown: unknown) =>
      stop(refusalOf("bad-request", `the request cannot be passed on (${messageOf(thrown)})`), "failed"),
    );

  const begin = async (fresh: boolean) => {
    const got = await upstreams.get(origin, { fresh, asker: passage });
    if (over) return void (got.ok && got.upstream.wire.destroy());
    if (!got.ok) return stop(got.refusal, got.refusal.code === "address-not-allowed" ? "refused" : "failed");
    const chosen = got.upstream;
    upstream = chosen;
    passage.reached(chosen.address);
    let heard = false;
    chosen.wire.listener = {
      data(bytes) {
        heard = true;
        const taken = answer.take(bytes);
        if (!taken.ok) return failed(`${hostText(origin.host)} answered with ${taken.why}`);
        if (taken.complete) return finish();
        if (taken.blocked) chosen.wire.pause();
        if (answer.begun) deadline.set(waits.stall);
      },
      drain() {
        blocked = false;
        pump();
      },
      end() {
        if (answer.end()) return finish();
        lost();
      },
      close: () => lost(),
    };
    /** A kept connection may close as a request is on its way; what may be sent again (RFC 9110, 9.2.2) is, once. */
    const lost = () => {
      if (over) return;
      const again = chosen.used && !heard && !fresh && framing.kind === "none" && isIdempotent(head.method);
      if (!again)
        return failed(`${hostText(origin.host)} closed the connection before its answer was complete`);
      chosen.wire.listener = deaf;
      chosen.wire.destroy();
      upstream = undefined;
      start(true);
    };
    const out = requestBytes({
      method: head.method,
      path: options.path,
      host: hostHeader(origin),
      headers: head.headers,
      framing,
      set: credentials.map(({ header, value }) => [header, value] as const),
      ...(credentials.length > 0 && { omit: ["accept-encoding"] }),
    });
    if (!passage.up(out.length)) return stop(budgetSpent(traffic), "refused");
    // A connection through an upstream proxy was paused when it was granted.
    chosen.wire.resume();
    chosen.wire.write(out);
    const expects = head.minor === 1 && headerOf(head, "expect")?.toLowerCase() === "100-continue";
    if (!bodyDone && expects && buffer.bytes.length === 0)
      client.write(Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"));
    pump();
  };

  deadline.set(waits.answer);
  start(false);

  return {
    data() {
      if (upstream === undefined || blocked || bodyDone) {
        if (buffer.bytes.length > maxWaiting) client.pause();
      } else pump();
    },
    drain() {
      upstream?.wire.resume();
    },
    end() {
      clientEnded = true;
      // Part of the body may wait for an origin that is being dialled, or is slow.
      if (!bodyDone) pump();
    },
    closed() {
      if (over) return;
      over = true;
      deadline.clear();
      upstream?.wire.destroy();
      passage.end("failed", "sandbox-closed", answer.begun ? answer.status : 0);
    },
  };
}

export function secretFound(traffic: Traffic, name: string, { host, port }: Origin): Refusal {
  traffic.notice(
    `A request to ${hostText(host)}:${port} was stopped: it carried ${name}, which must not leave this appliance.`,
  );
  return refusalOf("secret-found", `the request carries ${name}, which must not leave`);
}

export function budgetSpent(traffic: Traffic): Refusal {
  const limit = bytesText(traffic.egress()?.limits.uploadBytes ?? 0);
  traffic.notice(
    `The sandbox has used up its upload budget of ${limit}; the rest of what it sends is refused.`,
  );
  return refusalOf("upload-budget", `this sandbox may upload ${limit} in all, and that is used up`);
}

function hostHeader({ scheme, host, port }: Origin): string {
  const usual = scheme === "http" ? 80 : 443;
  return port === usual ? hostText(host) : `${hostText(host)}:${port}`;
}

function isIdempotent(method: string): boolean {
  return /^(GET|HEAD|OPTIONS|PUT|DELETE)$/.test(method);
}
