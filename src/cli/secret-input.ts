import { CcwError } from "../domain/errors.ts";
import type { CliIo } from "./io.ts";
import { readTextFile, readUpTo } from "./prompt-text.ts";

const maxBytes = 16 * 1024;

/** A secret from a file, `-` for standard input. Never from the command line, which everybody on the machine can read. */
export async function readSecret(file: string, io: CliIo): Promise<string> {
  if (file === "-" && io.in.isTty) await io.err.write("Paste it, then press Enter and Ctrl-D: ");
  const text =
    file === "-"
      ? new TextDecoder().decode(await readUpTo(io.in.chunks(), maxBytes + 1))
      : await readTextFile(file, maxBytes);
  const secret = text.trim();
  if (secret !== "" && text.length <= maxBytes) return secret;
  throw new CcwError(
    "invalid",
    secret === "" ? "There is no secret in it." : "It is too long for a secret.",
    "Pipe it in, as in: ccw-server forge add NAME --kind github --token-stdin < token.txt",
  );
}
