import { CcwError } from "../domain/errors.ts";
import type { ForgeAccess } from "../domain/forge.ts";
import type { GitAnswer } from "../domain/git-server.ts";
import { type LfsBatch, type LfsCaller, type LfsEndpoint, parseJson, readUpTo } from "../domain/lfs.ts";
import { lfsError, lfsJson } from "../domain/lfs-answers.ts";
import type { Log } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { statusFault } from "./git-upstream-faults.ts";
import {
  type BatchAnswer,
  batchAnswerShape,
  errorShape,
  type LfsActionAnswer,
  locksShape,
  verifiedLocksShape,
} from "./lfs-shapes.ts";
import { createLfsTickets, type LfsTicketOptions } from "./lfs-tickets.ts";
import { createLfsTransfer, headerOf, isPlainAddress, type Reach } from "./lfs-transfer.ts";
import type { UpstreamHttp, UpstreamResponse } from "./upstream-http.ts";

/** LFS of forges: their own API with the real credential, and the transfers that it names. */
export interface LfsUpstream {
  endpointOf(repository: RemoteRepository): LfsEndpoint;
}

export interface LfsUpstreamOptions extends LfsTicketOptions {
  http: UpstreamHttp;
  access: ForgeAccess;
  log: Log;
  /** Judges every address but the forge's own, which the operator has named. */
  reach: Reach;
}

const maxAnswerBytes = 16 * 1024 ** 2;
const maxRedirects = 3;
/** Where a server says nothing, and at most. */
const usualSeconds = 60 * 60;
const maxSeconds = 6 * 60 * 60;
const lfsType = "application/vnd.git-lfs+json";

interface Asked {
  method: "GET" | "POST";
  /** Behind the LFS server's own address. */
  path: string;
  right: "read" | "write";
  body?: unknown;
}

type Answered = { ok: true; value: unknown } | { ok: false; answer: GitAnswer };

export function createLfsUpstream(options: LfsUpstreamOptions): LfsUpstream {
  const { http, access, log, reach, now } = options;
  const tickets = createLfsTickets(options);

  function endpointOf(repository: RemoteRepository): LfsEndpoint {
    const { name, forge, cloneUrl } = repository;
    const own = new URL(cloneUrl);
    const transfer = createLfsTransfer({
      http,
      reach: async (url) => (url.origin === own.origin ? undefined : reach(url)),
    });

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

    function unusable(what: string): GitAnswer {
      log.warn("a forge's LFS answer cannot be used", { repository: name, reason: what });
      return lfsError(502, `${own.host} did not answer as Git LFS has it: ${what}.`);
    }

    async function batch(wanted: LfsBatch, caller: LfsCaller): Promise<GitAnswer> {
      const { operation, ref, objects } = wanted;
      const right = operation === "download" ? "read" : "write";
      const answered = await ask(
        {
          ...{ method: "POST", path: "objects/batch", right },
          body: {
            ...{ operation, transfers: ["basic"], objects, hash_algo: "sha256" },
            ...(ref === undefined ? {} : { ref: { name: ref } }),
          },
        },
        caller.signal,
      );
      if (!answered.ok) return answered.answer;
      const parsed = batchAnswerShape.safeParse(answered.value);
      if (!parsed.success) return unusable(`${parsed.error.issues[0]?.path.join(".") || "no JSON"}`);
      const authorization = await access.authorizationFor(repository, right);
      const wantedOids = new Set(objects.map(({ oid }) => oid));
      const known = parsed.data.objects.filter(({ oid }) => wantedOids.has(oid));
      const rewritten = known.map((object) => rewrite(object, operation, caller, authorization));
      return lfsJson(200, { transfer: "basic", objects: rewritten, hash_algo: "sha256" });
    }

    /** The same object with addresses of the door in place of the server's own, and no header. */
    function rewrite(
      { oid, size, authenticated, actions, error }: BatchAnswer["objects"][number],
      operation: LfsBatch["operation"],
      { holder, base }: LfsCaller,
      authorization: string | undefined,
    ) {
      if (error != null) {
        return { oid, size, error: { ...error, message: unlessSecret(error.message, authorization) } };
      }
      const kinds = operation === "download" ? (["download"] as const) : (["upload", "verify"] as const);
      const ours: Record<string, { href: string; expires_in: number }> = {};
      for (const kind of kinds) {
        const told = actions?.[kind];
        if (told == null) continue;
        const url = URL.parse(told.href);
        if (url === null || !isPlainAddress(url)) {
          const message = `${own.host} names an address for this object that is none of http or https.`;
          return { oid, size, error: { code: 502, message } };
        }
        const headers = { ...told.header };
        // As git-lfs does: what the server does not call authenticated gets the server's own credential, and no other
        // host ever does.
        const needsOwn = url.origin === own.origin && authenticated !== true;
        if (needsOwn && authorization !== undefined && !headerOf(headers, "authorization")) {
          headers["authorization"] = authorization;
        }
        const seconds = secondsOf(told, now());
        const action = { kind, object: { oid, size }, url, headers };
        const ticket = tickets.keep({ holder, repository: name }, action, now() + seconds * 1000);
        const href = kind === "verify" ? `${base}/verify/${ticket}` : `${base}/objects/${oid}/${ticket}`;
        ours[kind] = { href, expires_in: seconds };
      }
      const some = Object.keys(ours).length > 0;
      return { oid, size, authenticated: true, ...(some ? { actions: ours } : {}) };
    }

    const found = (
      { holder }: LfsCaller,
      ticket: string | undefined,
      kind: "download" | "upload" | "verify",
      oid: string,
    ) => {
      const action = tickets.find({ holder, repository: name }, ticket ?? "", kind, oid);
      if (action !== undefined) return action;
      throw new CcwError(
        "not_found",
        "This address of an LFS object is not good any more.",
        "Ask for it again.",
      );
    };

    return {
      async serve(call, caller) {
        const { signal } = caller;
        switch (call.kind) {
          case "batch":
            return batch(call.batch, caller);
          case "download":
            return transfer.download(found(caller, call.ticket, "download", call.oid), call.range, signal);
          case "upload":
            return transfer.upload(found(caller, call.ticket, "upload", call.oid), call, signal);
          case "verify":
            return transfer.verify(found(caller, call.ticket, "verify", call.object.oid), signal);
          case "list_locks": {
            const query = call.query === "" ? "" : `?${call.query}`;
            const answered = await ask({ method: "GET", path: `locks${query}`, right: "read" }, signal);
            if (!answered.ok) return answered.answer;
            const { data } = locksShape.safeParse(answered.value);
            return data === undefined ? unusable("its list of locks") : lfsJson(200, data);
          }
          case "verify_locks": {
            const right = caller.right.kind === "none" ? "read" : "write";
            const asked = { method: "POST", path: "locks/verify", right, body: call.ask } as const;
            const answered = await ask(asked, signal);
            if (!answered.ok) return answered.answer;
            const { data } = verifiedLocksShape.safeParse(answered.value);
            return data === undefined ? unusable("its list of locks") : lfsJson(200, data);
          }
          case "create_lock":
          case "unlock":
            return lfsError(501, "LFS locks are made and removed at the forge, not here.");
        }
      },
    };
  }

  return { endpointOf };
}

/** docs/api/server-discovery.md: `.git` is put behind an address that has none. */
function lfsAddressOf(cloneUrl: string): string {
  const address = cloneUrl.replace(/\/+$/, "");
  return `${address.endsWith(".git") ? address : `${address}.git`}/info/lfs`;
}

function secondsOf({ expires_in, expires_at }: LfsActionAnswer, now: number): number {
  const told = expires_in || (Date.parse(expires_at ?? "") - now) / 1000;
  return Number.isFinite(told) ? Math.min(Math.max(Math.floor(told), 1), maxSeconds) : usualSeconds;
}

/** A server's own words, but for those that give a credential back. */
function unlessSecret(words: string, authorization: string | undefined): string {
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
