import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The bare repositories of this machine whose objects the one in `folder` sees (gitrepository-layout(5)). */
export function alternatesOf(folder: string): string[] {
  try {
    const lines = readFileSync(join(folder, "objects/info/alternates"), "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => line.replace(/\/objects$/, ""));
  } catch {
    return [];
  }
}
