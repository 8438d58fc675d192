import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { originName } from "./egress-origin.ts";
import { connectHead, connectNode, type WayIn } from "./egress-way.ts";

/**
 * A stream on which HTTP can be spoken to the origin's `port`: to the proxy in the clear, or TLS within a tunnel.
 * Rejects with the status where the tunnel is refused.
 */
export async function openStream(
  way: WayIn,
  port: number,
  through: "http" | "tunnel",
  signal: AbortSignal,
): Promise<Duplex> {
  const socket = connectNode(way, port);
  const destroy = () => socket.destroy();
  signal.addEventListener("abort", destroy, { once: true });
  socket.on("error", () => {});
  socket.on("close", () => signal.removeEventListener("abort", destroy));
  await event(socket, "connect");
  if (through === "http") return socket;
  const head = connectHead(way, port);
  if (head !== undefined) {
    const answered = readHead(socket);
    socket.write(head);
    const { status } = await answered;
    if (status !== 200) throw new Error(`the tunnel was refused: ${status}`);
  }
  // Who issued the certificate is the tests' business.
  const tls = connectTls({ socket, servername: originName, rejectUnauthorized: false });
  tls.on("error", () => {});
  await event(tls, "secureConnect");
  return tls;
}

/** The next answer's status, and as many bytes of its body as came with it; the stream is paused then. */
export function readHead(stream: Duplex): Promise<{ status: number; bodyBytes: number }> {
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (bytes: Buffer) => {
      text += bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      stream.pause();
      stop();
      resolve({ status: Number(text.slice(9, 12)), bodyBytes: text.length - end - 4 });
    };
    const onClose = () => {
      stop();
      reject(new Error("closed without an answer"));
    };
    const stop = () => {
      stream.off("data", onData);
      stream.off("close", onClose);
      stream.off("end", onClose);
    };
    stream.on("data", onData);
    stream.on("close", onClose);
    stream.on("end", onClose);
    stream.resume();
  });
}

function event(stream: Duplex, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error(`closed before ${name}`));
    stream.once("close", onClose);
    stream.once(name, () => {
      stream.off("close", onClose);
      resolve();
    });
  });
}
