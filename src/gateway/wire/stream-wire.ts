import { Duplex } from "node:stream";
import { free } from "./free.ts";
import type { Failed } from "./socket-wire.ts";
import { deaf, type Wire } from "./wire.ts";

/** What a stream holds before it says "no more": the same as a wire's listener may get in one read. */
const highWaterMark = 64 * 1024;

/** A wire as Node's streams know it; `first` is what was read from it before. The wire is the stream's from here on. */
export function streamOf(wire: Wire, first: Uint8Array): Duplex {
  return duplexOver(wire, first, "kept");
}

/** The same, to speak TLS over: what the runtime's TLS writes nobody else has, so that it is freed. */
export function streamUnderTls(wire: Wire, first: Uint8Array): Duplex {
  return duplexOver(wire, first, "freed");
}

function duplexOver(wire: Wire, first: Uint8Array, written: "kept" | "freed"): Duplex {
  let waiting: ((error?: Error | null) => void) | undefined;
  const stream = new Duplex({
    allowHalfOpen: true,
    highWaterMark,
    read() {
      wire.resume();
    },
    write(chunk: Uint8Array, _encoding, done) {
      const more = wire.write(chunk);
      if (written === "freed") wire.spent(chunk);
      if (more) done();
      else waiting = done;
    },
    final(done) {
      wire.end();
      done();
    },
    destroy(error, done) {
      wire.destroy();
      done(error);
    },
  });
  const go = () => {
    const then = waiting;
    waiting = undefined;
    then?.();
  };
  wire.listener = {
    data(bytes) {
      if (!stream.push(bytes)) wire.pause();
    },
    drain: go,
    end: () => void stream.push(null),
    close() {
      go();
      if (!stream.readableEnded) stream.push(null);
      stream.destroy();
    },
  };
  if (first.length > 0 && !stream.push(first)) wire.pause();
  return stream;
}

/**
 * TLS as a wire. `over` is what it is spoken over: the runtime's TLS hands all it is given to that stream at once and
 * never waits for it, so who is behind is seen there; and what it has read it keeps without bound when it is paused
 * and resumed in turns, so that stream is paused in its stead.
 */
export function wireOf(tls: Duplex, over: Duplex, failed: Failed): Wire {
  let closed = tls.destroyed;
  let ending = false;
  let paused = false;
  /** What came out of the last bytes that were read before the pause, and what happened then. */
  let held: Uint8Array[] = [];
  let ended = false;
  let gone = false;
  /** Writes that TLS has not encrypted yet, and what is to be freed after them. */
  let unwritten = 0;
  let spent: Uint8Array[] = [];
  const written = () => {
    unwritten -= 1;
    if (unwritten > 0) return;
    spent.forEach(free);
    spent = [];
  };
  const wire: Wire = {
    listener: deaf,
    get closed() {
      return closed;
    },
    get behind() {
      return tls.writableNeedDrain || over.writableNeedDrain;
    },
    get buffered() {
      return tls.writableLength + over.writableLength;
    },
    write(bytes) {
      if (closed || ending || tls.destroyed) return true;
      unwritten += 1;
      return tls.write(bytes, written) && !over.writableNeedDrain;
    },
    spent(bytes) {
      if (unwritten === 0) free(bytes);
      else spent.push(bytes);
    },
    end() {
      if (closed || ending) return;
      ending = true;
      tls.end();
    },
    destroy() {
      held = [];
      tls.destroy();
    },
    pause() {
      paused = true;
      over.pause();
    },
    resume() {
      if (!paused) return;
      paused = false;
      queueMicrotask(deliver);
    },
  };
  // What an event's listener throws would end the process.
  const guarded = <Arguments extends unknown[]>(listen: (...given: Arguments) => void) => {
    return (...given: Arguments) => {
      try {
        listen(...given);
      } catch (thrown) {
        failed(thrown);
        tls.destroy();
      }
    };
  };
  const deliver = guarded(() => {
    while (!paused && held.length > 0) wire.listener.data(held.shift() as Uint8Array);
    if (paused) return;
    if (ended) tellEnd();
    if (gone) tellClose();
    else over.resume();
  });
  const tellEnd = () => {
    ended = false;
    wire.listener.end();
  };
  const tellClose = () => {
    if (closed) return;
    closed = true;
    const { listener } = wire;
    wire.listener = deaf;
    listener.close();
  };
  const drain = guarded(() => {
    if (!wire.behind) wire.listener.drain();
  });
  const data = guarded((bytes: Uint8Array) => {
    if (paused || held.length > 0) held.push(bytes);
    else wire.listener.data(bytes);
  });
  const end = guarded(() => {
    ended = true;
    if (held.length === 0) tellEnd();
  });
  const close = guarded(() => {
    gone = true;
    if (held.length === 0) tellClose();
  });
  tls.on("data", data);
  tls.on("drain", drain);
  over.on("drain", drain);
  // It comes behind the listener of TLS, which copies what it reads.
  over.on("data", free);
  tls.on("end", end);
  tls.on("error", () => tls.destroy());
  tls.on("close", close);
  return wire;
}
