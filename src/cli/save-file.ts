import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CcwError, messageOf } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { Cli } from "./cli.ts";

/**
 * Writes what was downloaded, for the person alone, and says so; without a file, or to `-`, to standard output. A file that
 * is there stays as it is; of one that could not be written whole nothing is left.
 */
export async function saveFile(
  { io }: Pick<Cli, "io">,
  bytes: ReadableStream<Uint8Array>,
  file = "-",
): Promise<void> {
  if (file === "-") {
    for await (const chunk of bytes) await io.out.write(chunk);
    return;
  }
  const name = plainLine(file);
  try {
    await pipeline(Readable.from(bytes), createWriteStream(file, { flags: "wx", mode: 0o600 }));
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "EEXIST") {
      const hint = "Name another one with -o, or remove it.";
      throw new CcwError("conflict", `There is a file ${name} already.`, hint, { cause: thrown });
    }
    await rm(file, { force: true }).catch(() => {});
    const message = `${name} could not be written: ${messageOf(thrown)}.`;
    if (code === "ENOSPC") throw new CcwError("no_space", message, "", { cause: thrown });
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES" || code === "EROFS") {
      const hint = "The folder has to be there, and you have to be allowed to write in it.";
      throw new CcwError("invalid", message, hint, { cause: thrown });
    }
    throw new CcwError("unavailable", message, "", { cause: thrown });
  }
  await io.err.write(`Written to ${name}.\n`);
}
