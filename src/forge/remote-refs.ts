import { CcwError } from "../domain/errors.ts";
import { listRefs, type ObjectFormat, type RefsExchange } from "./ls-refs.ts";
import type { UpstreamHttp, UpstreamResponse } from "./upstream-http.ts";

/**
 * Asks a server of git's smart HTTP protocol which branches and tags it has. Git itself could be asked to ask, but tells
 * neither a redirect's target nor HEAD's without every ref of every pull request, and its errors are words.
 */
export interface RemoteRefs {
  objectFormat: ObjectFormat;
  /** `refs/heads/…` and `refs/tags/…`, with the commit or tag that each names. */
  refs: Map<string, string>;
  /** What HEAD names, without `refs/heads/`; undefined where the server does not say. */
  defaultBranch: string | undefined;
}

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
  http: UpstreamHttp;
  signal: AbortSignal;
}

const withinMs = 60_000;
/** Some hundred thousand of them, all held at once. */
const maxRefBytes = 64 * 1024 ** 2;
const service = "git-upload-pack";

/** Rejects with `unavailable` where there is no such server or it does not answer as one. */
export async function askForRefs(question: RefsQuestion): Promise<RefsAnswer> {
  const { cloneUrl, signal } = question;
  const { host } = new URL(cloneUrl);
  const late = AbortSignal.timeout(withinMs);
  const fault = (why: string) => unavailable(host, why);
  let answer: RefsAnswer | undefined;
  const exchange: RefsExchange = async (body) => {
    const response = await send({ ...question, signal: AbortSignal.any([signal, late]) }, body);
    const { status, headers } = response;
    const kind = body === undefined ? "advertisement" : "result";
    const isGit = (headers["content-type"] ?? "").startsWith(`application/x-${service}-${kind}`);
    if (status === 200 && isGit && headers["content-encoding"] === undefined) return response.body;
    response.discard();
    if (body === undefined && status >= 300 && status < 400) answer = movedOf(cloneUrl, response);
    if (body === undefined && [401, 403, 404].includes(status)) answer = { kind: "refused", status };
    if (status === 200) throw fault("what answers there is no server of git's smart HTTP protocol");
    throw fault(`it answers with HTTP status ${status}`);
  };
  const refs = new Map<string, string>();
  let defaultBranch: string | undefined;
  let held = 0;
  try {
    const objectFormat = await listRefs(
      exchange,
      ["HEAD", "refs/heads/", "refs/tags/"],
      ({ name, id, target }) => {
        if (name === "HEAD") defaultBranch = branchOf(target);
        else if (id !== undefined && name.startsWith("refs/")) refs.set(name, id);
        held += name.length + 64;
        if (held > maxRefBytes) throw fault("its list of refs is over 64 MiB");
      },
      fault,
    );
    return { kind: "refs", found: { objectFormat, refs, defaultBranch } };
  } catch (thrown) {
    if (answer !== undefined) return answer;
    signal.throwIfAborted();
    if (late.aborted) throw fault(`it has not answered within ${withinMs / 1000} s`);
    throw thrown;
  }
}

function send({ cloneUrl, authorization, http, signal }: RefsQuestion, body: Uint8Array | undefined) {
  const base = cloneUrl.replace(/\/+$/, "");
  return http.send({
    url: new URL(body === undefined ? `${base}/info/refs?service=${service}` : `${base}/${service}`),
    method: body === undefined ? "GET" : "POST",
    headers: {
      "git-protocol": "version=2",
      // Some servers serve git to git only.
      "user-agent": "git/2.39 (ccw-server)",
      "accept-encoding": "identity",
      ...(authorization !== undefined && { authorization }),
      ...(body !== undefined && {
        "content-type": `application/x-${service}-request`,
        "content-length": String(body.length),
        accept: `application/x-${service}-result`,
      }),
    },
    ...(body !== undefined && { body: once(body) }),
    signal,
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A redirect to another host is not followed, whatever it says: the credential is this host's alone. */
function movedOf(cloneUrl: string, { status, headers }: UpstreamResponse): RefsAnswer {
  const from = new URL(cloneUrl);
  const location = headers.location ?? "";
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

function branchOf(ref: string | undefined): string | undefined {
  return ref?.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : undefined;
}

function unavailable(host: string, why: string): CcwError {
  return new CcwError(
    "unavailable",
    `The git server ${host} cannot be used now: ${why.replace(/[.\s]+$/, "")}.`,
    "See that it runs and that this machine reaches it, through the company's proxy where there is one.",
  );
}
