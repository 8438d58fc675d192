import { networkInterfaces } from "node:os";
import { websocket } from "hono/bun";
import type { Config } from "./config.ts";
import { CcwError, messageOf } from "./domain/errors.ts";
import { bracketed } from "./domain/host.ts";

/** Serves the app where the settings say. Throws `conflict` for a port in use, `unavailable` for an odd address. */
export function listen(
  config: Config,
  answer: (request: Request, env: unknown) => Response | Promise<Response>,
) {
  try {
    return Bun.serve({
      hostname: config.host,
      port: config.port,
      development: false,
      idleTimeout: 60,
      // Pushes of any size are streamed; what is read whole has a limit of its own.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      websocket,
      fetch(request, server) {
        // Git is quiet for as long as it packs, and a forge for as long as it wants to be left alone.
        const { pathname } = new URL(request.url);
        if (
          /^\/(git|teleport|handover|api\/(forges|repositories|branches))(\/|$)|\/(pull-requests|snapshots|fork|teleport)(\/|$)/.test(
            pathname,
          )
        )
          server.timeout(request, 0);
        return answer(request, { server });
      },
    });
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EADDRINUSE") {
      throw new CcwError(
        "conflict",
        `Port ${config.port} on ${config.host} is in use by another program.`,
        "Start with --port and a free one, or --port 0 for any.",
      );
    }
    throw new CcwError(
      "unavailable",
      `The appliance cannot listen on ${config.host}, port ${config.port}: ${messageOf(thrown)}.`,
      "Start with --host 127.0.0.1 (this machine only), --host 0.0.0.0 (the LAN), or an address of this machine.",
      { cause: thrown },
    );
  }
}

/** Where people reach what listens there: for all of a machine's addresses, one of them. */
export function urlOf(host: string, port: number): string {
  const name = host === "0.0.0.0" || host === "::" ? (lanAddress() ?? "127.0.0.1") : host;
  return `http://${bracketed(name)}:${port}`;
}

function lanAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address;
}
