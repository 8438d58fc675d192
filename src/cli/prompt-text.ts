import { open } from "node:fs/promises";
import { bytesText } from "../domain/amounts.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { CliIo } from "./io.ts";

/** A character that is cut at the end is left out: so much more is read that what is too long stays too long. */
const overshoot = 4;

/**
 * The text of a prompt: from `--file` (`-` is standard input), else from the command line, else from standard input
 * where that is no terminal. Reads no more than a prompt may have.
 */
export async function readPrompt(
  { words, file }: { words: readonly string[]; file: string | undefined },
  io: CliIo,
): Promise<string> {
  const { maxPromptBytes, promptTextSchema } = await import("../domain/task.ts");
  const text = await source();
  const checked = promptTextSchema.safeParse(text);
  if (checked.success) return checked.data;
  throw new CcwError("invalid", checked.error.issues[0]?.message ?? "The prompt is not valid.");

  async function source(): Promise<string> {
    if (words.length > 0) {
      if (file !== undefined) {
        throw new CcwError(
          "invalid",
          "The prompt is given twice, by --file and on the command line.",
          "Leave one out.",
        );
      }
      return words.join(" ");
    }
    if (file !== undefined && file !== "-")
      return decode(await readFile(file, maxPromptBytes + overshoot), file);
    if (file === undefined && io.in.isTty) {
      throw new CcwError(
        "invalid",
        "There is no prompt.",
        'Say in plain words what is to be done: `ccw-server task create --repo NAME "Fix the failing test"`, or pipe it in.',
      );
    }
    return decode(await readUpTo(io.in.chunks(), maxPromptBytes + overshoot), "Standard input");
  }
}

/** A whole text file of at most `limit` bytes. */
export async function readTextFile(path: string, limit: number): Promise<string> {
  const bytes = await readFile(path, limit + 1);
  if (bytes.length > limit) throw new CcwError("too_large", `${path} is over ${bytesText(limit)}.`);
  return decode(bytes, path);
}

async function readFile(path: string, limit: number): Promise<Uint8Array> {
  try {
    const file = await open(path);
    try {
      return await readUpTo(file.createReadStream({ end: limit - 1, autoClose: false }), limit);
    } finally {
      await file.close();
    }
  } catch (thrown) {
    throw new CcwError("invalid", `${path} cannot be read: ${messageOf(thrown)}.`, "", { cause: thrown });
  }
}

/** At most `limit` bytes, whatever else comes. */
export async function readUpTo(
  chunks: AsyncIterable<Uint8Array | string>,
  limit: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    parts.push(bytes);
    size += bytes.length;
    if (size >= limit) break;
  }
  return Buffer.concat(parts).subarray(0, limit);
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    // What was cut may end within a character: `stream` does not mind.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch (cause) {
    throw new CcwError("invalid", `${name} is not UTF-8 text.`, "Give a text file.", { cause });
  }
}
