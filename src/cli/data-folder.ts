import { homedir } from "node:os";
import { join } from "node:path";

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Where the server keeps its data when nobody says: `CCW_DATA`, else `/var/lib/ccw-server` for root, else
 * `ccw-server` in the person's XDG data folder.
 */
export function defaultDataFolder(env: Variables, userId = process.getuid?.()): string {
  const chosen = env["CCW_DATA"];
  if (chosen !== undefined && chosen !== "") return chosen;
  if (userId === 0) return "/var/lib/ccw-server";
  const xdg = env["XDG_DATA_HOME"];
  // The XDG base directory specification: a relative path is to be ignored.
  const base = xdg?.startsWith("/") === true ? xdg : join(env["HOME"] ?? homedir(), ".local", "share");
  return join(base, "ccw-server");
}
