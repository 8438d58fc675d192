/** How long the door waits for whom, in milliseconds. What is over its time ends up to half a second later. */
export interface Waits {
  /** For the whole head of a request, from its first byte. */
  head: number;
  /** For the next piece of a request's body. */
  body: number;
  /** For a ClientHello, and then for the handshake. */
  hello: number;
  /** For an origin that thinks about its answer. */
  answer: number;
  /** For somebody who has stopped sending or taking a body. */
  stall: number;
  /** Between two requests on a client's connection. */
  betweenRequests: number;
  /** For a tunnel in which nothing moves. */
  idleTunnel: number;
  /** For the last bytes, once one side is gone or all is said. */
  flush: number;
  /** How long a client that was refused may go on sending before it has read why. */
  linger: number;
  /** An origin's connection that nobody uses. */
  idleUpstream: number;
}

export const usualWaits: Waits = {
  head: 10_000,
  body: 10_000,
  hello: 10_000,
  answer: 300_000,
  stall: 300_000,
  betweenRequests: 60_000,
  idleTunnel: 15 * 60_000,
  flush: 60_000,
  linger: 2000,
  idleUpstream: 15_000,
};
