import type { Socket, SocketHandler } from "bun";
import { messageOf } from "../../src/domain/errors.ts";
import { originName } from "./egress-origin.ts";
import { pump } from "./egress-pace.ts";
import { addressOf, connectBare, connectHead, type Rate, rateOf, type WayIn } from "./egress-way.ts";

const request = `GET /small HTTP/1.1\r\nHost: ${originName}\r\n\r\n`;
const openMs = 30_000;
const bodyMs = 120_000;
const maxFailures = 1_000;
const holdAtOnce = 16;

interface Tunnel {
  answer: string;
  /** The proxy's answer has come; what follows is the origin's. */
  through: boolean;
  /** The origin has sent so many bytes. */
  answered(bytes: number): void;
  drained(): void;
  closed(): void;
}

/**
 * New tunnels, `atOnce` at a time. `tls`: a whole TLS handshake and one small request in each. `hello`: a ClientHello
 * as a TLS client says it, and one record back, so that cryptography at the ends is no limit.
 */
export async function loadTunnels(job: {
  way: WayIn;
  port: number;
  inside: "tls" | "hello";
  atOnce: number;
  seconds: number;
}): Promise<Rate> {
  const { way, port, inside, atOnce, seconds } = job;
  const hello = inside === "hello" ? await clientHello() : Buffer.alloc(0);
  const ms: number[] = [];
  const failures: string[] = [];
  const began = performance.now();
  const worker = async () => {
    while (performance.now() - began < seconds * 1000 && failures.length < maxFailures) {
      const since = performance.now();
      try {
        const tunnel = await (inside === "tls" ? openTls(way, port) : sayHello(way, port, hello));
        ms.push(performance.now() - since);
        tunnel.end();
      } catch (thrown) {
        failures.push(messageOf(thrown));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return rateOf(ms, failures, (performance.now() - began) / 1000);
}

/** `release` ends them, and says how many the other side had ended before. */
export async function holdTunnels(job: { way: WayIn; port: number; tunnels: number }) {
  const held: Socket<unknown>[] = [];
  const failures: string[] = [];
  let begun = 0;
  const worker = async () => {
    while (begun < job.tunnels) {
      begun++;
      try {
        held.push(await openTls(job.way, job.port));
      } catch (thrown) {
        failures.push(messageOf(thrown));
      }
    }
  };
  await Promise.all(Array.from({ length: holdAtOnce }, worker));
  const release = () => {
    const lost = held.filter(({ readyState }) => readyState <= 0).length;
    for (const tunnel of held) tunnel.end();
    return { lost };
  };
  return { open: held.length, failures, release };
}

/** Resolves when the origin has answered inside. */
async function openTls(way: WayIn, port: number): Promise<Socket<unknown>> {
  const bare = await openTunnel(way, port);
  const opened = within<Socket<unknown>>(openMs, (resolve, reject) => {
    bare.upgradeTLS<undefined>({
      data: undefined,
      // The origin's certificate is of no interest here, and checking it would cost the load, not the proxy.
      tls: { rejectUnauthorized: false, serverName: originName },
      socket: {
        handshake: (socket) => void socket.write(request),
        data: resolve,
        close: () => reject("closed within the TLS handshake, or before an answer"),
        error: (_socket, error) => reject(error.message),
      },
    });
  });
  opened.catch(() => bare.terminate());
  return opened;
}

async function sayHello(way: WayIn, port: number, hello: Buffer): Promise<Socket<unknown>> {
  const bare = await openTunnel(way, port);
  return within(openMs, (resolve, reject) => {
    bare.data.closed = () => reject("closed after the ClientHello");
    bare.data.answered = () => resolve(bare);
    bare.write(hello);
  });
}

function within<Result>(
  ms: number,
  work: (resolve: (result: Result) => void, reject: (why: string) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const end = (why: string) => {
      clearTimeout(late);
      reject(new Error(why));
    };
    const late = setTimeout(() => end(`not done within ${ms} ms`), ms);
    work((result) => {
      clearTimeout(late);
      resolve(result);
    }, end);
  });
}

/** What a TLS client says first. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, bytes) {
          resolve(Buffer.from(bytes));
          socket.terminate();
          listener.stop(true);
        },
      },
    });
    const tls = { rejectUnauthorized: false, serverName: originName };
    const { port } = listener;
    Bun.connect({ hostname: "127.0.0.1", port, tls, socket: { data() {}, error() {} } }).catch(reject);
  });
}

/** A socket that reaches the origin; its handlers do nothing but what `data` says from then on. */
export function openTunnel(way: WayIn, port: number): Promise<Socket<Tunnel>> {
  const head = connectHead(way, port);
  return within(openMs, (resolve, reject) => {
    const handler: SocketHandler<Tunnel> = {
      open(socket) {
        if (head === undefined) through(socket);
        else socket.write(head);
      },
      data(socket, bytes) {
        const { data } = socket;
        if (data.through) return data.answered(bytes.length);
        data.answer += bytes.toString("latin1");
        if (!data.answer.includes("\r\n\r\n")) return;
        if (!data.answer.startsWith("200 ", 9)) return void socket.end();
        through(socket);
      },
      drain: ({ data }) => data.drained(),
      close: ({ data }) => data.closed(),
      error: (socket) => void socket.terminate(),
    };
    const through = (socket: Socket<Tunnel>) => {
      socket.data.through = true;
      resolve(socket);
    };
    const closed = () => reject(`no tunnel: ${data.answer.slice(0, 200)}`);
    const data: Tunnel = { answer: "", through: false, answered() {}, drained() {}, closed };
    connectBare(addressOf(way, port), data, handler).catch((thrown: unknown) => reject(messageOf(thrown)));
  });
}

/** Seconds from the first request to the last byte. */
export async function loadBytes(job: {
  way: WayIn;
  port: number;
  direction: "down" | "up";
  atOnce: number;
  bytesEach: number;
}): Promise<{ seconds: number; bytes: number }> {
  const began = performance.now();
  await Promise.all(Array.from({ length: job.atOnce }, () => oneBody(job)));
  return { seconds: (performance.now() - began) / 1000, bytes: job.atOnce * job.bytesEach };
}

async function oneBody({
  way,
  port,
  direction,
  bytesEach,
}: {
  way: WayIn;
  port: number;
  direction: "down" | "up";
  bytesEach: number;
}): Promise<void> {
  const socket = await openTunnel(way, port);
  await within<void>(bodyMs, (resolve, reject) => {
    let received = 0;
    socket.data.closed = () => reject("closed before the body had passed");
    socket.data.answered = (bytes) => {
      // The answer's head is counted in: some fifty bytes of hundreds of megabytes.
      received += bytes;
      if (direction === "up" || received >= bytesEach) resolve();
    };
    if (direction === "down") {
      socket.write(`GET /bytes/${bytesEach} HTTP/1.1\r\nHost: ${originName}\r\n\r\n`);
    } else {
      socket.write(`POST /sink HTTP/1.1\r\nHost: ${originName}\r\nContent-Length: ${bytesEach}\r\n\r\n`);
      socket.data.drained = pump(socket, bytesEach, Number.POSITIVE_INFINITY);
      socket.data.drained();
    }
  });
  socket.end();
}
