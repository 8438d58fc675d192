/** TLS client hellos made by hand (RFC 8446 section 4.1.2), right ones and wrong ones. */

/** Big-endian, of `size` bytes. */
export function number(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
}

/** `content` with its length before it. */
export function vector(size: number, ...content: Uint8Array[]): Buffer {
  const joined = Buffer.concat(content);
  return Buffer.concat([number(joined.length, size), joined]);
}

export function extension(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([number(type, 2), vector(2, body)]);
}

export function serverNames(...names: string[]): Buffer {
  const list = names.map((name) => Buffer.concat([number(0, 1), vector(2, Buffer.from(name, "latin1"))]));
  return extension(0, vector(2, ...list));
}

export function alpn(...protocols: string[]): Buffer {
  return extension(16, vector(2, ...protocols.map((protocol) => vector(1, Buffer.from(protocol)))));
}

interface Parts {
  version?: number;
  session?: Uint8Array;
  ciphers?: Uint8Array;
  compressions?: Uint8Array;
  /** Behind the compression methods, as it is. */
  tail?: Uint8Array;
}

export function handshake(extensions: readonly Uint8Array[], parts: Parts = {}): Buffer {
  const body = [
    number(parts.version ?? 0x0303, 2),
    Buffer.alloc(32, 7),
    vector(1, parts.session ?? Buffer.alloc(32)),
    vector(2, parts.ciphers ?? number(0x1301, 2)),
    vector(1, parts.compressions ?? number(0, 1)),
    parts.tail ?? vector(2, ...extensions),
  ];
  return Buffer.concat([number(1, 1), vector(3, ...body)]);
}

export function record(message: Uint8Array): Buffer {
  return Buffer.concat([number(0x160301, 3), vector(2, message)]);
}

export function hello(extensions: readonly Uint8Array[], parts?: Parts): Buffer {
  return record(handshake(extensions, parts));
}
