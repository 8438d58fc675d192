import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { type Behaviour, client, closeEgress, connectTo, openEgress, startOrigin } from "./egress.fixture.ts";
import { openInspected } from "./inspected.fixture.ts";

afterEach(closeEgress);

/** More than sockets hold on their way, so that each end has to wait for the other. */
const body = randomBytes(6_000_000);
const chunked = Buffer.concat([
  ...Array.from({ length: 6 }, (_, at) => {
    const chunk = body.subarray(at * 1_000_000, (at + 1) * 1_000_000);
    return [Buffer.from("f4240\r\n"), chunk, Buffer.from("\r\n")];
  }).flat(),
  Buffer.from("0\r\n\r\n"),
]);
const framings = [
  { name: "with a length", header: `Content-Length: ${body.length}`, bytes: body },
  { name: "in chunks", header: "Transfer-Encoding: chunked", bytes: chunked },
];

/** Reads with pauses. */
function slowly(socket: Socket): void {
  socket.on("data", () => {
    socket.pause();
    setTimeout(() => socket.resume(), 1);
  });
}

/** Answers a body with the same body once it is there, which it reads slowly. */
function echoes(length: number): Behaviour {
  const visits = new Map<Socket, number>();
  return (socket, bytes) => {
    if (!visits.has(socket)) slowly(socket);
    const end = visits.has(socket) ? 0 : bytes.indexOf("\r\n\r\n") + 4;
    const seen = (visits.get(socket) ?? 0) + bytes.length - end;
    visits.set(socket, seen);
    if (seen < length) return;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
  };
}

const secrets = [{ name: "a key", value: "sk-0123456789abcdefghijklmnop" }];

const ways = {
  async tunnel(behave: Behaviour) {
    const origin = await startOrigin(behave);
    const host = `raw.test:${origin.port}`;
    const allow = [`raw.test port=${origin.port} raw`];
    const door = await openEgress({ names: { "raw.test": ["127.0.0.1"] }, allow });
    const connection = await client(door.socket, connectTo(host));
    await connection.until("\r\n\r\n");
    return { origin, socket: connection.socket, target: "/", host };
  },
  async "plain HTTP"(behave: Behaviour) {
    const origin = await startOrigin(behave);
    const host = `ok.test:${origin.port}`;
    const allow = [`ok.test port=${origin.port} write`];
    const door = await openEgress({ names: { "ok.test": ["127.0.0.1"] }, allow, secrets });
    return { origin, socket: (await client(door.socket)).socket, target: `http://${host}/`, host };
  },
  async "inspected HTTPS"(behave: Behaviour) {
    const { origin, authority, open } = await openInspected({ secrets }, behave);
    return { origin, socket: await open(), target: "/", host: authority };
  },
};

for (const [way, open] of Object.entries(ways)) {
  for (const { name, header, bytes } of framings) {
    test(`a body ${name} arrives byte for byte at slow readers: ${way}`, async () => {
      const { origin, socket, target, host } = await open(echoes(bytes.length));
      const came: Buffer[] = [];
      const arrived = new Promise<void>((resolve) => {
        let left = body.length;
        socket.on("data", (piece: Buffer) => {
          const end = came.length === 0 ? piece.indexOf("\r\n\r\n") + 4 : 0;
          came.push(piece.subarray(end));
          left -= piece.length - end;
          if (left <= 0) resolve();
        });
      });
      slowly(socket);
      socket.write(`POST ${target} HTTP/1.1\r\nHost: ${host}\r\n${header}\r\n\r\n`);
      socket.write(bytes);
      await arrived;
      expect(Buffer.concat(came).equals(body)).toBe(true);
      const sent = Buffer.from(origin.received, "latin1");
      const received = sent.subarray(sent.indexOf("\r\n\r\n") + 4);
      // The door may cut chunks anew.
      if (header.startsWith("Content-Length")) expect(received.equals(body)).toBe(true);
      else expect(contentOf(received).equals(body)).toBe(true);
    }, 180_000);
  }
}

function contentOf(chunks: Buffer): Buffer {
  const content: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = chunks.indexOf("\r\n", at);
    const size = Number.parseInt(chunks.toString("latin1", at, end), 16);
    if (size === 0) return Buffer.concat(content);
    content.push(chunks.subarray(end + 2, end + 2 + size));
    at = end + 4 + size;
  }
}
