import { CcwError } from "./errors.ts";

/** Of one attachment, where the operator says nothing. */
export const usualAttachmentBytes = 50 * 1024 * 1024;

const maxNameBytes = 100;

/**
 * A plain file name made of whatever a browser, a script or a person called the file: the last part of a path, without
 * what hides, moves or reorders text, at most 100 bytes long, with its ending kept. It is never empty and never begins
 * with a dot or a hyphen, so that it is neither hidden nor a flag.
 */
export function attachmentName(text: string): string {
  const plain = text
    .toWellFormed()
    .normalize("NFC")
    .replace(/^.*[/\\]/s, "")
    .replace(/\s+/g, " ")
    .replace(/[\p{C}\ufffd]/gu, "")
    .replace(/^[\s.-]+|[\s.]+$/g, "");
  if (plain === "") return "file";
  const ending = endingOf(plain);
  const stem = plain.slice(0, plain.length - ending.length);
  return `${cutBytes(stem, maxNameBytes - ending.length).trimEnd()}${ending}`;
}

/** The names of one prompt's files, none like another (`a.png`, `a-2.png`), for file systems that ignore case, too. */
export function distinctNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const ending = endingOf(name);
    const stem = name.slice(0, name.length - ending.length);
    let chosen = name;
    for (let n = 2; taken.has(chosen.toLowerCase()); n++) {
      const suffix = `-${n}${ending}`;
      chosen = `${cutBytes(stem, maxNameBytes - suffix.length)}${suffix}`;
    }
    taken.add(chosen.toLowerCase());
    return chosen;
  });
}

const endingOf = (name: string): string => name.match(/\.[A-Za-z0-9]{1,10}$/)?.[0] ?? "";

function cutBytes(text: string, limit: number): string {
  let size = 0;
  let cut = "";
  for (const character of text) {
    size += Buffer.byteLength(character);
    if (size > limit) break;
    cut += character;
  }
  return cut;
}

/** Pictures that browsers and models show, by how their files begin, in Latin 1. SVG is none: it is a program. */
const pictures: readonly { mediaType: string; begins(head: string): boolean }[] = [
  { mediaType: "image/png", begins: (head) => head.startsWith("\x89PNG\r\n\x1a\n") },
  { mediaType: "image/jpeg", begins: (head) => head.startsWith("\xff\xd8\xff") },
  { mediaType: "image/gif", begins: (head) => /^GIF8[79]a/.test(head) },
  { mediaType: "image/webp", begins: (head) => /^RIFF.{4}WEBP/s.test(head) },
];

/** As much of a file as tells its media type. */
export const sniffedBytes = 4096;

/**
 * The media type by what the file begins with, whatever it is called and whoever says what it is: one of the pictures
 * above, text in UTF-8, or bytes.
 */
export function mediaTypeOf(head: Uint8Array): string {
  const bytes = head.subarray(0, sniffedBytes);
  const begin = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  const picture = pictures.find(({ begins }) => begins(begin));
  if (picture !== undefined) return picture.mediaType;
  return isText(bytes) ? "text/plain" : "application/octet-stream";
}

export function isPicture(mediaType: string): boolean {
  return pictures.some((picture) => picture.mediaType === mediaType);
}

export function attachmentTooLarge(maxBytes: number): CcwError {
  return new CcwError(
    "too_large",
    `An attachment has at most ${maxBytes / 1024 / 1024} MiB here.`,
    "Put larger material into a repository, or have the operator set `attachment_mib` in ccw.toml under [tasks].",
  );
}

function isText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  try {
    // What was cut may end within a character: `stream` does not mind.
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
