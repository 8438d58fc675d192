import type { Socket, TCPSocketListener } from "bun";

export interface Forward {
  readonly port: number;
  close(): void;
}

/**
 * Listens on loopback and joins each connection to the door's Unix socket. Each direction ends by itself
 * (half-close), and a side that does not read stops the other side from being read: what is held per connection
 * and direction is at most one read of the kernel.
 */
export function startForward(options: { port: number; socketPath: string }): Forward {
  const listener: TCPSocketListener<End> = Bun.listen<End>({
    hostname: "127.0.0.1",
    port: options.port,
    allowHalfOpen: true,
    socket: {
      open(client) {
        const near: End = createEnd();
        const far: End = createEnd();
        near.peer = far;
        far.peer = near;
        near.socket = client;
        client.data = near;
        client.pause();
        Bun.connect<End>({ unix: options.socketPath, allowHalfOpen: true, data: far, socket: handlers }).then(
          (door) => {
            far.socket = door;
            if (near.gone) return door.terminate();
            client.resume();
            handlers.drain(door);
          },
          // The door is away: what speaks HTTP here tries again by itself.
          () => client.terminate(),
        );
      },
      ...handlers,
    },
  });
  return { port: listener.port, close: () => listener.stop(true) };
}

interface End {
  socket: Socket<End> | undefined;
  peer: End | undefined;
  /** Bytes that this end's socket has not taken yet. */
  pending: Uint8Array | undefined;
  /** The other side has ended: end this socket once `pending` is out. */
  ending: boolean;
  gone: boolean;
}

const createEnd = (): End => ({
  socket: undefined,
  peer: undefined,
  pending: undefined,
  ending: false,
  gone: false,
});

const handlers = {
  data(from: Socket<End>, bytes: Buffer) {
    const to = from.data.peer;
    if (to === undefined || to.gone) return;
    if (to.socket === undefined || to.pending !== undefined) {
      // Bytes that were read before the pause took hold.
      to.pending = Buffer.concat([to.pending ?? new Uint8Array(), bytes]);
      return;
    }
    const written = Math.max(0, to.socket.write(bytes));
    if (written < bytes.length) {
      to.pending = Uint8Array.from(bytes.subarray(written));
      from.pause();
    }
  },
  drain(socket: Socket<End>) {
    const end = socket.data;
    if (end.pending !== undefined) {
      const written = Math.max(0, socket.write(end.pending));
      end.pending = written < end.pending.length ? end.pending.subarray(written) : undefined;
      if (end.pending !== undefined) return;
      end.peer?.socket?.resume();
    }
    if (end.ending) finish(end);
  },
  end(from: Socket<End>) {
    const to = from.data.peer;
    if (to === undefined) return;
    to.ending = true;
    if (to.pending === undefined) finish(to);
  },
  close(socket: Socket<End>) {
    const end = socket.data;
    end.gone = true;
    const peer = end.peer;
    if (peer === undefined || peer.gone) return;
    peer.ending = true;
    if (peer.pending === undefined) finish(peer);
  },
  error(socket: Socket<End>) {
    socket.terminate();
  },
};

/** Ends the writing side alone while the other end may still be read, else the whole connection. */
function finish(end: End): void {
  if (end.peer?.gone === true) end.socket?.end();
  else end.socket?.shutdown();
}
