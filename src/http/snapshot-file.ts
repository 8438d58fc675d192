import type { Context } from "hono";
import { CcwError } from "../domain/errors.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { HttpEnv } from "./context.ts";

export interface SnapshotFile {
  task: Pick<TaskRow, "id" | "repositories">;
  index: number;
  turn: number;
  ending: string;
}

/** What a download is called, and the folder in an archive: letters, digits, `.`, `_` and `-`, whatever the repository's name. */
export function fileNameOf({ task, index, turn }: Omit<SnapshotFile, "ending">): string {
  const last = task.repositories[index]?.name.split("/").at(-1) ?? "";
  const plain = last.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^[.-]+/, "");
  return `${plain === "" ? "work" : plain}-${task.id.slice(-6)}-turn-${turn}`;
}

/** As a download: nothing of it is ever shown by a browser as a page of the appliance. */
export function sendFile(c: Context<HttpEnv>, bytes: ReadableStream<Uint8Array>, file: SnapshotFile) {
  return c.body(bytes, 200, {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename="${fileNameOf(file)}.${file.ending}"`,
    "Cache-Control": "private, no-store",
  });
}

export const noSnapshot = (turn: number) =>
  new CcwError("not_found", `There is no snapshot of this repository of turn ${turn}.`);
