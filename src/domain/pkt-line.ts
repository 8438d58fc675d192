/** Git's pkt-line framing (gitprotocol-common(5)): four hex digits of length, themselves included, then bytes. */

export type Pkt =
  | { kind: "data"; payload: Uint8Array }
  | { kind: "flush" }
  /** Not a length, or one that has no meaning in a push (0001 to 0004) or is over 65520. */
  | { kind: "malformed" };

/** The longest packet that git writes or reads, its length digits included. */
const longestPkt = 65520;

export interface PktReader {
  /**
   * Takes bytes of `chunk` from `offset` on until one packet is whole; `used` of them are gone. Without a `pkt`
   * the chunk is used up and the packet goes on in the next one. A payload stays valid after later calls.
   */
  read(chunk: Uint8Array, offset: number): { used: number; pkt: Pkt | undefined };
}

/** Holds one packet at most, whatever way its bytes are split. */
export function createPktReader(): PktReader {
  const digits = new Uint8Array(4);
  let digitsHeld = 0;
  let payload: Uint8Array | undefined;
  let payloadHeld = 0;

  return {
    read(chunk, offset) {
      let at = offset;
      const done = (pkt: Pkt | undefined) => ({ used: at - offset, pkt });
      while (at < chunk.length) {
        if (payload === undefined) {
          digits[digitsHeld++] = chunk[at++] ?? 0;
          if (digitsHeld < 4) continue;
          digitsHeld = 0;
          const length = lengthOf(digits);
          if (length === 0) return done({ kind: "flush" });
          if (length === undefined) return done({ kind: "malformed" });
          payload = new Uint8Array(length - 4);
          payloadHeld = 0;
          continue;
        }
        const part = chunk.subarray(at, at + payload.length - payloadHeld);
        payload.set(part, payloadHeld);
        payloadHeld += part.length;
        at += part.length;
        if (payloadHeld < payload.length) continue;
        const whole = payload;
        payload = undefined;
        return done({ kind: "data", payload: whole });
      }
      return done(undefined);
    },
  };
}

export const flushPkt = Buffer.from("0000");

export function pktLine(...parts: (string | Uint8Array)[]): Buffer {
  const payload = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
  const length = payload.length + 4;
  if (length > longestPkt) throw new RangeError(`A packet of ${length} bytes is longer than git reads.`);
  return Buffer.concat([Buffer.from(length.toString(16).padStart(4, "0")), payload]);
}

/** Digit by digit: number parsers take signs, blanks and prefixes that git's own does not. */
function lengthOf(digits: Uint8Array): number | undefined {
  const text = Buffer.from(digits).toString("latin1");
  if (!/^[0-9a-fA-F]{4}$/.test(text)) return undefined;
  const length = Number.parseInt(text, 16);
  return length === 0 || (length > 4 && length <= longestPkt) ? length : undefined;
}
