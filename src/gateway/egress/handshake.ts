import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { CcwError } from "../../domain/errors.ts";

interface Handshake {
  /** What TLS is spoken over, where it exists already: destroyed with it. */
  stream: Duplex | undefined;
  open: () => TLSSocket;
  /** The event that tells of success: `secure` on the server's side, `secureConnect` on the client's. */
  done: "secure" | "secureConnect";
  withinMs: number;
  signal: AbortSignal | undefined;
  describe: (error: Error) => CcwError;
}

/** Waits for a handshake: a socket that is ready, or a rejection after which nothing is left open. */
export function handshake(options: Handshake): Promise<TLSSocket> {
  const { stream, done, withinMs, signal, describe } = options;
  return new Promise((resolve, reject) => {
    let socket: TLSSocket | undefined;
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      stream?.off("close", onClose);
      stream?.off("error", onError);
      socket?.off("close", onClose);
      socket?.off("error", onError);
      socket?.off(done, onDone);
    };
    const fail = (reason: unknown) => {
      settle();
      socket?.destroy();
      stream?.destroy();
      reject(reason);
    };
    const onError = (error: Error) => fail(describe(error));
    const onClose = () => onError(new Error("the connection was closed"));
    const onAbort = () => fail(signal?.reason);
    const onDone = () => {
      settle();
      if (socket !== undefined) resolve(socket);
    };
    const timer = setTimeout(() => onError(new Error(`no handshake within ${withinMs / 1000} s`)), withinMs);
    stream?.on("error", ignore);
    if (signal?.aborted) return onAbort();
    if (stream?.destroyed) return onClose();
    signal?.addEventListener("abort", onAbort);
    stream?.on("close", onClose);
    stream?.on("error", onError);
    try {
      socket = options.open();
    } catch (thrown) {
      return fail(thrown);
    }
    // Stays: an error that nobody listens to would end the process.
    socket.on("error", ignore);
    socket.on("error", onError);
    socket.on("close", onClose);
    socket.on(done, onDone);
  });
}

const ignore = () => {};
