import type { ForgeAccess } from "../domain/forge.ts";
import { createMirrorRemote, type MirrorRemote } from "./mirror-remote.ts";
import { createUpstreamHttp } from "./upstream-http.ts";

/** Forges as they are reached from here: with no proxy, and no authorities of one's own. */
export function directRemote(folder: string, access: ForgeAccess): MirrorRemote {
  const network = { caFile: undefined, proxy: undefined };
  return createMirrorRemote({ folder, access, http: createUpstreamHttp(), network });
}
