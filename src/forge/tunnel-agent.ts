import { request as httpRequest } from "node:http";
import { type AgentOptions, Agent as HttpsAgent } from "node:https";
import { isIP } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { CcwError } from "../domain/errors.ts";

/** Of TLS, to whatever a forge may be. */
export const minVersion = "TLSv1.2";

/** A company's proxy on the way to a forge. */
export interface UpstreamProxySetting {
  hostname: string;
  port: number;
  /** Value for Proxy-Authorization. */
  authorization: string | undefined;
}

/** TLS inside a tunnel that the proxy is asked for (RFC 9110, 9.3.6). */
export function tunnelAgent(proxy: UpstreamProxySetting, options: AgentOptions): HttpsAgent {
  class TunnelAgent extends HttpsAgent {
    override createConnection(
      target: { host?: string | null; port?: number | string | null; servername?: string },
      callback?: (error: Error | null, stream: Duplex) => void,
    ): null {
      const host = target.host ?? "";
      const authority = `${host.includes(":") ? `[${host}]` : host}:${target.port ?? 443}`;
      const asked = httpRequest({
        hostname: proxy.hostname,
        port: proxy.port,
        method: "CONNECT",
        path: authority,
        headers: {
          host: authority,
          ...(proxy.authorization === undefined ? {} : { "proxy-authorization": proxy.authorization }),
        },
      });
      const fail = (error: Error) => callback?.(error, new Duplex());
      asked.once("connect", (answer, socket) => {
        if (answer.statusCode !== 200) {
          socket.destroy();
          const text = `The proxy ${proxy.hostname}:${proxy.port} refuses the connection to ${authority} (${answer.statusCode}).`;
          return fail(
            new CcwError("unavailable", text, "The operator looks at `upstream_proxy` in ccw.toml."),
          );
        }
        const { secureContext } = options;
        const tls = connectTls({
          ...{ socket, host, minVersion },
          // RFC 6066, section 3: an address is never sent as a server name.
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ...(target.servername ? { servername: target.servername } : {}),
          ...(secureContext === undefined ? {} : { secureContext }),
        });
        tls.once("secureConnect", () => callback?.(null, tls));
        tls.once("error", fail);
      });
      asked.once("error", fail);
      asked.end();
      return null;
    }
  }
  return new TunnelAgent(options);
}
