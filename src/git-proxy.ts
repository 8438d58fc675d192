import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GitProxyOptions } from "./cli/wiring.ts";
import { CcwError, messageOf } from "./domain/errors.ts";
import type { PushRight } from "./domain/git-server.ts";
import { bracketed } from "./domain/host.ts";
import type { Log } from "./domain/ports.ts";
import { createFetchedBase } from "./forge/fetched-base.ts";
import { gitNetworkSettings } from "./forge/forge-network.ts";
import { relayEndpoint } from "./forge/git-relay.ts";
import { defaultMaxTaskPackBytes } from "./forge/git-upstream-guard.ts";
import { relayLfs } from "./forge/lfs-relay.ts";
import { openQuarantine } from "./forge/quarantine.ts";
import { createUpstreamHttp } from "./forge/upstream-http.ts";
import { readAuthorities } from "./gateway/egress/authorities.ts";
import { createGitRelayServer } from "./gateway/git/git-relay-server.ts";

/** The git door with one server behind it and no appliance around it, until a signal ends it. */
export async function runGitProxy(options: GitProxyOptions, log: Log): Promise<number> {
  const { hostname, port, upstream, policy, caFile, onListening } = options;
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  const authorities = readAuthorities(caFile).trusted;
  const folder = await mkdtemp(join(tmpdir(), "ccw-git-proxy-"));
  const http = createUpstreamHttp({ authorities });
  try {
    const quarantine = await openQuarantine({
      folder: join(folder, "quarantine"),
      maxPackBytes: defaultMaxTaskPackBytes,
    });
    const baseFor = createFetchedBase({
      ...{ folder: join(folder, "fetched"), upstream },
      network: gitNetworkSettings({ proxy: undefined, authorities }, join(folder, "authorities.pem")),
    });
    const server = createGitRelayServer({
      grantOf(path, { headers }) {
        const base = baseFor(headers.authorization);
        const endpoint = relayEndpoint({ http, upstream, path, headers, quarantine, base });
        return { name: path, right: rightOf(policy), endpoint };
      },
      lfs(target, request, signal) {
        const { method = "", headers } = request;
        const right = rightOf(policy);
        return relayLfs({ http, upstream, target, right, method, headers, body: request, signal });
      },
      log,
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) =>
        reject(
          new CcwError("unavailable", `Nothing can listen at ${hostname}:${port}: ${messageOf(error)}.`),
        ),
      );
      server.listen(port, hostname, resolve);
    });
    const address = server.address();
    const chosen = typeof address === "object" && address !== null ? address.port : port;
    onListening(`http://${bracketed(hostname)}:${chosen}`);
    await stopped;
    server.close();
    server.closeAllConnections();
    return 0;
  } finally {
    http.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function rightOf(policy: GitProxyOptions["policy"]): PushRight {
  if (policy.kind === "allow-all") return { kind: "any" };
  const { branch } = policy;
  return branch === undefined ? { kind: "none" } : { kind: "branch", branch, force: false, delete: false };
}
