import type { ForgeApi } from "../domain/forge.ts";
import type { ForgeApiOptions } from "./github.ts";
export function createGitlab(_: ForgeApiOptions): ForgeApi {
  throw new Error("not yet");
}
