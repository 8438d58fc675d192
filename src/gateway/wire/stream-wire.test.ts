import { expect, test } from "bun:test";
import { Duplex, PassThrough } from "node:stream";
import { streamOf, streamUnderTls, wireOf } from "./stream-wire.ts";
import { deaf, type Wire } from "./wire.ts";

/** A wire that keeps what is done to it, and takes as much as the test says. */
function recordingWire() {
  const state = { takes: true, done: [] as string[], closed: false };
  const wire: Wire = {
    listener: deaf,
    get closed() {
      return state.closed;
    },
    get behind() {
      return !state.takes;
    },
    buffered: 0,
    write(bytes) {
      state.done.push(`write ${bytes.length}`);
      return state.takes;
    },
    spent: (bytes) => void state.done.push(`spent ${bytes.length}`),
    end: () => void state.done.push("end"),
    destroy() {
      if (state.closed) return;
      state.done.push("destroy");
      state.closed = true;
      wire.listener.close();
      wire.listener = deaf;
    },
    pause: () => void state.done.push("pause"),
    resume: () => void state.done.push("resume"),
  };
  return { wire, ...state, state };
}

const broke = (thrown: unknown) => {
  throw thrown;
};
const turn = () => Bun.sleep(1);

test("a stream over a wire waits where the wire is behind", async () => {
  const { wire, state } = recordingWire();
  const stream = streamOf(wire, new Uint8Array());
  state.takes = false;
  let written = 0;
  for (const _ of [1, 2]) stream.write(Buffer.alloc(10), () => written++);
  await turn();
  expect([written, state.done]).toEqual([0, ["write 10"]]);
  wire.listener.drain();
  await turn();
  expect([written, state.done]).toEqual([1, ["write 10", "write 10"]]);
  stream.destroy();
});

test("a stream whose reader is slow pauses its wire; what was read before comes first", async () => {
  const { wire, state } = recordingWire();
  const stream = streamOf(wire, Buffer.from("first "));
  wire.listener.data(Buffer.alloc(200_000, "z"));
  expect(state.done).toEqual(["pause"]);
  let text = "";
  stream.on("data", (bytes: Buffer) => {
    text += bytes;
  });
  await turn();
  expect(text.startsWith("first zzz")).toBe(true);
  expect(text.length).toBe(200_006);
  expect(state.done).toContain("resume");
  stream.destroy();
});

test("ends go through both ways, and a wire that closes ends its stream without an error", async () => {
  const { wire, state } = recordingWire();
  const stream = streamOf(wire, new Uint8Array());
  const events: string[] = [];
  for (const event of ["end", "error", "close"]) stream.on(event, () => events.push(event));
  stream.resume();
  wire.listener.end();
  await turn();
  expect(events).toEqual(["end"]);
  stream.end();
  await turn();
  expect(state.done).toContain("end");
  wire.destroy();
  await turn();
  expect(events).toEqual(["end", "close"]);
});

test("a stream that is written to when its wire is gone lets its writer go", async () => {
  const { wire, state } = recordingWire();
  const stream = streamOf(wire, new Uint8Array());
  stream.on("error", () => {});
  state.takes = false;
  let told = 0;
  stream.write(Buffer.alloc(10), () => told++);
  wire.destroy();
  await turn();
  expect(told).toBe(1);
  expect(stream.destroyed).toBe(true);
});

/** A stream that keeps what is written, and takes it when told. */
function slowStream() {
  let go: (() => void) | undefined;
  const stream = new Duplex({
    read() {},
    highWaterMark: 10,
    write(_chunk, _encoding, done) {
      go = done;
    },
  });
  return { stream, take: () => go?.() };
}

test("a wire over a stream says when it is behind, and when no more", async () => {
  const { stream, take } = slowStream();
  const wire = wireOf(stream, new PassThrough(), broke);
  let drains = 0;
  wire.listener = { ...deaf, drain: () => drains++ };
  expect(wire.write(Buffer.alloc(3))).toBe(true);
  expect([wire.behind, wire.buffered]).toEqual([false, 3]);
  expect(wire.write(Buffer.alloc(20))).toBe(false);
  expect(wire.behind).toBe(true);
  take();
  await turn();
  take();
  await turn();
  expect([drains, wire.behind, wire.buffered]).toEqual([1, false, 0]);
});

test("what is spent on a wire over a stream is freed once the stream has taken all", async () => {
  const { stream, take } = slowStream();
  const wire = wireOf(stream, new PassThrough(), broke);
  const [first, second] = [Buffer.alloc(5_000), Buffer.alloc(5_000)];
  for (const bytes of [first, second]) {
    wire.write(bytes);
    wire.spent(bytes);
  }
  take();
  await turn();
  expect([first.length, second.length]).toEqual([5_000, 5_000]);
  take();
  await turn();
  expect([first.length, second.length]).toEqual([0, 0]);
});

test("a stream under TLS lets go of what was written to it; any other leaves it to the writer", () => {
  for (const [open, spent] of [
    [streamUnderTls, ["spent 5000"]],
    [streamOf, []],
  ] as const) {
    const { wire, state } = recordingWire();
    const stream = open(wire, new Uint8Array());
    stream.write(Buffer.alloc(5_000));
    expect(state.done.filter((done) => done.startsWith("spent"))).toEqual([...spent]);
    stream.destroy();
  }
});

test("what TLS has read is freed, also where it had to wait; TLS sees it whole", async () => {
  const { wire } = recordingWire();
  const over = streamUnderTls(wire, new Uint8Array());
  let seen = 0;
  over.on("data", (bytes: Buffer) => {
    seen += bytes.length;
  });
  const secured = wireOf(new PassThrough(), over, broke);
  await turn();
  const [atOnce, later] = [Buffer.alloc(5_000), Buffer.alloc(5_000)];
  wire.listener.data(atOnce);
  expect([seen, atOnce.length]).toEqual([5_000, 0]);
  secured.pause();
  wire.listener.data(later);
  expect([seen, later.length]).toEqual([5_000, 5_000]);
  secured.resume();
  await turn();
  expect([seen, later.length]).toEqual([10_000, 0]);
});

test("a wire over a stream closes once, whatever the stream's end was, and knows one that is over already", async () => {
  for (const end of [(s: Duplex) => s.destroy(), (s: Duplex) => s.destroy(new Error("broken"))]) {
    const { stream } = slowStream();
    const wire = wireOf(stream, new PassThrough(), broke);
    let closes = 0;
    wire.listener = { ...deaf, close: () => closes++ };
    end(stream);
    await turn();
    wire.destroy();
    wire.end();
    expect(wire.write(Buffer.alloc(1))).toBe(true);
    await turn();
    expect([closes, wire.closed, wireOf(stream, new PassThrough(), broke).closed]).toEqual([1, true, true]);
  }
});

test("a wire over TLS is behind when what TLS is spoken over is, however much TLS takes", async () => {
  const tls = new PassThrough({ highWaterMark: 1_000_000 }).resume();
  const { stream: over, take } = slowStream();
  const wire = wireOf(tls, over, broke);
  let drains = 0;
  wire.listener = { ...deaf, drain: () => drains++ };
  over.write(Buffer.alloc(100));
  expect(wire.write(Buffer.alloc(3))).toBe(false);
  expect([wire.behind, drains]).toEqual([true, 0]);
  take();
  await turn();
  expect([wire.behind, drains]).toEqual([false, 1]);
});

test("a paused wire over TLS keeps what was read already, and its end, until it is resumed", async () => {
  const tls = new PassThrough();
  const over = new PassThrough();
  const wire = wireOf(tls, over, broke);
  const told: string[] = [];
  wire.listener = {
    data(bytes) {
      told.push(Buffer.from(bytes).toString());
      if (told.length === 2) wire.pause();
    },
    drain() {},
    end: () => told.push("end"),
    close: () => told.push("close"),
  };
  wire.pause();
  for (const text of ["one", "two", "three"]) tls.write(text);
  tls.end();
  await turn();
  expect([told, over.isPaused(), wire.closed]).toEqual([[], true, false]);
  wire.resume();
  await turn();
  expect(told).toEqual(["one", "two"]);
  wire.resume();
  await turn();
  expect(told).toEqual(["one", "two", "three", "end", "close"]);
  expect([over.isPaused(), wire.closed]).toEqual([true, true]);
});
