import { CcwError, messageOf } from "../domain/errors.ts";

/**
 * Asks a server of git's smart HTTP protocol which branches and tags it has (gitprotocol-v2(5), `ls-refs`; version 0
 * where it knows no other). Git itself could be asked to ask, but tells neither a redirect's target nor HEAD's without
 * every ref of every pull request, and its errors are words.
 */
export interface RemoteRefs {
  objectFormat: ObjectFormat;
  /** `refs/heads/…` and `refs/tags/…`, with the commit or tag that each names. */
  refs: Map<string, string>;
  /** What HEAD names, without `refs/heads/`; undefined where the server does not say. */
  defaultBranch: string | undefined;
}

export type ObjectFormat = "sha1" | "sha256";

export type RefsAnswer =
  | { kind: "refs"; found: RemoteRefs }
  /** Elsewhere on the same host, as after a renaming. */
  | { kind: "moved"; cloneUrl: string }
  /** 401, 403 or 404: which of them a forge gives says little about the cause. */
  | { kind: "refused"; status: number };

export interface RefsQuestion {
  /** Without credentials. */
  cloneUrl: string;
  /** The value of a header; goes to this URL and nowhere else. */
  authorization: string | undefined;
  /** PEM of those that may sign the server's certificate. */
  authorities: readonly string[];
  /** With its credentials, where it wants some. */
  proxy: string | undefined;
  signal: AbortSignal;
}

const withinMs = 60_000;
/** Some hundred thousand refs. */
const maxAnswerBytes = 64 * 1024 ** 2;
const service = "git-upload-pack";

/** Rejects with `unavailable` where there is no such server or it does not answer as one. */
export async function askForRefs(question: RefsQuestion): Promise<RefsAnswer> {
  const host = new URL(question.cloneUrl).host;
  const advertised = await request(question, { path: `/info/refs?service=${service}` });
  const { status } = advertised;
  if (status >= 300 && status < 400) return movedOf(question.cloneUrl, advertised);
  if (status === 401 || status === 403 || status === 404) return { kind: "refused", status };
  if (status !== 200) throw unavailable(host, `it answers with HTTP status ${status}`);
  if (!(advertised.headers.get("content-type") ?? "").startsWith(`application/x-${service}-advertisement`)) {
    throw unavailable(host, "what answers there is no server of git's smart HTTP protocol");
  }
  const lines = linesIn(await bytesOf(advertised, host), host);
  if (lines[0] === `# service=${service}`) lines.shift();
  if (lines[0] !== "version 2") return { kind: "refs", found: refsOfVersion0(lines) };

  const objectFormat = lines.includes("object-format=sha256") ? "sha256" : "sha1";
  const unborn = lines.some((line) => /^ls-refs=.*\bunborn\b/.test(line));
  const listed = await request(question, {
    path: `/${service}`,
    body: [
      line("command=ls-refs\n"),
      line("agent=git/ccw-server"),
      ...(lines.some((each) => each.startsWith("object-format="))
        ? [line(`object-format=${objectFormat}`)]
        : []),
      "0001",
      line("symrefs\n"),
      ...(unborn ? [line("unborn\n")] : []),
      ...["HEAD", "refs/heads/", "refs/tags/"].map((prefix) => line(`ref-prefix ${prefix}\n`)),
      "0000",
    ].join(""),
  });
  if (listed.status !== 200) throw unavailable(host, `it answers with HTTP status ${listed.status}`);
  return { kind: "refs", found: refsOfVersion2(linesIn(await bytesOf(listed, host), host), objectFormat) };
}

async function request(
  { cloneUrl, authorization, authorities, proxy, signal }: RefsQuestion,
  { path, body }: { path: string; body?: string },
): Promise<Response> {
  try {
    return await fetch(cloneUrl.replace(/\/+$/, "") + path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        "git-protocol": "version=2",
        // Some servers serve git to git only.
        "user-agent": "git/2.39 (ccw-server)",
        ...(authorization !== undefined && { authorization }),
        ...(body !== undefined && {
          "content-type": `application/x-${service}-request`,
          accept: `application/x-${service}-result`,
        }),
      },
      ...(body !== undefined && { body }),
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
      tls: { ca: [...authorities] },
      ...(proxy !== undefined && { proxy }),
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw unavailable(new URL(cloneUrl).host, messageOf(cause));
  }
}

/** A redirect to another host is not followed, whatever it says: the credential is this host's alone. */
function movedOf(cloneUrl: string, { status, headers }: Response): RefsAnswer {
  const from = new URL(cloneUrl);
  const location = headers.get("location") ?? "";
  const to = URL.canParse(location, cloneUrl) ? new URL(location, cloneUrl) : undefined;
  const suffix = "/info/refs";
  // It becomes what the repository is known by: nothing in it may be read in two ways.
  const plain =
    to !== undefined &&
    to.origin === from.origin &&
    to.username === "" &&
    to.password === "" &&
    /^(\/[\w.~+-]+)+\/info\/refs$/.test(to.pathname);
  if (to === undefined || !plain) {
    throw unavailable(
      from.host,
      `it redirects (HTTP status ${status}) to ${to === undefined ? "no address" : to.host}, which is not followed`,
    );
  }
  return { kind: "moved", cloneUrl: `${to.origin}${to.pathname.slice(0, -suffix.length)}` };
}

function refsOfVersion2(lines: readonly string[], objectFormat: ObjectFormat): RemoteRefs {
  const found: RemoteRefs = { objectFormat, refs: new Map(), defaultBranch: undefined };
  for (const text of lines) {
    const [id = "", name = "", ...attributes] = text.split(" ");
    if (name === "HEAD") {
      const target = attributes.find((each) => each.startsWith("symref-target:"));
      found.defaultBranch = branchOf(target?.slice("symref-target:".length));
    } else if (isWanted(name)) found.refs.set(name, id);
  }
  return found;
}

function refsOfVersion0(lines: readonly string[]): RemoteRefs {
  const [, capabilities = ""] = (lines[0] ?? "").split("\0");
  const found: RemoteRefs = {
    objectFormat: /(^| )object-format=sha256( |$)/.test(capabilities) ? "sha256" : "sha1",
    refs: new Map(),
    defaultBranch: branchOf(/(?:^| )symref=HEAD:(\S+)/.exec(capabilities)?.[1]),
  };
  for (const text of lines) {
    const [id = "", name = ""] = (text.split("\0")[0] ?? "").split(" ");
    if (isWanted(name)) found.refs.set(name, id);
  }
  return found;
}

const isWanted = (name: string): boolean => /^refs\/(heads|tags)\//.test(name) && !name.endsWith("^{}");

function branchOf(ref: string | undefined): string | undefined {
  return ref?.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : undefined;
}

const line = (text: string): string => (text.length + 4).toString(16).padStart(4, "0") + text;

/** The pkt-lines of an answer, without their newlines; flushes and delimiters are left out. */
function linesIn(bytes: Uint8Array, host: string): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines: string[] = [];
  for (let at = 0; at < buffer.length; ) {
    const digits = buffer.toString("latin1", at, at + 4);
    const length = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
    if (length >= 0 && length < 4) {
      at += 4;
      continue;
    }
    if (length < 0 || at + length > buffer.length) throw unavailable(host, "it gave half an answer");
    const text = buffer.toString("utf8", at + 4, at + length).replace(/\n$/, "");
    if (text.startsWith("ERR ")) throw unavailable(host, text.slice(4, 300));
    lines.push(text);
    at += length;
  }
  if (lines.length === 0 && buffer.length === 0) throw unavailable(host, "it gave an empty answer");
  return lines;
}

async function bytesOf(response: Response, host: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let held = 0;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      held += chunk.length;
      if (held > maxAnswerBytes) break;
    }
  } catch (cause) {
    throw unavailable(host, messageOf(cause));
  }
  if (held > maxAnswerBytes) throw unavailable(host, "its list of refs is over 64 MiB");
  return Buffer.concat(chunks);
}

function unavailable(host: string, why: string): CcwError {
  return new CcwError(
    "unavailable",
    `The git server ${host} cannot be used now: ${why.replace(/[.\s]+$/, "")}.`,
    "See that it runs and that this machine reaches it, through the company's proxy where there is one.",
  );
}
