import { createWriteStream, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { bytesText } from "../domain/amounts.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import type { PromptAttachment } from "../domain/session.ts";
import type { SessionClient } from "./session-client.ts";
import type { KeptPrompt } from "./state.ts";

export interface AttachmentsOptions {
  workspace: string;
  session: Pick<SessionClient, "attachment">;
  emit: (event: GuestEvent) => Promise<void>;
  signal: AbortSignal;
}

/** What the model takes as a picture, in the Messages API's words; a larger one is only named. */
const imageTypes = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const maxImageBytes = 5 * 1024 ** 2;

/**
 * Places a prompt's attachments in `<workspace>/.attachments/<prompt>/<name>`, a folder that no repository's name can
 * be, and names them at the end of its text; those that are pictures go along as such. What cannot be had is said there.
 */
export async function placeAttachments(
  { promptId, text }: { promptId: string; text: string },
  attachments: readonly PromptAttachment[],
  options: AttachmentsOptions,
): Promise<Omit<KeptPrompt, "key">> {
  if (attachments.length === 0) return { promptId, text, images: [] };
  const short = promptId.replace(/[^A-Za-z0-9]/g, "").slice(-8);
  const folder = join(options.workspace, ".attachments", short);
  const images: KeptPrompt["images"] = [];
  const lines: string[] = [];
  for (const attachment of attachments) {
    const { mediaType, bytes } = attachment;
    const name = plainName(attachment.name);
    const path = join(folder, name);
    try {
      await fetchTo(path, attachment, options);
      lines.push(`- ${path} (${mediaType}, ${bytesText(bytes)})`);
      if (imageTypes.includes(mediaType) && bytes <= maxImageBytes) images.push({ path, mediaType });
    } catch (thrown) {
      options.signal.throwIfAborted();
      lines.push(`- ${name} (${mediaType}): could not be fetched, and is not there`);
      const text = `The attachment ${name} could not be fetched: ${messageOf(thrown)}`;
      await options.emit({ kind: "notice", level: "warning", text });
    }
  }
  return { promptId, text: `${text}\n\nAttached files:\n${lines.join("\n")}`, images };
}

async function fetchTo(
  path: string,
  { id, bytes }: PromptAttachment,
  { session, signal }: AttachmentsOptions,
): Promise<void> {
  if (sizeOf(path) === bytes) return;
  mkdirSync(join(path, ".."), { recursive: true });
  const partial = `${path}.part`;
  try {
    let seen = 0;
    const counted = async function* (source: AsyncIterable<Uint8Array>) {
      for await (const chunk of source) {
        seen += chunk.length;
        if (seen > bytes) throw new CcwError("conflict", "It is longer than it was said to be.");
        yield chunk;
      }
    };
    const body = await session.attachment(id, signal);
    await pipeline(Readable.from(body), counted, createWriteStream(partial), { signal });
    if (seen < bytes) throw new CcwError("conflict", "It ended too early.");
    renameSync(partial, path);
  } catch (thrown) {
    rmSync(partial, { force: true });
    throw thrown;
  }
}

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

/** The appliance has seen to that already; this is the side where a slash would do harm. */
function plainName(name: string): string {
  const plain = name.replace(/[/\p{Cc}]/gu, "_");
  return plain === "." || plain === ".." || plain === "" ? "attachment" : plain;
}
