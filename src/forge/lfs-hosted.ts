import { createReadStream } from "node:fs";
import { CcwError } from "../domain/errors.ts";
import type { GitAnswer } from "../domain/git-server.ts";
import type { LfsBatch, LfsCaller, LfsEndpoint, LfsObject } from "../domain/lfs.ts";
import { lfsError, lfsJson } from "../domain/lfs-answers.ts";
import { type LfsStore, tooLarge } from "./lfs-store.ts";

/** LFS of a hosted repository. An object's address is its name: whoever may read the repository may have it. */
export function hostedLfsEndpoint(store: LfsStore, repository: string): LfsEndpoint {
  async function offer({ oid, size }: LfsObject, operation: LfsBatch["operation"], base: string) {
    const found = await store.find(repository, oid);
    const href = `${base}/objects/${oid}`;
    if (operation === "download") {
      return found === undefined
        ? { oid, size, error: { code: 404, message: "This repository has no such object." } }
        : { oid, size: found.size, actions: { download: { href } } };
    }
    if (found !== undefined) return { oid, size: found.size };
    if (size > store.maxObjectBytes) {
      return { oid, size, error: { code: 422, message: tooLarge(store.maxObjectBytes).message } };
    }
    const actions = { upload: { href }, verify: { href: `${base}/verify` } };
    return { oid, size, actions };
  }

  async function batch({ operation, objects }: LfsBatch, { base }: LfsCaller): Promise<GitAnswer> {
    const offers = [];
    for (const object of objects) offers.push(await offer(object, operation, base));
    return lfsJson(200, { transfer: "basic", objects: offers, hash_algo: "sha256" });
  }

  async function download(oid: string, range: string | undefined): Promise<GitAnswer> {
    const found = await store.find(repository, oid);
    if (found === undefined) return lfsError(404, "This repository has no such object.");
    const { path, size } = found;
    const first = Number(/^bytes=(\d{1,15})-\d*$/.exec(range ?? "")?.[1] ?? 0);
    const isPart = first > 0 && first < size;
    return {
      status: isPart ? 206 : 200,
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(isPart ? size - first : size),
        ...(isPart ? { "content-range": `bytes ${first}-${size - 1}/${size}` } : {}),
      },
      body: contentOf(path, isPart ? first : 0),
    };
  }

  return {
    async serve(call, caller) {
      switch (call.kind) {
        case "batch":
          return batch(call.batch, caller);
        case "download":
          return download(call.oid, call.range);
        case "upload": {
          const { oid, contentLength: size, body } = call;
          if (size === undefined) throw new CcwError("invalid", "An object comes with its Content-Length.");
          await store.take(repository, { oid, size }, body);
          return lfsJson(200, {});
        }
        case "verify": {
          const found = await store.find(repository, call.object.oid);
          if (found?.size === call.object.size) return lfsJson(200, {});
          return lfsError(404, "This repository has no such object of this size.");
        }
        case "list_locks":
        case "verify_locks":
        case "create_lock":
        case "unlock":
          // docs/api/batch.md allows it, and a client that meets it asks no more.
          return lfsError(501, "Repositories of the appliance have no LFS locks.");
      }
    },
  };
}

/** Opened when it is read: a file that is gone then breaks the answer off, and nothing else. */
async function* contentOf(path: string, start: number): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { start });
}
