import { loadTransfer } from "./egress-load-transfer.ts";
import { originName } from "./egress-origin.ts";
import { openStream, readHead } from "./egress-stream.ts";
import { connectNode, targetOf, type WayIn } from "./egress-way.ts";

export interface MixedLoad {
  way: WayIn;
  ports: { plain: number; tls: number; inspected: number };
  atOnce: number;
}

/** What came of one kind of visit. */
export type MixedCounts = Record<string, { fine: number; wrong: number; firstWrong: string }>;

const restMs = 20;
const shareBrokenOff = 0.2;
const visitMs = 20_000;
/** A visit that is broken off lives no longer than this. */
const abortWithinMs = 40;
const megabyte = 1024 * 1024;

/**
 * Visits of every kind that a door has to expect, from `atOnce` clients until the returned function is called; that
 * waits for the last of them and says what came of them.
 */
export function startMixedLoad({ way, ports, atOnce }: MixedLoad): () => Promise<MixedCounts> {
  const ask = async (port: number, through: "http" | "tunnel", body: number, signal: AbortSignal) => {
    const stream = await openStream(way, port, through, signal);
    try {
      const answered = readHead(stream);
      const path = body === 0 ? "/small" : "/sink";
      const target = through === "http" ? targetOf(way, port, path) : path;
      const length = body === 0 ? "" : `Content-Length: ${body}\r\n`;
      const method = body === 0 ? "GET" : "POST";
      stream.write(`${method} ${target} HTTP/1.1\r\nHost: ${originName}:${port}\r\n${length}\r\n`);
      if (body > 0) stream.write(Buffer.alloc(body, "mixed load "));
      expectStatus((await answered).status, 200);
    } finally {
      stream.destroy();
    }
  };
  /** Bytes as they are, in pieces 10 ms apart. */
  const say = async (pieces: string[], status: number, signal: AbortSignal) => {
    const socket = connectNode(way, ports.plain);
    const destroy = () => socket.destroy();
    signal.addEventListener("abort", destroy, { once: true });
    socket.on("error", () => {});
    try {
      const answered = readHead(socket);
      answered.catch(() => {});
      for (const piece of pieces) {
        socket.write(piece);
        if (pieces.length > 1) await Bun.sleep(10);
      }
      expectStatus((await answered).status, status);
    } finally {
      signal.removeEventListener("abort", destroy);
      socket.destroy();
    }
  };
  const slowBody = async (port: number, through: "http" | "tunnel", direction: "down" | "up") => {
    const size = { bytes: 2 * megabyte, pace: 2 };
    const { error } = await loadTransfer({ way, port, through, direction, slow: "client", ...size });
    if (error !== "") throw new Error(error);
  };
  const refused = "refused.example";
  const slowHead = [
    `GET ${targetOf(way, ports.plain, "/small")}`,
    " HTTP/1.1\r\n",
    `Host: ${originName}`,
    `:${ports.plain}`,
    "\r\n",
    "\r\n",
  ];

  const whole: Record<string, (signal: AbortSignal) => Promise<void>> = {
    GET: (signal) => ask(ports.plain, "http", 0, signal),
    "POST of 100 kB": (signal) => ask(ports.plain, "http", 100_000, signal),
    tunnel: (signal) => ask(ports.tls, "tunnel", 0, signal),
    "tunnel, 100 kB up": (signal) => ask(ports.tls, "tunnel", 100_000, signal),
    "inspected GET": (signal) => ask(ports.inspected, "tunnel", 0, signal),
    "inspected POST of 100 kB": (signal) => ask(ports.inspected, "tunnel", 100_000, signal),
    "refused GET": (signal) =>
      say([`GET http://${refused}/ HTTP/1.1\r\nHost: ${refused}\r\n\r\n`], 403, signal),
    "refused tunnel": (signal) =>
      say([`CONNECT ${refused}:443 HTTP/1.1\r\nHost: ${refused}:443\r\n\r\n`], 403, signal),
    "not HTTP": (signal) => say(["\x16\x03\x01\x00\x05hello\r\n\r\n"], 400, signal),
    "head in pieces": (signal) => say(slowHead, 200, signal),
    "slow reader": () => slowBody(ports.plain, "http", "down"),
    "slow writer": () => slowBody(ports.plain, "http", "up"),
    "slow reader, inspected": () => slowBody(ports.inspected, "tunnel", "down"),
  };
  const brokenOff = async () => {
    const [, visit] = oneOf(Object.entries(whole).filter(([name]) => !name.startsWith("slow")));
    const leaving = new AbortController();
    const timer = setTimeout(() => leaving.abort(), Math.random() * abortWithinMs);
    // However it went: it was to be broken off.
    await visit(leaving.signal).catch(() => {});
    clearTimeout(timer);
  };

  const counts: MixedCounts = {};
  let ended = false;
  const client = async () => {
    while (!ended) {
      const [name, visit] =
        Math.random() < shareBrokenOff ? (["broken off", brokenOff] as const) : oneOf(Object.entries(whole));
      counts[name] ??= { fine: 0, wrong: 0, firstWrong: "" };
      const count = counts[name];
      try {
        await visit(AbortSignal.timeout(visitMs));
        count.fine++;
      } catch (thrown) {
        count.wrong++;
        count.firstWrong ||= String(thrown);
      }
      await Bun.sleep(restMs * Math.random());
    }
  };
  const clients = Array.from({ length: atOnce }, client);
  return async () => {
    ended = true;
    await Promise.all(clients);
    return counts;
  };
}

function oneOf<Item>(items: Item[]): Item {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new Error("There is nothing to choose from.");
  return item;
}

function expectStatus(status: number, expected: number): void {
  if (status !== expected) throw new Error(`The answer was ${status}, not ${expected}.`);
}
