import { afterEach, expect, test } from "bun:test";
import fc from "../../../test/properties.ts";
import { everywhere, open } from "./attacks.fixture.ts";
import { client, closeEgress, connectTo, type EgressFixture, get, type Origin } from "./egress.fixture.ts";

afterEach(closeEgress);

const runs = 200;
const names = ["ok.test", "a.wild.test", "b.c.wild.test", "xn--bcher-kva.wild.test"];

/** A letter as it is, as a capital, or in full width in either case; a dot as one of those that IDNA takes for it. */
const spelt = (name: string) =>
  fc
    .array(fc.nat({ max: 9 }), { minLength: name.length, maxLength: name.length })
    .map((ways) => [...name].map((letter, i) => respelt(letter, ways[i] ?? 0)).join(""));

function respelt(letter: string, way: number): string {
  if (letter === ".") return way === 0 ? "。" : way === 1 ? "．" : ".";
  if (way > 5 || !/[a-z]/.test(letter)) return letter;
  const wide = String.fromCodePoint((letter.codePointAt(0) ?? 0) + 0xfee0);
  return way > 1 ? letter.toUpperCase() : way === 1 ? wide : wide.toUpperCase();
}

const allowed = fc
  .tuple(fc.constantFrom(...names).chain(spelt), fc.constantFrom("", "", "", ".", "。"))
  .map((parts) => parts.join(""));

/** Signs of which hosts, ports, userinfo, escapes and addresses are made, and what stands for them elsewhere. */
const signs = fc.string({
  unit: fc.constantFrom(
    ..."abox.test019-_:@%[]\\/?#\"<>^|{}~!$&'()*+,;= \t\u0000\u007f\u00ad\u200d。：／＠ｏßü",
  ),
  maxLength: 24,
});
const host = fc.oneof(
  { weight: 6, arbitrary: allowed },
  { weight: 1, arbitrary: fc.tuple(allowed, signs).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: fc.tuple(signs, allowed).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: signs },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.ipV4(),
      fc.ipV4Extended(),
      fc.ipV6().map((text) => `[${text}]`),
    ),
  },
  { weight: 1, arbitrary: fc.domain() },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
);

const statuses = [200, 400, 403, 405, 431, 502, 505];

/** One request on a connection of its own; the status of its answer. */
async function statusOf(door: EgressFixture, bytes: string): Promise<number> {
  const connection = await client(door.socket, Buffer.from(bytes, "utf8"));
  const answer = await connection.until("\r\n\r\n");
  connection.destroy();
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}

/** What was decided, looked up and written down of one request is about one host; nothing is looked up for a refused one. */
function expectOneHost(door: EgressFixture, before: { rows: number; looked: number }, status: number): void {
  const row = door.rows[before.rows];
  const looked = door.lookups.slice(before.looked);
  if (status !== 200 && status !== 502) {
    expect([row?.verdict, looked]).toEqual(["refused", []]);
    return;
  }
  const host = row?.host ?? "";
  expect(host).toMatch(/^ok\.test$|^[a-z0-9_.-]+\.wild\.test$/);
  expect(names.includes(host)).toBe(status === 200);
  expect(door.lines[before.rows]).toMatchObject({ host, verdict: "allowed" });
  // Remembered for a while once it was looked up; never another name.
  expect(looked.length === 0 ? door.lookups : looked).toContain(host);
  expect(looked.length).toBeLessThanOrEqual(1);
}

/** Hosts in the heads that reached the origin. */
const hostsAt = (origin: Origin) =>
  [...origin.received.matchAll(/^Host: (.*)\r$/gm)].map(([, value]) => value);

test("ATTACKS 1-14: whatever stands for a host over http://, one canonical host is matched, looked up, sent and logged", async () => {
  const { door, origin, port } = await open({ names: everywhere(names) });
  let through = 0;
  const property = fc.asyncProperty(host, async (written) => {
    const before = { rows: door.rows.length, looked: door.lookups.length, heard: hostsAt(origin).length };
    const status = await statusOf(door, get(`http://${written}:${port}/`));
    expect(statuses).toContain(status);
    const rows = door.rows.slice(before.rows);
    expect(rows.length).toBeGreaterThan(0);
    const heard = hostsAt(origin).slice(before.heard);
    const [row] = rows;
    expect(heard).toEqual(status === 200 ? [`${row?.host}:${port}`] : []);
    expectOneHost(door, before, status);
    if (status !== 200) return;
    through++;
    expect(row?.reason).toStartWith(row?.host === "ok.test" ? "ok.test " : "*.wild.test ");
  });
  await fc.assert(property, { numRuns: runs });
  expect(door.lookups.every((name) => /^ok\.test$|.\.wild\.test$/.test(name))).toBe(true);
  expect(through).toBeGreaterThan(runs / 4);
}, 180_000);

test("ATTACKS 1-14: whatever stands for a host in CONNECT, one canonical host is matched, looked up and logged", async () => {
  const { door, origin, port } = await open({ names: everywhere(names) });
  let through = 0;
  const property = fc.asyncProperty(host, async (written) => {
    const before = { rows: door.rows.length, looked: door.lookups.length };
    const status = await statusOf(door, connectTo(`${written}:${port}`));
    expect(statuses).toContain(status);
    const rows = door.rows.slice(before.rows);
    expect(rows.length).toBeGreaterThan(0);
    expectOneHost(door, before, status);
    if (status === 200) through++;
  });
  await fc.assert(property, { numRuns: runs });
  expect(door.lookups.every((name) => /^ok\.test$|.\.wild\.test$/.test(name))).toBe(true);
  expect(through).toBeGreaterThan(runs / 4);
  expect(origin.received).toBe("");
}, 180_000);

test("ATTACKS 24: any bytes at all are answered or closed, and the door goes on", async () => {
  const { door, port, origin } = await open();
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.constantFrom(
      "GET ",
      "CONNECT ",
      "http://",
      "ok.test",
      `:${port}`,
      "/",
      " HTTP/1.1",
      "\r\n",
      "Host: ok.test",
      "\0",
    ),
  );
  const property = fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
    // Ended by what no head can hold, so that there is nothing to wait for.
    const connection = await client(door.socket, Buffer.from(`${pieces.join("")}\0 \0\r\n\r\n`, "latin1"));
    const answer = await connection.until("\r\n\r\n");
    connection.destroy();
    expect(answer).toMatch(/^(HTTP\/1\.1 [2-5]\d\d |$)/);
    if (answer === "") expect(connection.closed).toBe(true);
  });
  await fc.assert(property, { numRuns: runs });
  const { connections } = origin;
  expect(await statusOf(door, get(`http://ok.test:${port}/`))).toBe(200);
  expect(origin.connections).toBeGreaterThanOrEqual(connections);
}, 180_000);
