import { CcwError } from "../domain/errors.ts";
import type { GitAnswer, GitCall } from "../domain/git-server.ts";
import { createPktReader, flushPkt, pktLine } from "../domain/pkt-line.ts";

/** One ref of a server, as it stands there now. */
export interface RefState {
  /** Undefined where there is no such ref. */
  tip: string | undefined;
  /** Whether it points at another ref. A server of version 0 says that of HEAD alone, and of others it is not known. */
  symbolic: boolean;
}

/** A list of refs longer than this is not a repository that anybody works with. */
const maxAnswerBytes = 256 * 1024 * 1024;

/**
 * Asks for one ref by name: gitprotocol-v2(5), `ls-refs` with `symrefs` and a prefix, so that a server with a million
 * refs answers with one. A server that knows no version 2 lists all it has, which are read along and not kept.
 * Rejects with `unavailable` where the server does not answer as git does.
 */
export async function lookUpRef(
  ask: (call: GitCall) => Promise<GitAnswer>,
  ref: string,
  signal: AbortSignal,
): Promise<RefState> {
  const common = { service: "git-upload-pack", right: { kind: "none" }, signal } as const;
  const headers = { contentEncoding: undefined, gitProtocol: "version=2" };
  const offered = await ask({ ...common, body: undefined, headers: { ...headers, contentType: undefined } });
  let version2 = false;
  let objectFormat: string | undefined;
  let found: RefState = { tip: undefined, symbolic: false };
  for await (const line of linesOf(await goodBody(offered))) {
    if (line === "version 2") version2 = true;
    const format = /^object-format=(sha1|sha256)$/.exec(line)?.[1];
    if (version2) objectFormat = format ?? objectFormat;
    else found = refIn(line, ref) ?? found;
  }
  if (!version2) return found;

  const request = Buffer.concat([
    pktLine("command=ls-refs\n"),
    ...(objectFormat === undefined ? [] : [pktLine(`object-format=${objectFormat}\n`)]),
    delimiterPkt,
    pktLine("symrefs\n"),
    pktLine(`ref-prefix ${ref}\n`),
    flushPkt,
  ]);
  const listed = await ask({
    ...common,
    body: once(request),
    contentLength: request.length,
    headers: { ...headers, contentType: "application/x-git-upload-pack-request" },
  });
  for await (const line of linesOf(await goodBody(listed))) found = refIn(line, ref) ?? found;
  return found;
}

const delimiterPkt = Buffer.from("0001");

function refIn(line: string, ref: string): RefState | undefined {
  if (line.startsWith("ERR ")) throw notGit(line.slice(4));
  const [, tip, name, attributes = ""] = /^([0-9a-f]{40}|[0-9a-f]{64}) ([^ \0]+)(.*)$/s.exec(line) ?? [];
  if (name !== ref) return undefined;
  return { tip, symbolic: attributes.startsWith(" ") && / symref-target:/.test(attributes) };
}

async function goodBody(answer: GitAnswer): Promise<AsyncIterable<Uint8Array>> {
  if (answer.status === 200 && (answer.headers["content-type"] ?? "").startsWith("application/x-git-")) {
    return answer.body;
  }
  let words = "";
  for await (const chunk of answer.body) {
    words += Buffer.from(chunk.subarray(0, 4000)).toString();
    if (words.length >= 1000) break;
  }
  throw notGit(words.slice(0, 1000));
}

const notGit = (words: string) => new CcwError("unavailable", words.trim() || "The server did not answer.");

/** Every line of a pkt-line stream, without its newline. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const reader = createPktReader();
  let taken = 0;
  for await (const chunk of body) {
    taken += chunk.length;
    if (taken > maxAnswerBytes) throw notGit("The server's list of refs is too long.");
    let at = 0;
    while (at < chunk.length) {
      const { used, pkt } = reader.read(chunk, at);
      at += used;
      if (pkt?.kind === "malformed") throw notGit("The server's list of refs is not one that git writes.");
      if (pkt?.kind === "data") yield Buffer.from(pkt.payload).toString().replace(/\n$/, "");
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
