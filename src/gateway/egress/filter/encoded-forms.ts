/** The forms in which a value is looked for, besides those that reading the stream undoes (`scanner.ts`). */
interface EncodedForms {
  /** As such and in base64; letters count as they are. */
  exact: Uint8Array[];
  /** Hexadecimal digits, in lower case. */
  hex: Uint8Array[];
}

/** What is looked for of one value: itself without the white space around it, and the lines of a key. */
export function piecesOf(value: string): string[] {
  const whole = value.trim();
  if (!longEnough(whole)) return [];
  return [whole.slice(0, longestPiece), ...keyLines(whole)];
}

export function encodedForms(piece: string): EncodedForms {
  const bytes = Buffer.from(piece);
  const exact = [bytes, ...base64Cores(bytes)];
  for (const undone of [percentUndone, backslashUndone]) {
    const once = undone(bytes);
    for (const reading of [once, undone(once)]) {
      if (!reading.equals(bytes) && longEnough(reading.toString("latin1"))) exact.push(reading);
    }
  }
  // For where that reading is too short to be looked for: what a writer of JSON makes of it stands there as it is.
  const json = Buffer.from(JSON.stringify(piece).slice(1, -1));
  if (!json.equals(bytes)) exact.push(json);
  const halves = surrogateHalves(piece);
  if (halves !== undefined) exact.push(halves);
  return { exact, hex: [Buffer.from(bytes.toString("hex"))] };
}

/** Shorter ones would be found in innocent text. Line breaks do not count. */
function longEnough(text: string): boolean {
  return text.replace(/[\r\n]/g, "").length >= 8;
}

/** In characters. Of a longer value the beginning is looked for: that bounds what is held back, and the tables. */
const longestPiece = 4096;
const mostLines = 256;
const shortestLine = 20;

/**
 * A key in armour (RFC 7468) may leave in part, or with its lines joined in another way, so each line of it is looked
 * for, also where the value has it in one line with `\n` in between. Lines of other texts are not: those of a JSON key
 * file, say, are mostly the same for everyone. Neither is the first line of an OpenSSH key, which is the same in all
 * keys of a kind.
 */
function keyLines(value: string): string[] {
  const lines = value.split(/\r?\n|\\n/).map((line) => line.trim());
  if (lines.length < 2) return [];
  return lines
    .filter((line) => line.length >= shortestLine && /^[A-Za-z0-9+/=]+$/.test(line))
    .filter((line) => !line.startsWith(openSshMagic))
    .slice(0, mostLines);
}

/** `openssh-key-v1`, NUL, in base64. */
const openSshMagic = "b3BlbnNzaC1rZXktdjEA";

/**
 * The characters of base64 (RFC 4648 4 and 5) that depend on the value alone, for each of the three places where it
 * may begin in a group of three bytes. The characters at the borders, which it shares with its neighbours, are left
 * out: with them up to 4 bits at the beginning and at the end.
 */
function base64Cores(bytes: Buffer): Buffer[] {
  const cores = new Set<string>();
  for (const offset of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const core = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    cores.add(core);
    cores.add(core.replaceAll("+", "-").replaceAll("/", "_"));
  }
  return [...cores].map((core) => Buffer.from(core));
}

/*
 * A value that holds what looks like an escape is read as another one where only the rest of it was encoded: `%41` by
 * a writer of JSON, `\n` by one that percent-encodes some characters alone. That reading is looked for too, if it is
 * long enough.
 */

function percentUndone(bytes: Buffer): Buffer {
  const byteOf = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 16));
  return Buffer.from(bytes.toString("latin1").replace(/%([0-9a-f]{2})/gi, byteOf), "latin1");
}

function backslashUndone(bytes: Buffer): Buffer {
  const meaning = (escaped: string) => String(JSON.parse(`"${escaped}"`));
  return Buffer.from(bytes.toString().replace(/\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])/g, meaning));
}

/** With each half of a surrogate pair as three bytes, which is what `\ud83d\ude00` is read as. */
function surrogateHalves(piece: string): Buffer | undefined {
  if (!/[\ud800-\udfff]/.test(piece)) return undefined;
  const bytes: number[] = [];
  for (let i = 0; i < piece.length; i++) {
    const code = piece.charCodeAt(i);
    if (code < 0xd800 || code > 0xdfff) bytes.push(...Buffer.from(piece.charAt(i)));
    else bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return Buffer.from(bytes);
}
