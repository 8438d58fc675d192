import { CcwError } from "../domain/errors.ts";
import type { ForgeAccess } from "../domain/forge.ts";
import type { GitAnswer } from "../domain/git-server.ts";
import type { LfsBatch, LfsCaller, LfsEndpoint } from "../domain/lfs.ts";
import { lfsError, lfsJson } from "../domain/lfs-answers.ts";
import type { Log } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { createLfsApi, unlessSecret } from "./lfs-api.ts";
import {
  type BatchAnswer,
  batchAnswerShape,
  type LfsActionAnswer,
  locksShape,
  verifiedLocksShape,
} from "./lfs-shapes.ts";
import { createLfsTickets, type LfsTicketOptions } from "./lfs-tickets.ts";
import { createLfsTransfer, headerOf, isPlainAddress, type Reach } from "./lfs-transfer.ts";
import type { UpstreamHttp } from "./upstream-http.ts";

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

/** Where a server says nothing, and at most. */
const usualSeconds = 60 * 60;
const maxSeconds = 6 * 60 * 60;
export function createLfsUpstream(options: LfsUpstreamOptions): LfsUpstream {
  const { http, access, log, reach, now } = options;
  const tickets = createLfsTickets(options);

  function endpointOf(repository: RemoteRepository): LfsEndpoint {
    const { name, cloneUrl } = repository;
    const own = new URL(cloneUrl);
    const { ask } = createLfsApi({ http, access, log, repository });
    const transfer = createLfsTransfer({
      http,
      reach: async (url) => (url.origin === own.origin ? undefined : reach(url)),
    });

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

function secondsOf({ expires_in, expires_at }: LfsActionAnswer, now: number): number {
  const told = expires_in || (Date.parse(expires_at ?? "") - now) / 1000;
  return Number.isFinite(told) ? Math.min(Math.max(Math.floor(told), 1), maxSeconds) : usualSeconds;
}
