import type { ForgeApi } from "../domain/forge.ts";
import type { ForgeApiOptions } from "./github.ts";
export function createGitea(_: ForgeApiOptions): ForgeApi {
  throw new Error("not yet");
}
