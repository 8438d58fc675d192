/**
 * One connection as a stream of bytes in both directions, whatever carries it: a socket, TLS over one, a tunnel in a
 * tunnel. Each direction ends by itself. A writer that does not wait for `drain` is the only way to use memory.
 */
export interface Wire {
  /** Who is told. It may be swapped at any time: what a connection means changes along its way. */
  listener: WireListener;
  /** Takes all of it; false means: write no more before `drain`. Bytes to a closed wire are dropped. */
  write(bytes: Uint8Array): boolean;
  /**
   * Nobody looks at these bytes again: their memory is freed when all that was written before is out, and not only
   * when the collector comes by.
   */
  spent(bytes: Uint8Array): void;
  /** Ends the direction of writing once all is out; reading goes on. */
  end(): void;
  /** Ends both directions at once, whatever is under way. */
  destroy(): void;
  /** No `data` until `resume`, but for what was read already. */
  pause(): void;
  resume(): void;
  readonly closed: boolean;
  /** The last write said "no more", and no `drain` has come since. */
  readonly behind: boolean;
  /** Bytes written that the other side has not taken. */
  readonly buffered: number;
}

export interface WireListener {
  /** The bytes are the listener's to keep. */
  data(bytes: Uint8Array): void;
  drain(): void;
  /** The other side has sent its last byte; it may still read. */
  end(): void;
  /** Both directions are over. Comes once, and last. */
  close(): void;
}

/** For a wire that nobody listens to any more, or yet. */
export const deaf: WireListener = { data() {}, drain() {}, end() {}, close() {} };
