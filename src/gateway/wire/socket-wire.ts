import type { Socket } from "bun";
import { deaf, type Wire } from "./wire.ts";

/** What Bun keeps with a socket. */
export interface WireData {
  wire: SocketWire | undefined;
}

interface SocketWire extends Wire {
  drained(): void;
  peerEnded(): void;
  gone(): void;
}

/** Handlers for `Bun.listen` and `Bun.connect`, with `allowHalfOpen`. `opened` gets the wire of each connection. */
export function wireHandlers(opened: (wire: Wire) => void) {
  return {
    binaryType: "uint8array" as const,
    open(socket: Socket<WireData>) {
      const wire = socketWire(socket);
      socket.data = { wire };
      opened(wire);
    },
    data(socket: Socket<WireData>, bytes: Uint8Array) {
      socket.data.wire?.listener.data(bytes);
    },
    drain(socket: Socket<WireData>) {
      socket.data.wire?.drained();
    },
    end(socket: Socket<WireData>) {
      socket.data.wire?.peerEnded();
    },
    close(socket: Socket<WireData>) {
      socket.data?.wire?.gone();
    },
    error(socket: Socket<WireData>) {
      socket.terminate();
    },
  };
}

/** For whom something is done that takes time. An AbortSignal says the same, at many times the cost. */
export interface Asker {
  /** Nobody waits for it any more. */
  readonly gone: boolean;
  /** Calls back when that happens; replaces what was set before. */
  onGone(then: () => void): void;
}

/**
 * Connects. Rejects when nobody listens, when the asker is gone and after `timeoutMs`. Whoever waits for it sets the
 * wire's listener in the same turn: nothing is kept for a listener that comes later.
 */
export async function connectSocket(
  to: { hostname: string; port: number },
  options: { asker: Asker; timeoutMs: number },
): Promise<Wire> {
  const { asker, timeoutMs } = options;
  return await new Promise<Wire>((resolve, reject) => {
    let over = false;
    const fail = (reason: Error) => {
      over = true;
      clearTimeout(timer);
      reject(reason);
    };
    const timer = setTimeout(() => fail(new Error("no answer in time")), timeoutMs);
    if (asker.gone) return fail(new Error("given up"));
    asker.onGone(() => over || fail(new Error("given up")));
    const handlers = wireHandlers((wire) => {
      if (over) return wire.destroy();
      over = true;
      clearTimeout(timer);
      resolve(wire);
    });
    Bun.connect<WireData>({
      hostname: to.hostname,
      port: to.port,
      allowHalfOpen: true,
      data: { wire: undefined },
      socket: handlers,
    }).catch((thrown: unknown) => over || fail(thrown instanceof Error ? thrown : new Error(String(thrown))));
  });
}

function socketWire(socket: Socket<WireData>): SocketWire {
  let pending: Uint8Array[] = [];
  let buffered = 0;
  let ending = false;
  let paused = false;
  let readOver = false;
  let closed = false;

  /** The whole connection once the other side has ended, too; else this direction alone. */
  const finish = () => void (readOver ? socket.end() : socket.shutdown());

  const wire: SocketWire = {
    listener: deaf,
    get closed() {
      return closed;
    },
    get buffered() {
      return buffered;
    },
    write(bytes) {
      if (closed || ending) return true;
      if (buffered === 0) {
        const written = Math.max(0, socket.write(bytes));
        if (written === bytes.length) return true;
        bytes = bytes.subarray(written);
      }
      pending.push(bytes);
      buffered += bytes.length;
      return false;
    },
    end() {
      if (closed || ending) return;
      ending = true;
      if (buffered === 0) finish();
    },
    destroy() {
      if (closed) return;
      // In order where nothing is left to say: a reset could overtake the last answer.
      const abrupt = buffered > 0;
      pending = [];
      buffered = 0;
      if (abrupt) socket.terminate();
      else socket.end();
    },
    pause() {
      if (closed || paused) return;
      paused = true;
      socket.pause();
    },
    resume() {
      if (closed || !paused) return;
      paused = false;
      socket.resume();
    },
    drained() {
      while (pending.length > 0) {
        const first = pending[0] as Uint8Array;
        const written = Math.max(0, socket.write(first));
        buffered -= written;
        if (written < first.length) {
          pending[0] = first.subarray(written);
          return;
        }
        pending.shift();
      }
      if (ending) finish();
      else wire.listener.drain();
    },
    peerEnded() {
      readOver = true;
      if (ending && buffered === 0) socket.end();
      wire.listener.end();
    },
    gone() {
      if (closed) return;
      closed = true;
      pending = [];
      buffered = 0;
      wire.listener.close();
      wire.listener = deaf;
    },
  };
  return wire;
}
