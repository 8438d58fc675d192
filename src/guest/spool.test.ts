import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settled } from "../../test/until.ts";
import type { GuestEvent } from "../domain/event.ts";
import { type SessionEvent, sessionEventSchema } from "../domain/session.ts";
import { openSpool, type Spool } from "./spool.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ccw-spool-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const notice = (text: string): GuestEvent => ({ kind: "notice", level: "info", text });

function parse(body: string): SessionEvent[] {
  return body
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => sessionEventSchema.parse(JSON.parse(line)));
}

/** Sends and acknowledges everything, in batches, as the session does. */
function drain(spool: Spool): SessionEvent[] {
  const all: SessionEvent[] = [];
  for (;;) {
    const { body, last } = spool.batch();
    if (body === "") return all;
    all.push(...parse(body));
    spool.acknowledge(last);
  }
}

test("events come back in order, numbered from 1 without gaps, over many segments", async () => {
  const spool = openSpool({ folder, acked: 0, segmentBytes: 500, maxBatchBytes: 300 });
  for (let i = 1; i <= 100; i++) await spool.append(notice(`event ${i} ü`));
  const events = drain(spool);
  expect(events.map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  expect(events[41]?.event).toEqual(notice("event 42 ü"));
  expect(readdirSync(folder).filter((name) => name.startsWith("events-")).length).toBe(1);
  spool.close();
});

test("a guest killed at any byte of a write loses nothing that was whole, and no number", async () => {
  const spool = openSpool({ folder, acked: 0 });
  for (let i = 1; i <= 3; i++) await spool.append(notice(`event ${i}`));
  spool.close();
  const name = readdirSync(folder).find((file) => file.startsWith("events-")) ?? "";
  const whole = readFileSync(join(folder, name));
  const ends = [...whole.keys()].filter((at) => whole[at] === 10).map((at) => at + 1);
  for (let cut = 0; cut <= whole.length; cut++) {
    const copy = join(folder, `cut-${cut}`);
    mkdirSync(copy);
    copyFileSync(join(folder, name), join(copy, name));
    truncateSync(join(copy, name), cut);
    const again = openSpool({ folder: copy, acked: 0 });
    const kept = ends.filter((end) => end <= cut).length;
    expect(again.last).toBe(kept);
    await again.append(notice("after"));
    expect(drain(again).map(({ n }) => n)).toEqual(Array.from({ length: kept + 1 }, (_, i) => i + 1));
    again.close();
  }
});

test("after a restart only what is not acknowledged is sent again, from the middle of a segment too", async () => {
  const first = openSpool({ folder, acked: 0, segmentBytes: 400 });
  for (let i = 1; i <= 20; i++) await first.append(notice(`event ${i}`));
  first.close();
  for (const acked of [0, 1, 7, 19]) {
    const again = openSpool({ folder, acked, segmentBytes: 400 });
    expect(parse(again.batch().body)[0]?.n).toBe(acked + 1);
    again.close();
  }
});

test("an acknowledgement for part of a batch sends the rest again", async () => {
  const spool = openSpool({ folder, acked: 0 });
  for (let i = 1; i <= 5; i++) await spool.append(notice(`event ${i}`));
  expect(parse(spool.batch().body).length).toBe(5);
  spool.acknowledge(2);
  expect(parse(spool.batch().body).map(({ n }) => n)).toEqual([3, 4, 5]);
  expect(() => spool.acknowledge(6)).toThrow("the last one is 5");
  spool.close();
});

test("numbers go on after what the appliance holds when the spool is gone", async () => {
  const spool = openSpool({ folder, acked: 41 });
  await spool.append(notice("next"));
  expect(drain(spool).map(({ n }) => n)).toEqual([42]);
  spool.close();
});

test("an appliance that has forgotten events that are deleted here is told so", async () => {
  const spool = openSpool({ folder, acked: 0, segmentBytes: 100 });
  for (let i = 1; i <= 20; i++) await spool.append(notice(`event ${i}`));
  spool.acknowledge(15);
  spool.close();
  expect(() => openSpool({ folder, acked: 3 })).toThrow("holds this sandbox's events up to 3");
});

test("at the cap a writer waits until there is room, and nothing is lost", async () => {
  const spool = openSpool({ folder, acked: 0, segmentBytes: 1000, maxBytes: 5000 });
  let written = 0;
  const writer = (async () => {
    for (let i = 1; i <= 300; i++) {
      await spool.append(notice(`event ${i}`));
      written = i;
    }
  })();
  expect(await settled(() => written)).toBeLessThan(120);
  const got: number[] = [];
  while (got.length < 300) {
    got.push(...drain(spool).map(({ n }) => n));
    await Bun.sleep(1);
  }
  await writer;
  expect(got).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  spool.close();
});

test("whoever waits for events, or for the last acknowledgement, is woken", async () => {
  const spool = openSpool({ folder, acked: 0 });
  const signal = new AbortController().signal;
  const waiting = spool.waiting(signal);
  await spool.append(notice("one"));
  await waiting;
  const drained = spool.drained(signal);
  spool.acknowledge(1);
  await drained;
  const ended = new AbortController();
  const aborted = spool.waiting(ended.signal);
  ended.abort();
  await aborted;
  spool.close();
});
