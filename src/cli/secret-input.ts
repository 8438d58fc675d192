import { CcwError } from "../domain/errors.ts";
import type { CliIo } from "./io.ts";
import { readTextFile, readUpTo } from "./prompt-text.ts";

const maxBytes = 16 * 1024;

/**
 * A secret from a file, `-` for standard input. Never from the command line, which everybody on the machine can read;
 * at a terminal what is typed is not shown. `one`: it ends with its line.
 */
export async function readSecret(file: string, lines: "one" | "many", io: CliIo): Promise<string> {
  const text = file === "-" ? await fromInput(lines, io) : await readTextFile(file, maxBytes);
  const secret = text.trim();
  if (secret !== "" && text.length <= maxBytes) return secret;
  throw new CcwError(
    "invalid",
    secret === "" ? "There is no secret in it." : "It is too long for a secret.",
    "Pipe it in, as in: ccw-server forge add NAME --kind github --token-stdin < token.txt",
  );
}

async function fromInput(lines: "one" | "many", io: CliIo): Promise<string> {
  if (!io.in.isTty) return decode(await readUpTo(io.in.chunks(), maxBytes + 1));
  hide(io);
  // Or the shell would be left with a terminal that shows nothing.
  const restore = () => {
    io.in.echo(true);
    process.exit(130);
  };
  for (const signal of signals) process.on(signal, restore);
  try {
    const how = lines === "one" ? "press Enter" : "press Enter and Ctrl-D";
    await io.err.write(`Paste it, then ${how}; it is not shown: `);
    return decode(await readUpTo(lines === "one" ? firstLine(io.in.chunks()) : io.in.chunks(), maxBytes + 1));
  } finally {
    for (const signal of signals) process.off(signal, restore);
    io.in.echo(true);
    await io.err.write("\n");
  }
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function hide(io: CliIo): void {
  try {
    io.in.echo(false);
  } catch (cause) {
    throw new CcwError(
      "unavailable",
      "This terminal would show the secret.",
      "Read it from a file, or pipe it in.",
      { cause },
    );
  }
}

async function* firstLine(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    if (chunk.includes(0x0a)) return;
  }
}

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
