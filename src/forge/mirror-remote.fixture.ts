import { join } from "node:path";
import type { ForgeAccess } from "../domain/forge.ts";
import { type ForgeNetwork, gitNetworkSettings } from "./forge-network.ts";
import { createMirrorRemote, type MirrorRemote } from "./mirror-remote.ts";
import { createUpstreamHttp } from "./upstream-http.ts";

/** Forges as they are reached from here: with no proxy but `proxy`, `http://user:password@127.0.0.1:1`. */
export function remoteFrom(
  folder: string,
  access: ForgeAccess,
  network: ForgeNetwork = { proxy: undefined, authorities: undefined },
): MirrorRemote {
  const { proxy, authorities } = network;
  const { hostname, port, username, password } = new URL(proxy ?? "http://u:p@127.0.0.1:1");
  const setting = { hostname, port: Number(port), authorization: `Basic ${btoa(`${username}:${password}`)}` };
  return createMirrorRemote({
    access,
    http: createUpstreamHttp({ authorities, ...(proxy !== undefined && { proxy: setting }) }),
    network: gitNetworkSettings(network, join(folder, "authorities.pem")),
  });
}
