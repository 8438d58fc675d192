import { CcwError } from "../domain/errors.ts";
import type { GitAnswer, GitCall } from "../domain/git-server.ts";
import { createPktReader, flushPkt, pktLine } from "../domain/pkt-line.ts";

/** One ref of a server, as it lists it. */
export interface ListedRef {
  name: string;
  /** Undefined for a branch without commits, as HEAD of an empty repository may name it. */
  id: string | undefined;
  /** The ref that it is another name for. A server of version 0 says that of HEAD alone, and of others it is not known. */
  target: string | undefined;
}

export type ObjectFormat = "sha1" | "sha256";

/** One request to a server's git-upload-pack: for what it has to say first, or with a body. Answers with the bytes of a good answer. */
export type RefsExchange = (body: Uint8Array | undefined) => Promise<AsyncIterable<Uint8Array>>;

/** A list of refs longer than this is not a repository that anybody works with. */
const maxAnswerBytes = 256 * 1024 * 1024;

/**
 * Asks for the refs whose names begin with one of `prefixes`: gitprotocol-v2(5), `ls-refs`, so that a server with a
 * million refs answers with those. One that knows no version 2 lists all it has, which are read along. `take` gets each,
 * and nothing else of it is kept. Throws what `fault` makes of a reason, where this is no whole list of refs.
 */
export async function listRefs(
  exchange: RefsExchange,
  prefixes: readonly string[],
  take: (ref: ListedRef) => void,
  fault: (why: string) => CcwError,
): Promise<ObjectFormat> {
  const listed = (ref: ListedRef) => {
    // A tag's own line is followed by one for what it names.
    if (!ref.name.endsWith("^{}") && prefixes.some((prefix) => ref.name.startsWith(prefix))) take(ref);
  };
  let version2 = false;
  let offersFormat = false;
  let unborn = false;
  let format: ObjectFormat = "sha1";
  let targets = new Map<string, string>();
  for await (const line of linesOf(await exchange(undefined), fault)) {
    if (line === "version 2") version2 = true;
    else if (version2) {
      if (line.startsWith("object-format=")) offersFormat = true;
      if (line === "object-format=sha256") format = "sha256";
      if (/^ls-refs=(.* )?unborn( |$)/.test(line)) unborn = true;
    } else {
      const [, id, name = "", capabilities = ""] =
        /^([0-9a-f]{40,64}) ([^ \0]+)(?:\0(.*))?$/s.exec(line) ?? [];
      if (/(^| )object-format=sha256( |$)/.test(capabilities)) format = "sha256";
      if (capabilities !== "") targets = new Map(symrefsIn(capabilities));
      listed({ name, id, target: targets.get(name) });
    }
  }
  if (!version2) return format;

  const request = Buffer.concat([
    pktLine("command=ls-refs\n"),
    pktLine("agent=git/ccw-server\n"),
    ...(offersFormat ? [pktLine(`object-format=${format}\n`)] : []),
    delimiterPkt,
    pktLine("symrefs\n"),
    ...(unborn ? [pktLine("unborn\n")] : []),
    ...prefixes.map((prefix) => pktLine(`ref-prefix ${prefix}\n`)),
    flushPkt,
  ]);
  for await (const line of linesOf(await exchange(request), fault)) {
    const [, id, name = "", attributes = ""] =
      /^([0-9a-f]{40}|[0-9a-f]{64}|unborn) ([^ \0]+)(.*)$/s.exec(line) ?? [];
    const target = / symref-target:([^ ]+)/.exec(attributes)?.[1];
    listed({ name, id: id === "unborn" ? undefined : id, target });
  }
  return format;
}

const symrefsIn = (capabilities: string): [string, string][] =>
  [...capabilities.matchAll(/(?:^| )symref=([^ :]+):([^ ]+)/g)].map(([, name = "", target = ""]) => [
    name,
    target,
  ]);

/** One ref of a server, as it stands there now. */
export interface RefState {
  /** Undefined where there is no such ref. */
  tip: string | undefined;
  symbolic: boolean;
}

/** Asks an endpoint for one ref by name. Rejects with `unavailable` where the server does not answer as git does. */
export async function lookUpRef(
  ask: (call: GitCall) => Promise<GitAnswer>,
  ref: string,
  signal: AbortSignal,
): Promise<RefState> {
  const common = { service: "git-upload-pack", right: { kind: "none" }, signal } as const;
  const headers = { contentEncoding: undefined, gitProtocol: "version=2" };
  const exchange: RefsExchange = async (request) =>
    goodBody(
      await (request === undefined
        ? ask({ ...common, body: undefined, headers: { ...headers, contentType: undefined } })
        : ask({
            ...common,
            body: once(request),
            contentLength: request.length,
            headers: { ...headers, contentType: "application/x-git-upload-pack-request" },
          })),
    );
  let found: RefState = { tip: undefined, symbolic: false };
  await listRefs(
    exchange,
    [ref],
    ({ name, id, target }) => {
      if (name === ref) found = { tip: id, symbolic: target !== undefined };
    },
    (why) => notGit(`The git server cannot be used now: ${why}.`),
  );
  return found;
}

const delimiterPkt = Buffer.from("0001");

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

/** Every line of a pkt-line stream, without its newline. What a server lists ends with a flush packet, or is half of it. */
async function* linesOf(
  body: AsyncIterable<Uint8Array>,
  fault: (why: string) => CcwError,
): AsyncGenerator<string> {
  const reader = createPktReader();
  let taken = 0;
  let flushed = false;
  for await (const chunk of body) {
    taken += chunk.length;
    if (taken > maxAnswerBytes) throw fault("its list of refs is too long");
    let at = 0;
    while (at < chunk.length) {
      const { used, pkt } = reader.read(chunk, at);
      at += used;
      flushed = pkt?.kind === "flush";
      if (pkt?.kind === "malformed") throw fault("its list of refs is not one that git writes");
      if (pkt?.kind !== "data") continue;
      const line = Buffer.from(pkt.payload).toString().replace(/\n$/, "");
      if (line.startsWith("ERR ")) throw fault(line.slice(4, 1000));
      yield line;
    }
  }
  if (!flushed) throw fault(taken === 0 ? "it gave an empty answer" : "it gave half an answer");
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
