import { expect, test } from "bun:test";
import fc from "../../../test/properties.ts";
import { flushPkt, pktLine } from "../../domain/pkt-line.ts";
import { type CommandSection, createCommandReader, serialiseCommands } from "./receive-pack-commands.ts";

const zero = "0".repeat(40);
const one = "1".repeat(40);
const command = (ref: string, behind = "") => pktLine(`${zero} ${one} ${ref}${behind}`);
const own = "refs/heads/claude/x";

function read(...chunks: Uint8Array[]): CommandSection | undefined {
  const reader = createCommandReader();
  for (const chunk of chunks) {
    const section = reader.read(chunk);
    if (section !== undefined) return section;
  }
  return undefined;
}

function cut(bytes: Uint8Array, places: number[]): Uint8Array[] {
  const at = [...new Set([0, ...places, bytes.length])].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => bytes.subarray(at[index] ?? 0, end));
}

/** What a section says, apart from where its rest was cut. */
function verdict(section: CommandSection | undefined): unknown {
  return section?.kind === "commands" ? { ...section, rest: undefined } : section;
}

test("a push as git sends it is read, and its pack is left alone", () => {
  const pack = Buffer.from("PACK rest");
  const caps = "\0 report-status-v2 side-band-64k agent=git/2.39.5";
  const body = Buffer.concat([pktLine(`shallow ${one}\n`), command(own, caps), flushPkt, pack]);
  const section = read(body);
  expect(section).toEqual({
    kind: "commands",
    commands: [{ oldId: zero, newId: one, ref: own }],
    shallow: [one],
    capabilities: ["report-status-v2", "side-band-64k", "agent=git/2.39.5"],
    bytes: body.length - pack.length,
    rest: pack,
  });
});

test("a lone flush is a probe: no commands", () => {
  expect(read(flushPkt)).toMatchObject({ kind: "commands", commands: [] });
});

test("ATTACKS 49: a push certificate is told apart, and push options are dropped", () => {
  expect(read(pktLine("push-cert\0report-status side-band-64k"))).toMatchObject({ kind: "certificate" });
  const options = Buffer.concat([
    command(own, "\0report-status push-options"),
    flushPkt,
    pktLine("ci.skip"),
    pktLine(`${zero} ${one} refs/heads/main`),
    flushPkt,
    Buffer.from("PACK"),
  ]);
  const section = read(options);
  if (section?.kind !== "commands") throw new Error("not read");
  expect(section.commands).toHaveLength(1);
  expect(Buffer.from(section.rest).toString()).toBe("PACK");
  expect(Buffer.from(serialiseCommands(section)).toString()).not.toContain("push-options");
});

test("ATTACKS 50: whatever way the bytes are split, the verdict is the same", () => {
  const lines = fc.array(
    fc.oneof(
      fc.constantFrom(own, "refs/heads/main", "HEAD", `${own}\n`, "").map((ref) => command(ref)),
      fc.constant(command(own, "\0report-status push-options agent=x")),
      fc.constant(pktLine(`shallow ${one}`)),
      fc.constant(pktLine("push-cert\0report-status")),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => pktLine(bytes)),
      fc
        .constantFrom("0000", "0001", "0004", "+00a", "0x1f", "fff5", "zzzz")
        .map((text) => Buffer.from(text)),
    ),
    { maxLength: 6 },
  );
  const places = fc.array(fc.nat({ max: 600 }), { maxLength: 40 });
  fc.assert(
    fc.property(lines, fc.uint8Array({ maxLength: 30 }), places, (parts, tail, at) => {
      const bytes = Buffer.concat([...parts, flushPkt, tail]);
      const whole = read(bytes);
      const inPieces = read(
        ...cut(
          bytes,
          at.filter((place) => place < bytes.length),
        ),
      );
      const byteByByte = read(...cut(bytes, [...bytes.keys()]));
      expect(verdict(inPieces)).toEqual(verdict(whole));
      expect(verdict(byteByByte)).toEqual(verdict(whole));
    }),
    { numRuns: 300 },
  );
});

for (const length of [
  "0001",
  "0002",
  "0003",
  "0004",
  "+00a",
  "0x1f",
  " 00a",
  "-001",
  "00_a",
  "fff1",
  "ffff",
]) {
  test(`ATTACKS 51: a line of length ${JSON.stringify(length)} is malformed`, () => {
    const line = Buffer.concat([Buffer.from(length), Buffer.from(`${zero} ${one} ${own}`)]);
    expect(read(Buffer.concat([line, flushPkt]))?.kind).toBe("malformed");
    expect(read(Buffer.concat([command("refs/heads/a"), line, flushPkt]))?.kind).toBe("malformed");
  });
}

test("ATTACKS 51: behind NUL there is no second ref, and what goes on is written anew", () => {
  const section = read(
    Buffer.concat([
      command(own, `\0report-status\n${zero} ${one} refs/heads/main`),
      command(`${own}2`, "\0push-options push-cert=x report-status"),
      flushPkt,
    ]),
  );
  if (section?.kind !== "commands") throw new Error("not read");
  expect(section.commands.map(({ ref }) => ref)).toEqual([own, `${own}2`]);
  expect(Buffer.from(serialiseCommands(section)).toString()).toBe(
    [command(own, "\0 report-status"), command(`${own}2`), flushPkt].map(String).join(""),
  );
});

test("ATTACKS 51: a ref that is not UTF-8, and ids of two kinds, are malformed", () => {
  expect(read(pktLine(`${zero} ${one} refs/heads/`, Uint8Array.of(0xc0, 0xae)))?.kind).toBe("malformed");
  expect(read(pktLine(`${zero} ${"1".repeat(64)} ${own}`))?.kind).toBe("malformed");
  expect(read(pktLine(`${zero} ${"A".repeat(40)} ${own}`))?.kind).toBe("malformed");
});

test("ATTACKS 52: over 1 MiB of commands is malformed, whether or not a flush ever comes", () => {
  const reader = createCommandReader();
  const line = command(`refs/heads/${"x".repeat(1000)}`);
  let section: CommandSection | undefined;
  let sent = 0;
  while (section === undefined && sent < 2 * 1024 * 1024) {
    section = reader.read(line);
    sent += line.length;
  }
  expect(section?.kind).toBe("malformed");
  expect(sent).toBeLessThan(1024 * 1024 + 2 * line.length);
});
