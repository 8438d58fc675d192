import type {
  Agent,
  ClientRequest,
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  ServerResponse,
} from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { ModelApi } from "../../domain/model.ts";
import { drained, errorEvent, type Refusal, sendRefusal } from "./api-error.ts";
import {
  brokenOff,
  notConnected,
  silent,
  tooLarge,
  unreachable,
  unusable,
  uploadStalled,
} from "./endpoint-faults.ts";
import { responseHeaders } from "./headers.ts";
import type { SecretMask } from "./mask-secret.ts";
import { createUsageMeter } from "./usage-meter.ts";
import type { Usage } from "./usage-reader.ts";

/** Milliseconds; each is how long nothing may happen in that part of an exchange. */
export interface ModelDoorLimits {
  /** The largest request, in bytes. The API itself takes 32 MB; endpoints of one's own may take more. */
  requestBytes: number;
  connectMs: number;
  /** The sandbox is sending its request. */
  uploadIdleMs: number;
  /** The endpoint has the request. As long as the agent itself waits, so that the door is never the one to give up first. */
  firstByteMs: number;
  /** The answer has begun. The API sends a ping every few seconds; a model server of one's own may not. */
  idleMs: number;
  /**
   * A connection waits for the next request. Less than any server in use keeps one (5 s is the shortest), so that a
   * request does not meet a connection that is being closed.
   */
  keepMs: number;
  /** A request of a task that is being paused waits for its sandbox to be stopped. */
  holdMs: number;
}

export const defaultLimits: ModelDoorLimits = {
  requestBytes: 64 * 1024 * 1024,
  connectMs: 10_000,
  uploadIdleMs: 30_000,
  firstByteMs: 600_000,
  idleMs: 300_000,
  keepMs: 4_000,
  holdMs: 60_000,
};

export interface Exchange {
  /** What the sandbox saw; 0 where it went away before an answer began. */
  status: number;
  /** As the request names it; the answer's word is better. */
  requestedModel: string;
  usage: Usage;
  firstByteMs: number;
  totalMs: number;
  /** Why it did not go well, for the log. */
  failure: string | undefined;
}

export interface Upstream {
  url: URL;
  api: ModelApi;
  agent: Agent;
  headers: OutgoingHttpHeaders;
  /** What is sent instead of what comes in, which was read already. */
  body?: Buffer | undefined;
  /** Of an answer that the sandbox is not to have: what it is told instead, after `holdMs`. */
  refuse?(status: number, headers: IncomingHttpHeaders): Refusal | undefined;
}

/**
 * Passes one request on and its answer back, both as streams in which the slow side slows the fast one. Resolves
 * when both sides are done, however that came about; never rejects.
 *
 * By `node:http`, not `fetch`: Bun's fetch holds back the 257th request at once until another one ends (measured
 * with 1.4.5: 400 streams at once, first byte of the last one after 1100 ms against 177 ms).
 */
export function forward(
  incoming: IncomingMessage,
  response: ServerResponse,
  upstream: Upstream,
  mask: SecretMask,
  limits: ModelDoorLimits,
): Promise<Exchange> {
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  const { host, protocol } = upstream.url;
  const faults = {
    connect: notConnected(host, limits.connectMs),
    upload: uploadStalled(limits.uploadIdleMs),
    firstByte: silent(host, limits.firstByteMs),
    idle: silent(host, limits.idleMs),
  };

  return new Promise((resolve) => {
    let outgoing: ClientRequest | undefined;
    let answer: IncomingMessage | undefined;
    let meter = createUsageMeter("", upstream.api);
    let requestedModel = "";
    let received = 0;
    let status = 0;
    let firstByteMs: number | undefined;
    let connected = false;
    let held = false;
    let ended = false;
    const watch = createWatch((refused) => fail(refused));

    function end(failure: string | undefined, last: Promise<void> = Promise.resolve()): void {
      if (ended) return;
      ended = true;
      watch.stop();
      // After a whole exchange the connection serves the next one.
      if (answer?.complete !== true || !incoming.complete) outgoing?.destroy();
      const totalMs = elapsed();
      const times = { firstByteMs: firstByteMs ?? totalMs, totalMs };
      const exchange = { status, requestedModel, usage: meter.usage(), failure, ...times };
      resolve(last.then(() => exchange));
    }

    /** Tells the sandbox what went wrong, in the way that is left at this point of the answer. */
    function fail(refused: Refusal): void {
      if (ended) return;
      if (!response.headersSent) {
        status = refused.status;
        end(refused.message, sendRefusal(incoming, response, refused));
        return;
      }
      if (meter.betweenEvents()) {
        response.end(errorEvent(refused, upstream.api));
      } else {
        // In the middle of an event or of a JSON text, a broken connection is the only thing that cannot be misread.
        response.destroy();
      }
      end(refused.message);
    }

    /** Something moved: from now on wait for what comes next. */
    function moved(): void {
      if (held) return;
      if (answer !== undefined) watch.expect(limits.idleMs, faults.idle);
      else if (!connected) watch.expect(limits.connectMs, faults.connect);
      else if (incoming.complete || incoming.isPaused()) watch.expect(limits.firstByteMs, faults.firstByte);
      else watch.expect(limits.uploadIdleMs, faults.upload);
    }

    function passOn(outgoing: ClientRequest): void {
      if (upstream.body !== undefined) {
        requestedModel = modelIn(upstream.body);
        outgoing.end(upstream.body);
      }
      incoming.on("data", (chunk: Buffer) => {
        if (ended) return;
        if (received === 0) requestedModel = modelIn(chunk);
        received += chunk.length;
        if (received > limits.requestBytes) return fail(tooLarge(limits.requestBytes));
        // An endpoint may answer before it has read everything, and then reads no more.
        if (answer?.complete === true) return;
        if (!outgoing.write(chunk)) incoming.pause();
        if (connected) moved();
      });
      incoming.on("end", () => {
        if (ended || upstream.body !== undefined) return;
        outgoing.end();
        if (connected) moved();
      });
      outgoing.on("drain", () => incoming.resume());
      outgoing.on("socket", (socket) => {
        const onConnected = () => {
          connected = true;
          moved();
        };
        if (outgoing.reusedSocket) onConnected();
        else socket.once(protocol === "https:" ? "secureConnect" : "connect", onConnected);
      });
      outgoing.on("error", (error) => {
        if (answer === undefined && !held) fail(unreachable(host, error));
      });
      outgoing.on("response", (message) => {
        firstByteMs = elapsed();
        const refused = unusable(message, host);
        if (refused !== undefined) return fail(refused);
        const instead = upstream.refuse?.(message.statusCode ?? 0, message.headers);
        if (instead === undefined) return passBack(message);
        held = true;
        message.on("error", () => {});
        message.resume();
        watch.expect(limits.holdMs, instead);
      });
    }

    function passBack(message: IncomingMessage): void {
      answer = message;
      meter = createUsageMeter(message.headers["content-type"] ?? "", upstream.api);
      status = message.statusCode ?? 0;
      response.writeHead(status, responseHeaders(message.headers, mask.text));
      // The head must not wait for the first event.
      response.flushHeaders();
      moved();
      message.on("data", (chunk: Buffer) => {
        if (ended) return;
        moved();
        meter.write(chunk);
        const clean = mask.write(chunk);
        if (clean.length > 0 && !response.write(clean)) message.pause();
      });
      response.on("drain", () => {
        moved();
        message.resume();
      });
      message.on("end", () => {
        if (ended) return;
        if (!message.complete) return fail(brokenOff(host));
        watch.stop();
        void drained(incoming).then(() => response.end(mask.end()));
      });
      message.on("error", () => fail(brokenOff(host)));
      message.on("close", () => {
        if (!message.complete) fail(brokenOff(host));
      });
    }

    response.on("finish", () => end(undefined));
    response.on("close", () => end("the sandbox went away"));
    if (Number(upstream.headers["content-length"]) > limits.requestBytes) {
      return fail(tooLarge(limits.requestBytes));
    }
    try {
      const send = protocol === "https:" ? httpsRequest : httpRequest;
      outgoing = send(upstream.url, { method: "POST", agent: upstream.agent, headers: upstream.headers });
      moved();
      passOn(outgoing);
    } catch (error) {
      fail(unreachable(host, error));
    }
  });
}

/** One timer for an exchange, set anew for whatever is waited for now. */
function createWatch(onSilence: (refused: Refusal) => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let expected: Refusal | undefined;
  return {
    expect(ms: number, otherwise: Refusal): void {
      if (timer !== undefined && expected === otherwise) {
        timer.refresh();
        return;
      }
      clearTimeout(timer);
      expected = otherwise;
      timer = setTimeout(() => onSilence(otherwise), ms);
    },
    stop(): void {
      clearTimeout(timer);
    },
  };
}

/** Agents put the model's name first; elsewhere it is not looked for, since the body is not held. */
function modelIn(firstChunk: Buffer): string {
  const beginning = firstChunk.subarray(0, 1024).toString("utf8");
  return /^\s*\{\s*"model"\s*:\s*"([\w.:/@-]{1,200})"/.exec(beginning)?.[1] ?? "";
}
