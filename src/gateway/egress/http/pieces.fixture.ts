import fc from "../../../../test/properties.ts";

/** Latin1: one character, one byte. */
export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

export function textOf(...pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString("latin1");
}

/** Where a message is cut, to be taken modulo its length. */
export const cuts: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 1 << 20 }), { maxLength: 12 });

/** `bytes` in order, cut at the places that `cuts` names. */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const inside = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [...inside, bytes.length].map((to, index) => bytes.subarray(inside[index - 1] ?? 0, to));
}

/** What a parser says that is shown more and more of `bytes`, as a connection would: the first answer but `more`. */
export function trickled<Read extends { kind: string }>(
  read: (bytes: Uint8Array, searchedFrom: number) => Read,
  bytes: Uint8Array,
  places: readonly number[],
): Read {
  let length = 0;
  let last = read(bytes.subarray(0, 0), 0);
  for (const piece of cutAt(bytes, places)) {
    last = read(bytes.subarray(0, length + piece.length), length);
    length += piece.length;
    if (last.kind !== "more") return last;
  }
  return last;
}

export const token: fc.Arbitrary<string> = fc.string({
  unit: fc.constantFrom(..."!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"),
  minLength: 1,
  maxLength: 20,
});

/** With tabs and obs-text inside, and no white space around. */
export const fieldValue: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(0x20, 0x09, 0x3a, 0x2c),
      fc.integer({ min: 0x21, max: 0x7e }),
      fc.integer({ min: 0x80, max: 0xff }),
    ),
  )
  .map((codes) => String.fromCharCode(...codes).replace(/^[ \t]+|[ \t]+$/g, ""));
