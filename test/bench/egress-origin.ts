import type { Socket } from "bun";
import { z } from "zod";
import { testCertificate, testKey } from "../../src/gateway/model/tls.fixture.ts";
import { createAllowance, pump } from "./egress-pace.ts";
import { servePart } from "./egress-stage.ts";

/**
 * The origin of the egress benchmarks, an HTTP/1.1 server on bare sockets that costs next to nothing: `GET /small`,
 * `GET /bytes/N`, `POST /sink` (read and counted). `?pace=N` makes it send or read N MiB a second at most.
 */
export const originPortsSchema = z.object({
  /** Requests in the clear. */
  plain: z.number(),
  /** The same once more, for tunnels of any protocol: throughput without the price of TLS at both ends. */
  raw: z.number(),
  /** TLS that proxies pass through. */
  tls: z.number(),
  /** TLS that the door ends and reads. */
  inspected: z.number(),
  /** Whatever is said first is answered by the alert handshake_failure (RFC 8446, 6.2), at no cost. */
  hello: z.number(),
});
export type OriginPorts = z.infer<typeof originPortsSchema>;

/** The name that every request is sent to; the origin's certificate is made out for it. */
export const originName = "localhost";

const small = Buffer.from("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n");
const handshakeFailure = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]);
const maxHead = 16 * 1024;

interface Visit {
  /** What has come of a head, as long as it is not whole. */
  head: string;
  /** Bytes of a body still to be read. */
  toRead: number;
  take: ((bytes: number) => void) | undefined;
  send: (() => void) | undefined;
}

function listen(tls: boolean): number {
  const listener = Bun.listen<Visit>({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls ? { tls: { key: testKey, cert: testCertificate } } : {}),
    socket: {
      open(socket) {
        socket.data = { head: "", toRead: 0, take: undefined, send: undefined };
      },
      data: read,
      drain: (socket) => socket.data.send?.(),
      error: (socket) => void socket.terminate(),
      close() {},
    },
  });
  return listener.port;
}

function listenForHello(): number {
  const data = (socket: Socket<undefined>) => void socket.write(handshakeFailure);
  return Bun.listen<undefined>({ hostname: "127.0.0.1", port: 0, socket: { data } }).port;
}

function read(socket: Socket<Visit>, bytes: Buffer): void {
  const visit = socket.data;
  if (visit.toRead > 0) {
    visit.toRead -= bytes.length;
    visit.take?.(bytes.length);
    if (visit.toRead <= 0) socket.write(small);
    return;
  }
  visit.head += bytes.toString("latin1");
  const end = visit.head.indexOf("\r\n\r\n");
  if (end < 0) {
    if (visit.head.length > maxHead) socket.terminate();
    return;
  }
  const head = visit.head.slice(0, end);
  const already = visit.head.length - end - 4;
  visit.head = "";
  const target = /^(?:GET|POST|HEAD) (\S+) /.exec(head)?.[1] ?? "/";
  if (target === "/small") return void socket.write(small);
  const { pathname, searchParams } = new URL(target, "http://origin");
  const pace = Number(searchParams.get("pace") ?? Number.POSITIVE_INFINITY);
  const [, size] = /^\/bytes\/(\d+)$/.exec(pathname) ?? [];
  if (size !== undefined) {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    visit.send = pump(socket, Number(size), pace);
    visit.send();
  } else if (pathname === "/sink") {
    visit.toRead = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0) - already;
    visit.take = createAllowance(pace, {
      pause: () => socket.pause(),
      resume: () => socket.resume(),
    });
    if (visit.toRead <= 0) socket.write(small);
  } else socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

if (import.meta.main) {
  const ports: OriginPorts = {
    plain: listen(false),
    raw: listen(false),
    tls: listen(true),
    inspected: listen(true),
    hello: listenForHello(),
  };
  servePart(ports, async () => ({}));
}
