import type { Duplex } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";
import { CcwError } from "../../domain/errors.ts";
import type { Authority, Leaf } from "./authority.ts";
import { handshake } from "./handshake.ts";

/**
 * Ends a sandbox's TLS in the name of `host`, over a stream that begins with the ClientHello. Only HTTP/1.1 is spoken
 * inside, from TLS 1.2 on.
 *
 * Rejects with a CcwError in words for the ledger, and destroys the stream, when the handshake fails or takes longer
 * than `withinMs`. A failure after it destroys the socket that was returned: listen for its `close`.
 */
export async function interceptTls(options: {
  stream: Duplex;
  authority: Authority;
  /** Canonical; an address without brackets. */
  host: string;
  withinMs?: number;
}): Promise<TLSSocket> {
  const { stream, host, withinMs = 10_000 } = options;
  const leaf = await leafOf(options);
  return await handshake({
    stream,
    open: () =>
      new TLSSocket(stream, {
        isServer: true,
        secureContext: createSecureContext({ ...leaf, minVersion: "TLSv1.2" }),
        ALPNProtocols: ["http/1.1"],
      }),
    done: "secure",
    withinMs,
    signal: undefined,
    describe: (error) => describe(host, error),
  });
}

async function leafOf({ stream, authority, host }: Parameters<typeof interceptTls>[0]): Promise<Leaf> {
  try {
    return await authority.leafFor(host);
  } catch (thrown) {
    stream.destroy();
    throw thrown;
  }
}

function describe(host: string, { message }: Error): CcwError {
  // RFC 8446, section 6.2: what a client says that does not accept the certificate. OpenSSL says it unencrypted in the
  // middle of a TLS 1.3 handshake, and the runtime calls that a bad length.
  if (/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN)|BAD_PACKET_LENGTH/.test(message)) {
    return new CcwError(
      "invalid",
      `The program in the sandbox does not accept the appliance's certificate for ${host}.`,
      `It brings its own list of authorities, or expects one certain certificate: a rule \`${host} no-inspect\` lets it through unread.`,
    );
  }
  return new CcwError("invalid", `TLS from the sandbox to ${host} failed: ${message}.`);
}
