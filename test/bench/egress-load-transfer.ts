import type { Duplex } from "node:stream";
import { originName } from "./egress-origin.ts";
import { createAllowance, pump } from "./egress-pace.ts";
import { openStream, readHead } from "./egress-stream.ts";
import { targetOf, type WayIn } from "./egress-way.ts";

export interface Transfer {
  way: WayIn;
  port: number;
  through: "http" | "tunnel";
  direction: "down" | "up";
  /** The end that keeps to `pace` MiB a second, as reader or as writer; the other does what it can. */
  slow: "client" | "origin";
  bytes: number;
  pace: number;
}

/** One body from the origin or to it. `error` is empty where every byte of it arrived. */
export async function loadTransfer(transfer: Transfer): Promise<{ seconds: number; error: string }> {
  const { way, port, through, direction, slow, bytes, pace } = transfer;
  const began = performance.now();
  const giveUp = AbortSignal.timeout((bytes / (pace * 1024 * 1024)) * 4_000 + 20_000);
  const clientPace = slow === "client" ? pace : Number.POSITIVE_INFINITY;
  const query = slow === "origin" ? `?pace=${pace}` : "";
  try {
    const stream = await openStream(way, port, through, giveUp);
    try {
      const target = (path: string) => (through === "http" ? targetOf(way, port, path) : path);
      const host = `Host: ${originName}:${port}`;
      if (direction === "down") {
        stream.write(`GET ${target(`/bytes/${bytes}${query}`)} HTTP/1.1\r\n${host}\r\n\r\n`);
        await receive(stream, bytes, clientPace);
      } else {
        const answered = readHead(stream);
        stream.write(
          `POST ${target(`/sink${query}`)} HTTP/1.1\r\n${host}\r\nContent-Length: ${bytes}\r\n\r\n`,
        );
        send(stream, bytes, clientPace);
        expectOk((await answered).status);
      }
    } finally {
      stream.destroy();
    }
    return { seconds: (performance.now() - began) / 1000, error: "" };
  } catch (thrown) {
    return { seconds: (performance.now() - began) / 1000, error: String(thrown) };
  }
}

async function receive(stream: Duplex, bytes: number, pace: number): Promise<void> {
  const { status, bodyBytes } = await readHead(stream);
  expectOk(status);
  let left = bytes - bodyBytes;
  if (left === 0) return;
  const allow = createAllowance(pace, stream);
  await new Promise<void>((resolve, reject) => {
    stream.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      allow(chunk.length);
      if (left <= 0) resolve();
    });
    stream.on("close", () => reject(new Error(`closed with ${left} bytes to come`)));
    stream.resume();
  });
}

function send(stream: Duplex, bytes: number, pace: number): void {
  const go = pump(
    {
      // A stream takes everything and tells whether it was too much; the pump waits from there on.
      write(chunk) {
        if (stream.destroyed) return -1;
        if (stream.writableNeedDrain) return 0;
        stream.write(chunk);
        return chunk.length;
      },
    },
    bytes,
    pace,
  );
  stream.on("drain", go);
  go();
}

function expectOk(status: number): void {
  if (status !== 200) throw new Error(`The answer was ${status}.`);
}
