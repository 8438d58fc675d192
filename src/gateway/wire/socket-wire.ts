import type { Socket } from "bun";
import { free } from "./free.ts";
import { deaf, type Wire, type WireListener } from "./wire.ts";

/** What Bun keeps with a socket. */
export interface WireData {
  wire: SocketWire | undefined;
}

/** Told of what a listener throws: a defect, which ends that one connection. */
export type Failed = (thrown: unknown) => void;

/** Handlers for `Bun.listen` and `Bun.connect`, with `allowHalfOpen`. `opened` gets the wire of each connection. */
export function wireHandlers(opened: (wire: Wire) => void, failed: Failed) {
  // What a handler of Bun's throws would end the process.
  const broken = (socket: Socket<WireData>, thrown: unknown) => {
    failed(thrown);
    socket.terminate();
  };
  return {
    binaryType: "uint8array" as const,
    open(socket: Socket<WireData>) {
      const wire = new SocketWire(socket);
      socket.data = { wire };
      try {
        opened(wire);
      } catch (thrown) {
        broken(socket, thrown);
      }
    },
    data(socket: Socket<WireData>, bytes: Uint8Array) {
      try {
        socket.data.wire?.listener.data(bytes);
      } catch (thrown) {
        broken(socket, thrown);
      }
    },
    drain(socket: Socket<WireData>) {
      try {
        socket.data.wire?.drained();
      } catch (thrown) {
        broken(socket, thrown);
      }
    },
    end(socket: Socket<WireData>) {
      try {
        socket.data.wire?.peerEnded();
      } catch (thrown) {
        broken(socket, thrown);
      }
    },
    close(socket: Socket<WireData>) {
      try {
        socket.data?.wire?.gone();
      } catch (thrown) {
        failed(thrown);
      }
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
  options: { asker: Asker; timeoutMs: number; failed: Failed },
): Promise<Wire> {
  const { asker, timeoutMs, failed } = options;
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
    }, failed);
    Bun.connect<WireData>({
      hostname: to.hostname,
      port: to.port,
      allowHalfOpen: true,
      data: { wire: undefined },
      socket: handlers,
    }).catch((thrown: unknown) => over || fail(thrown instanceof Error ? thrown : new Error(String(thrown))));
  });
}

/** What waits to be written, and what is to be freed once it is. */
interface Pending {
  rest: Uint8Array;
  spent: Uint8Array[];
}

const nothing: Pending[] = [];

/** A class, so that a connection costs no closures: there are thousands a second. */
class SocketWire implements Wire {
  listener: WireListener = deaf;
  closed = false;
  buffered = 0;
  private pending = nothing;
  private ending = false;
  private paused = false;
  private readOver = false;
  private readonly socket: Socket<WireData>;

  constructor(socket: Socket<WireData>) {
    this.socket = socket;
  }

  get behind(): boolean {
    return this.buffered > 0;
  }

  write(bytes: Uint8Array): boolean {
    if (this.closed || this.ending) return true;
    let rest = bytes;
    if (this.buffered === 0) {
      const written = this.socket.write(bytes);
      if (written === bytes.length) return true;
      if (written < 0) return this.lost();
      rest = bytes.subarray(written);
      this.pending = [];
    }
    this.pending.push({ rest, spent: [] });
    this.buffered += rest.length;
    return false;
  }

  spent(bytes: Uint8Array): void {
    const last = this.pending.at(-1);
    if (last === undefined) free(bytes);
    else last.spent.push(bytes);
  }

  end(): void {
    if (this.closed || this.ending) return;
    this.ending = true;
    if (this.buffered === 0) this.finish();
  }

  destroy(): void {
    if (this.closed) return;
    // In order where nothing is left to say: a reset could overtake the last answer.
    const abrupt = this.buffered > 0;
    this.drop();
    if (abrupt) this.socket.terminate();
    else this.socket.end();
  }

  pause(): void {
    if (this.closed || this.paused) return;
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (this.closed || !this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  drained(): void {
    for (let first = this.pending[0]; first !== undefined; first = this.pending[0]) {
      const written = this.socket.write(first.rest);
      if (written < 0) return void this.lost();
      this.buffered -= written;
      if (written < first.rest.length) {
        first.rest = first.rest.subarray(written);
        return;
      }
      this.pending.shift();
      first.spent.forEach(free);
    }
    if (this.ending) this.finish();
    else this.listener.drain();
  }

  peerEnded(): void {
    this.readOver = true;
    if (this.ending && this.buffered === 0) this.socket.end();
    this.listener.end();
  }

  gone(): void {
    if (this.closed) return;
    this.closed = true;
    this.drop();
    const { listener } = this;
    this.listener = deaf;
    listener.close();
  }

  /** The other side is gone. Said later, since whoever writes expects no `close` before the write has returned. */
  private lost(): true {
    this.ending = true;
    this.drop();
    // A socket that is paused would not hear of it.
    queueMicrotask(() => this.socket.terminate());
    return true;
  }

  private drop(): void {
    this.pending = nothing;
    this.buffered = 0;
  }

  /** The whole connection once the other side has ended, too; else this direction alone. */
  private finish(): void {
    if (this.readOver) this.socket.end();
    else this.socket.shutdown();
  }
}
