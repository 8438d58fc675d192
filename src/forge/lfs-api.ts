import type { ForgeAccess } from "../domain/forge.ts";
import type { GitAnswer } from "../domain/git-server.ts";
import { parseJson } from "../domain/json.ts";
import { readUpTo } from "../domain/lfs.ts";
import { lfsError } from "../domain/lfs-answers.ts";
import type { Log } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { statusFault } from "./git-upstream-faults.ts";
import { errorShape } from "./lfs-shapes.ts";
import { isPlainAddress } from "./lfs-transfer.ts";
import type { UpstreamHttp, UpstreamResponse } from "./upstream-http.ts";

/** The LFS API of one repository on its forge. */
export interface LfsApi {
  /** What it answered, not yet looked at; or, where it did not, the answer that tells the client why. */
  ask(asked: Asked, signal: AbortSignal): Promise<Answered>;
}

interface Asked {
  method: "GET" | "POST";
  /** Behind the LFS server's own address. */
  path: string;
  right: "read" | "write";
  body?: unknown;
}

type Answered = { ok: true; value: unknown } | { ok: false; answer: GitAnswer };

const maxAnswerBytes = 16 * 1024 ** 2;
const maxRedirects = 3;
const lfsType = "application/vnd.git-lfs+json";

export function createLfsApi(options: {
  http: UpstreamHttp;
  access: ForgeAccess;
  log: Log;
  repository: RemoteRepository;
}): LfsApi {
  const { http, access, log, repository } = options;
  const { name, forge, cloneUrl } = repository;
  const own = new URL(cloneUrl);

  async function send(url: URL, { method, right, body }: Asked, signal: AbortSignal) {
    const authorization = await access.authorizationFor(repository, right);
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const response = await http.send({
      url,
      method,
      headers: {
        accept: lfsType,
        "accept-encoding": "identity",
        ...(bytes && { "content-type": lfsType, "content-length": String(bytes.length) }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: bytes && once(bytes),
      signal,
    });
    return { response, authorization };
  }

  /** A request of the API is small and kept, so that it can be sent again: with a fresh token, or at a new address. */
  async function ask(asked: Asked, signal: AbortSignal): Promise<Answered> {
    let url = new URL(`${lfsAddressOf(cloneUrl)}/${asked.path}`);
    let sent = await send(url, asked, signal);
    if (sent.response.status === 401) {
      access.refused(repository);
      sent.response.discard();
      sent = await send(url, asked, signal);
    }
    for (let redirects = 0; [301, 302, 307, 308].includes(sent.response.status); redirects += 1) {
      sent.response.discard();
      const next = URL.parse(sent.response.headers.location ?? "", url);
      const follows = next !== null && next.origin === own.origin && isPlainAddress(next);
      if (!follows || redirects === maxRedirects) {
        const to = next === null ? "somewhere" : next.origin;
        const text = `${own.host} sends requests for the LFS of ${name} on to ${to}, where the appliance does not follow.`;
        return { ok: false, answer: lfsError(502, text) };
      }
      url = next;
      sent = await send(url, asked, signal);
    }
    const { response, authorization } = sent;
    if (response.status < 200 || response.status > 299) {
      return { ok: false, answer: await faultOf(response, asked, authorization) };
    }
    return { ok: true, value: parseJson(await readUpTo(response.body, maxAnswerBytes)) };
  }

  async function faultOf(
    response: UpstreamResponse,
    { right }: Asked,
    authorization: string | undefined,
  ): Promise<GitAnswer> {
    const { status, headers } = response;
    const said = errorShape.safeParse(
      parseJson(await readUpTo(response.body, 64 * 1024).catch(() => new Uint8Array())),
    );
    const words = said.success ? unlessSecret(said.data.message, authorization) : "";
    log.warn("a forge did not answer an LFS request", { repository: name, status });
    // A quota, a size, a lock: only the server can say what it is.
    if ([409, 413, 422, 501, 507, 509].includes(status)) {
      return lfsError(status, `${own.host}: ${words === "" ? `refused (${status})` : words}`);
    }
    const service = right === "read" ? "git-upload-pack" : "git-receive-pack";
    const retryAfter = headers["retry-after"];
    const fault = statusFault({ name, host: own.host, forge, service }, status, retryAfter);
    const lines = words === "" ? fault.lines : [...fault.lines, `It says: ${words}`];
    return lfsError(fault.status, lines.join(" "), fault.retryAfter);
  }

  return { ask };
}

/** docs/api/server-discovery.md: `.git` is put behind an address that has none. */
function lfsAddressOf(cloneUrl: string): string {
  const address = cloneUrl.replace(/\/+$/, "");
  return `${address.endsWith(".git") ? address : `${address}.git`}/info/lfs`;
}

/** A server's own words, but for those that give a credential back. */
export function unlessSecret(words: string, authorization: string | undefined): string {
  const [, value = ""] = (authorization ?? "").split(" ");
  const password = Buffer.from(value, "base64")
    .toString()
    .replace(/^[^:]*:/, "");
  const tells = [value, password].some((secret) => secret !== "" && words.includes(secret));
  return tells ? "" : words;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
