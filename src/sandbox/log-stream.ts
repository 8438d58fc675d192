/**
 * The text of a container's log as the Docker API sends it without a terminal: frames of one byte for the stream
 * (0 to 2), three zero bytes, a big-endian length of four bytes, then that many bytes. Whatever does not look
 * like a frame is taken as it is, since some engines send plain text.
 */
export function plainLog(raw: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < raw.length) {
    if (!isFrameHead(raw, at)) {
      parts.push(raw.subarray(at));
      break;
    }
    const end = at + 8 + raw.readUInt32BE(at + 4);
    parts.push(raw.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(parts);
}

function isFrameHead(raw: Buffer, at: number): boolean {
  const stream = raw[at] ?? 255;
  return raw.length - at >= 8 && stream <= 2 && raw[at + 1] === 0 && raw[at + 2] === 0 && raw[at + 3] === 0;
}
