import { Duplex } from "node:stream";
import type { Failed } from "./socket-wire.ts";
import { deaf, type Wire } from "./wire.ts";

/** What a stream holds before it says "no more": the same as a wire's listener may get in one read. */
const highWaterMark = 64 * 1024;

/** A wire as Node's streams know it; `first` is what was read from it before. The wire is the stream's from here on. */
export function streamOf(wire: Wire, first: Uint8Array): Duplex {
  let waiting: ((error?: Error | null) => void) | undefined;
  const stream = new Duplex({
    allowHalfOpen: true,
    highWaterMark,
    read() {
      wire.resume();
    },
    write(chunk: Uint8Array, _encoding, done) {
      if (wire.write(chunk)) done();
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
 * never waits for it, so who is behind is seen there.
 */
export function wireOf(tls: Duplex, over: Duplex, failed: Failed): Wire {
  let closed = tls.destroyed;
  let ending = false;
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
      if (closed || ending) return true;
      return tls.write(bytes) && !over.writableNeedDrain;
    },
    end() {
      if (closed || ending) return;
      ending = true;
      tls.end();
    },
    destroy() {
      tls.destroy();
    },
    pause: () => void tls.pause(),
    resume: () => void tls.resume(),
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
  const drain = guarded(() => {
    if (!wire.behind) wire.listener.drain();
  });
  const data = guarded((bytes: Uint8Array) => wire.listener.data(bytes));
  const close = guarded(() => {
    if (closed) return;
    closed = true;
    const { listener } = wire;
    wire.listener = deaf;
    listener.close();
  });
  tls.on("data", data);
  tls.on("drain", drain);
  over.on("drain", drain);
  tls.on(
    "end",
    guarded(() => wire.listener.end()),
  );
  tls.on("error", () => tls.destroy());
  tls.on("close", close);
  return wire;
}
