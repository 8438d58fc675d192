import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settled, until } from "../../../test/until.ts";
import { type Asker, connectSocket, type WireData, wireHandlers } from "./socket-wire.ts";
import type { Wire } from "./wire.ts";
import { writeAll } from "./write-all.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** What a wire has told, in order; data as its length. */
interface Told {
  wire: Wire;
  events: string[];
  bytes: number;
}

function listenTo(wire: Wire): Told {
  const told: Told = { wire, events: [], bytes: 0 };
  wire.listener = {
    data(bytes) {
      told.bytes += bytes.length;
    },
    drain: () => void told.events.push("drain"),
    end: () => void told.events.push("end"),
    close: () => void told.events.push("close"),
  };
  return told;
}

/** Two ends of one connection. */
async function pair(): Promise<[Told, Told]> {
  const accepted = Promise.withResolvers<Wire>();
  const server = Bun.listen<WireData>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    data: { wire: undefined },
    socket: wireHandlers(accepted.resolve, broke),
  });
  stops.push(() => server.stop(true));
  const wire = await dial(server.port);
  return [listenTo(wire), listenTo(await accepted.promise)];
}

const patient: Asker = { gone: false, onGone() {} };
const dial = (port: number, asker = patient, timeoutMs = 30_000) =>
  connectSocket({ hostname: "127.0.0.1", port }, { asker, timeoutMs, failed: broke });

/** A defect in a test's own listener is to be seen. */
function broke(thrown: unknown): void {
  throw thrown;
}

const big = Buffer.alloc(20_000_000, "z");
/** Until nothing comes any more. */
const calm = (...sides: Told[]) =>
  settled(() => sides.reduce((sum, { bytes, events }) => sum + bytes + events.length, 0));
const ends = ({ events }: Told) => events.filter((event) => event !== "drain");

test("what does not fit waits, is told to be behind, and arrives whole", async () => {
  const [near, far] = await pair();
  far.wire.pause();
  expect(near.wire.write(big)).toBe(false);
  expect(near.wire.behind).toBe(true);
  expect(near.wire.write(Buffer.from("more"))).toBe(false);
  far.wire.resume();
  await calm(near, far);
  expect(far.bytes).toBe(big.length + 4);
  expect(near.wire.buffered).toBe(0);
  expect(near.wire.behind).toBe(false);
  expect(near.events).toContain("drain");
});

test("an end comes behind all that was written; the other direction goes on", async () => {
  const [near, far] = await pair();
  near.wire.write(big);
  near.wire.end();
  near.wire.end();
  expect(near.wire.write(Buffer.from("too late"))).toBe(true);
  await calm(near, far);
  expect([far.bytes, ends(far), ends(near)]).toEqual([big.length, ["end"], []]);
  far.wire.write(big);
  far.wire.end();
  await calm(near, far);
  expect(near.bytes).toBe(big.length);
  expect([near.wire.closed, far.wire.closed]).toEqual([true, true]);
  expect(ends(far)).toEqual(["end", "close"]);
});

test("both ends at once: all arrives, and both are closed", async () => {
  const [near, far] = await pair();
  for (const { wire } of [near, far]) {
    wire.write(big);
    wire.end();
  }
  await calm(near, far);
  expect([near.bytes, far.bytes]).toEqual([big.length, big.length]);
  for (const side of [near, far]) expect(ends(side).filter((event) => event === "close")).toEqual(["close"]);
});

test("after destroying nothing more is told or sent, whatever was under way", async () => {
  for (const before of ["nothing", "write", "end", "pause", "peer's end"] as const) {
    const [near, far] = await pair();
    if (before === "peer's end") far.wire.end();
    if (before === "write" || before === "end") near.wire.write(big);
    if (before === "end") near.wire.end();
    if (before === "pause") {
      near.wire.pause();
      far.wire.write(Buffer.from("unread"));
    }
    await Bun.sleep(5);
    near.wire.destroy();
    expect([before, near.wire.closed, near.wire.buffered]).toEqual([before, true, 0]);
    expect(near.events.at(-1)).toBe("close");
    const told = near.events.length;
    near.wire.destroy();
    near.wire.end();
    near.wire.resume();
    near.wire.pause();
    expect(near.wire.write(Buffer.from("x"))).toBe(true);
    await calm(near, far);
    expect(near.events).toHaveLength(told);
    far.wire.destroy();
    expect(far.events.filter((event) => event === "close")).toHaveLength(1);
  }
});

test("destroying right behind a small write does not overtake it", async () => {
  const [near, far] = await pair();
  near.wire.write(Buffer.from("last words"));
  near.wire.destroy();
  await calm(near, far);
  expect(far.bytes).toBe(10);
});

test("a peer that resets is told to a paused wire, too", async () => {
  const [near, far] = await pair();
  near.wire.pause();
  // With bytes of its own under way, destroying is a reset.
  far.wire.write(big);
  far.wire.destroy();
  await Bun.sleep(100);
  near.wire.resume();
  await calm(near);
  expect(near.wire.closed).toBe(true);
  expect(ends(near).filter((event) => event === "close")).toHaveLength(1);
});

test("dialling: refused, given up, given up before it began", async () => {
  const [near] = await pair();
  near.wire.destroy();
  const gone = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = gone;
  gone.stop(true);
  await expect(dial(port)).rejects.toThrow();
  await expect(dial(port, { ...patient, gone: true })).rejects.toThrow("given up");
  let leave = () => {};
  const dialling = dial(port, { gone: false, onGone: (then) => (leave = then) });
  leave();
  await expect(dialling).rejects.toThrow("given up");
});

test("what is spent is freed once all before it is out, and no sooner", async () => {
  const [near, far] = await pair();
  far.wire.pause();
  const [first, second] = [new Uint8Array(big), new Uint8Array(50_000)];
  near.wire.write(first);
  near.wire.spent(first);
  near.wire.write(second);
  near.wire.spent(second);
  await Bun.sleep(20);
  expect([first.length, second.length]).toEqual([big.length, 50_000]);
  far.wire.resume();
  await until("all has come", () => far.bytes >= big.length + 50_000);
  expect(far.bytes).toBe(big.length + 50_000);
  expect([first.length, second.length]).toEqual([0, 0]);
  const third = new Uint8Array(50_000);
  near.wire.write(third);
  near.wire.spent(third);
  expect(third.length).toBe(0);
});

test("small pieces are joined, large ones go as they are, all in order", () => {
  const written: Uint8Array[] = [];
  const wire = { write: (bytes: Uint8Array) => written.push(bytes) < 3 };
  const large = Buffer.alloc(20_000, "L");
  const [a, b] = [Buffer.from("a"), Buffer.from("b")];
  const target: Wire = { ...deadWire, write: wire.write };
  expect(writeAll(target, [a, b, large, a, large, large, b])).toBe(false);
  expect(Buffer.concat(written).equals(Buffer.concat([a, b, large, a, large, large, b]))).toBe(true);
  expect(written.map(({ length }) => length)).toEqual([2, 20_000, 1, 20_000, 20_000, 1]);
  expect(written[1]).toBe(large);
  written.length = 0;
  expect(writeAll(target, [a])).toBe(true);
  expect(writeAll(target, [])).toBe(true);
  expect(written).toEqual([a]);
});

const deadWire: Wire = {
  listener: { data() {}, drain() {}, end() {}, close() {} },
  write: () => true,
  spent() {},
  end() {},
  destroy() {},
  pause() {},
  resume() {},
  closed: false,
  behind: false,
  buffered: 0,
};

test("what is written to somebody who has gone while nobody read ends the connection", async () => {
  const folder = await mkdtemp(join(tmpdir(), "wire-"));
  stops.push(() => rmSync(folder, { recursive: true }));
  const accepted = Promise.withResolvers<Wire>();
  // A Unix socket that is paused hears of no end: that is what is tested.
  const server = Bun.listen<WireData>({
    unix: join(folder, "socket"),
    allowHalfOpen: true,
    data: { wire: undefined },
    socket: wireHandlers(accepted.resolve, broke),
  });
  stops.push(() => server.stop(true));
  const peer = connect(join(folder, "socket"));
  const near = listenTo(await accepted.promise);
  near.wire.pause();
  peer.destroy();
  await Bun.sleep(50);
  expect(ends(near)).toEqual([]);
  expect(near.wire.write(Buffer.from("an answer"))).toBe(true);
  expect(ends(near)).toEqual([]);
  await calm(near);
  expect(ends(near)).toEqual(["close"]);
  expect(near.wire.closed).toBe(true);
  expect(near.wire.buffered).toBe(0);
});
