import { connect, type Socket } from "node:net";
import type { SocketHandler, TCPSocketConnectOptions, UnixSocketOptions } from "bun";
import { z } from "zod";
import { originName } from "./egress-origin.ts";
import { quantile } from "./figures.ts";

/** How a load reaches the origin. */
export const wayInSchema = z.discriminatedUnion("kind", [
  /** No proxy at all. */
  z.object({ kind: z.literal("direct") }),
  z.object({ kind: z.literal("tcp"), port: z.number() }),
  z.object({ kind: z.literal("unix"), path: z.string() }),
]);
export type WayIn = z.infer<typeof wayInSchema>;

type Address = Pick<TCPSocketConnectOptions, "hostname" | "port"> | Pick<UnixSocketOptions, "unix">;

/** Where a client connects to that wants the origin's `port`. */
export function addressOf(way: WayIn, port: number): Address {
  switch (way.kind) {
    case "direct":
      return { hostname: "127.0.0.1", port };
    case "tcp":
      return { hostname: "127.0.0.1", port: way.port };
    case "unix":
      return { unix: way.path };
  }
}

/** A bare socket, the fastest that Bun has; rejects where nobody listens. */
export function connectBare<State>(
  address: Address,
  data: State,
  socket: SocketHandler<State>,
): Promise<unknown> {
  return "unix" in address
    ? Bun.connect({ ...address, data, socket })
    : Bun.connect({ ...address, data, socket });
}

/** A Node socket, for loads that need streams more than speed. */
export function connectNode(way: WayIn, port: number): Socket {
  const address = addressOf(way, port);
  return "unix" in address ? connect(address.unix) : connect(address.port, address.hostname);
}

/** The target of a request: whole where a proxy is asked. */
export function targetOf(way: WayIn, port: number, path: string): string {
  return way.kind === "direct" ? path : `http://${originName}:${port}${path}`;
}

/** What asks a proxy for a tunnel to the origin; undefined where there is no proxy. */
export function connectHead(way: WayIn, port: number): string | undefined {
  if (way.kind === "direct") return undefined;
  return `CONNECT ${originName}:${port} HTTP/1.1\r\nHost: ${originName}:${port}\r\n\r\n`;
}

export const rateSchema = z.object({
  count: z.number(),
  /** Why, one for each that failed. */
  failures: z.array(z.string()),
  seconds: z.number(),
  p50: z.number(),
  p99: z.number(),
});
export type Rate = z.infer<typeof rateSchema>;

export function rateOf(ms: number[], failures: string[], seconds: number): Rate {
  const [p50 = 0, p99 = 0] = ms.length === 0 ? [] : [quantile(ms, 0.5), quantile(ms, 0.99)];
  return { count: ms.length, failures, seconds, p50, p99 };
}
