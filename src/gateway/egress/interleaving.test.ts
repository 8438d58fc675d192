import { afterEach, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import fc from "../../../test/properties.ts";
import { closeEgress, connectTo, openEgress } from "./egress.fixture.ts";
import { soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

/** What one side does, and how long it then waits. */
interface Step {
  side: "client" | "origin";
  act: { kind: "write"; size: number } | { kind: "end" | "destroy" | "stall" | "resume" };
  waitMs: number;
}
interface Scenario {
  kind: "tunnel" | "request";
  steps: Step[];
}

const act: fc.Arbitrary<Step["act"]> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.integer({ min: 1, max: 400_000 }).map((size) => ({ kind: "write" as const, size })),
  },
  { weight: 2, arbitrary: fc.constant({ kind: "end" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "destroy" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "stall" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "resume" as const }) },
);
const step: fc.Arbitrary<Step> = fc.record({
  side: fc.constantFrom("client", "origin"),
  act,
  waitMs: fc.constantFrom(0, 0, 1, 5),
});
const scenario: fc.Arbitrary<Scenario> = fc.record({
  kind: fc.constantFrom("tunnel", "request"),
  steps: fc.array(step, { minLength: 1, maxLength: 12 }),
});

/** Every byte tells its place, nearly: a piece that is lost, doubled or moved shows. */
const pattern = Buffer.from(
  Array.from({ length: 12 * 400_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff),
);
const bodyLength = 2_000_000;
const waits = {
  ...{ head: 1000, body: 1000, hello: 1000, answer: 1000, stall: 1000, betweenRequests: 1000 },
  // What moves is never cut, however long the whole process stands still.
  ...{ idleTunnel: 10_000, flush: 10_000, linger: 200, idleUpstream: 200 },
};

class Side {
  socket: Socket | undefined;
  sent = 0;
  received: Buffer[] = [];
  ended = false;
  over = false;
  waiting: Step["act"][] = [];

  take(socket: Socket): void {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => void this.received.push(bytes));
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.over = true;
      });
    }
    for (const waiting of this.waiting.splice(0)) this.do(waiting);
  }

  do(act: Step["act"]): void {
    const { socket } = this;
    if (socket === undefined) return void this.waiting.push(act);
    if (act.kind === "destroy") socket.destroy();
    if (act.kind === "stall") socket.pause();
    if (act.kind === "resume") socket.resume();
    if (this.ended || socket.destroyed) return;
    if (act.kind === "write") {
      socket.write(pattern.subarray(this.sent, this.sent + act.size));
      this.sent += act.size;
    }
    if (act.kind === "end") {
      this.ended = true;
      socket.end();
    }
  }

  /** Behind the head. */
  body(): Buffer {
    const all = Buffer.concat(this.received);
    const end = all.indexOf("\r\n\r\n");
    return end < 0 ? Buffer.alloc(0) : all.subarray(end + 4);
  }
}

test("whatever both sides do, all ends in time, and what arrives is the beginning of what was sent", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(scenario, { minLength: 30, maxLength: 30 }), async (scenarios) => {
      const origins = scenarios.map(() => new Side());
      const servers = await Promise.all(origins.map((side, at) => listen(side, scenarios[at]?.kind)));
      const ports = servers.map(({ port }) => port);
      const door = await openEgress({
        names: { "x.test": ["127.0.0.1"] },
        allow: [`x.test port=${ports.join(",")} raw`],
        waits,
      });
      await Promise.all(
        scenarios.map(async ({ kind, steps }, at) => {
          const [client, origin, port] = [new Side(), origins[at] ?? new Side(), ports[at] ?? 0];
          const socket = connect({ path: door.socket, allowHalfOpen: true });
          await new Promise<void>((resolve) => socket.once("connect", resolve));
          const post = `POST http://x.test:${port}/ HTTP/1.0\r\nContent-Length: ${bodyLength}\r\n\r\n`;
          socket.write(kind === "tunnel" ? connectTo(`x.test:${port}`) : post);
          client.take(socket);
          if (kind === "tunnel") await soon(() => client.received.length > 0);
          for (const { side, act, waitMs } of steps) {
            (side === "client" ? client : origin).do(act);
            if (waitMs > 0) await Bun.sleep(waitMs);
          }
          await soon(() => door.rows.some((row) => row.port === port && row.ms >= 0));
          socket.resume();
          origin.socket?.resume();
          await soon(() => client.over && (origin.socket === undefined || origin.over));
          const up = kind === "tunnel" ? Buffer.concat(origin.received) : origin.body();
          expect(up.equals(pattern.subarray(0, up.length))).toBe(true);
          expect(up.length).toBeLessThanOrEqual(client.sent);
          const down = client.body();
          const isRefusal = Buffer.concat(client.received).includes("X-Deny-Reason");
          if (!isRefusal) expect(down.equals(pattern.subarray(0, down.length))).toBe(true);
          const calm = steps.every(({ act }) => act.kind === "write" || act.kind === "end");
          if (kind === "tunnel" && calm && client.ended && origin.ended)
            expect([up.length, down.length]).toEqual([client.sent, origin.sent]);
          socket.destroy();
        }),
      );
      for (const { server } of servers) server.close();
      expect(door.rows.filter(({ ms }) => ms < 0)).toEqual([]);
    }),
    { numRuns: 3 },
  );
}, 180_000);

/** An origin of a request begins with a head whose body ends with the connection. */
async function listen(
  side: Side,
  kind: Scenario["kind"] | undefined,
): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (kind === "request") socket.write("HTTP/1.1 200 OK\r\n\r\n");
    side.take(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}
