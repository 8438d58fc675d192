import { isIP } from "node:net";
import { Duplex } from "node:stream";
import { checkServerIdentity, connect, createSecureContext, type TLSSocket } from "node:tls";
import { CcwError } from "../../domain/errors.ts";
import type { Authorities } from "./authorities.ts";
import { handshake } from "./handshake.ts";

/** Which authorities a server on the internet may be signed by: the runtime's list, the machine's, the operator's own. */
export interface UpstreamTrust {
  /**
   * TLS towards a server, which has to prove that it is `host`; HTTP/1.1 inside, TLS 1.2 at least. Rejects with
   * `unavailable` in words for the ledger, or with the signal's reason; then nothing is left open, `over` neither.
   */
  connect(options: {
    /** A vetted address to dial, or a connection that leads to the server already. */
    over: { address: string; port: number } | Duplex;
    /** Canonical; an address without brackets. */
    host: string;
    signal?: AbortSignal;
    withinMs?: number;
  }): Promise<TLSSocket>;
}

/** Reads the list once: to do so for each connection would take milliseconds. */
export function openUpstreamTrust({ trusted }: Pick<Authorities, "trusted">): UpstreamTrust {
  const secureContext = createSecureContext({ ca: [...trusted], minVersion: "TLSv1.2" });
  return {
    connect({ over, host, signal, withinMs = 10_000 }) {
      const stream = over instanceof Duplex ? over : undefined;
      const target = over instanceof Duplex ? { socket: over } : { host: over.address, port: over.port };
      return handshake({
        stream,
        open: () =>
          connect({
            ...target,
            // RFC 6066, section 3: an address is never sent as a server name.
            ...(isIP(host) === 0 ? { servername: host } : {}),
            checkServerIdentity: (_dialled, certificate) => checkServerIdentity(host, certificate),
            secureContext,
            minVersion: "TLSv1.2",
            ALPNProtocols: ["http/1.1"],
            rejectUnauthorized: true,
          }),
        done: "secureConnect",
        withinMs,
        signal,
        describe: (error) => describe(host, error),
      });
    },
  };
}

/** What OpenSSL (verify(1)) and the runtime call a failed check, in words. */
function describe(host: string, error: Error): CcwError {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const names = /DNS:.*$/.exec(error.message)?.[0] ?? "none";
    // What the server wrote there is not to be trusted with a line of the log.
    const shown = names.replace(/[^\x20-\x7e]/g, "?");
    const cut = shown.length > 200 ? `${shown.slice(0, 200)} …` : shown;
    return refused(`The certificate that ${host} showed is for other names (${cut}).`);
  }
  if (code === "CERT_HAS_EXPIRED") return refused(`The certificate of ${host} has expired.`);
  if (code === "CERT_NOT_YET_VALID") {
    return refused(`The certificate of ${host} is not valid yet.`, "Look at this machine's clock.");
  }
  if (/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_UNTRUSTED|INVALID_CA/.test(code)) {
    return refused(
      `The certificate of ${host} is signed by an authority that this appliance does not know.`,
      "If it is your company's own, name its certificate in ccw.toml: `ca_file` under [egress].",
    );
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(`${code} ${error.message}`)) {
    return refused(`${host} speaks no TLS from version 1.2 on.`);
  }
  if (/^E[A-Z]+$/.test(code)) return refused(`${host} cannot be reached: ${error.message}.`);
  return refused(`TLS with ${host} failed: ${error.message}.`);
}

const refused = (message: string, hint = "") => new CcwError("unavailable", message, hint);
