import { z } from "zod";
import { CcwError } from "./errors.ts";
import { canBeRepository, type GitAnswer, type PushRight, splitTarget } from "./git-server.ts";
import { parseJson } from "./json.ts";

/**
 * Git LFS as far as the product speaks it: the batch API with basic transfers, and locks
 * (git-lfs, docs/api/batch.md, basic-transfers.md, locking.md). It lies behind a repository's own address, at
 * `<repository>.git/info/lfs`.
 */

export type LfsRequest =
  | { kind: "batch" }
  /** One object's bytes. The ticket is what a batch answered; a hosted repository needs none. */
  | { kind: "object"; oid: string; ticket: string | undefined }
  | { kind: "verify"; ticket: string | undefined }
  | { kind: "locks"; query: string }
  | { kind: "verify_locks" }
  | { kind: "unlock" };

export interface LfsTarget {
  repository: string;
  request: LfsRequest;
}

const lfsPath = /^\/([A-Za-z0-9._~+:/-]{1,1300}?)\.git\/info\/lfs\/([A-Za-z0-9._~/-]{1,300})$/;

/**
 * Reads the raw target behind `/git`, query included, as strictly as `parseGitTarget` does. Undefined where it is
 * none of LFS, or not one that is known here.
 */
export function parseLfsTarget(target: string): LfsTarget | undefined {
  const { path, query } = splitTarget(target);
  const [, repository = "", rest = ""] = lfsPath.exec(path) ?? [];
  if (!canBeRepository(repository, true)) return undefined;
  const request = requestOf(rest, query);
  return request && { repository, request };
}

/** A request to a relay that passes paths on as they are. */
export interface RelayedLfs {
  /** What stands before `/info/lfs`. */
  repository: string;
  /** All of it, query included. */
  path: string;
  /** Undefined for what is not known here. */
  request: LfsRequest | undefined;
}

export function parseRelayLfs(target: string): RelayedLfs | undefined {
  const { path, query } = splitTarget(target);
  const [, repository, rest = ""] = /^((?:\/[^/?#\\\s]+)*)\/info\/lfs\/([^?#\\\s]+)$/.exec(path) ?? [];
  return repository === undefined ? undefined : { repository, path: target, request: requestOf(rest, query) };
}

/** What stands behind `/info/lfs/`. */
function requestOf(rest: string, query: string): LfsRequest | undefined {
  if (rest === "objects/batch") return { kind: "batch" };
  if (rest === "locks") return { kind: "locks", query };
  if (rest === "locks/verify") return { kind: "verify_locks" };
  if (/^locks\/\w[\w.~-]{0,199}\/unlock$/.test(rest)) return { kind: "unlock" };
  const [, oid, ticket] = /^objects\/([0-9a-f]{64})(?:\/([\w-]{43}))?$/.exec(rest) ?? [];
  if (oid !== undefined) return { kind: "object", oid, ticket };
  const verify = /^verify(?:\/([\w-]{43}))?$/.exec(rest);
  return verify === null ? undefined : { kind: "verify", ticket: verify[1] };
}

/** Methods that a request of this kind may have. */
export function lfsMethodsOf({ kind }: LfsRequest): readonly string[] {
  if (kind === "object") return ["GET", "PUT"];
  return kind === "locks" ? ["GET", "POST"] : ["POST"];
}

const oidSchema = z.string().regex(/^[0-9a-f]{64}$/);
const sizeSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const objectSchema = z.object({ oid: oidSchema, size: sizeSchema });
const refSchema = z.object({ name: z.string().max(1000) }).nullish();

export type LfsObject = z.infer<typeof objectSchema>;

const batchSchema = z.object({
  operation: z.enum(["download", "upload"]),
  transfers: z.array(z.string().max(100)).max(20).nullish(),
  ref: refSchema,
  objects: z.array(objectSchema).max(10_000),
  hash_algo: z.literal("sha256").nullish(),
});

/** Which objects a client wants to send or to have. */
export interface LfsBatch {
  operation: "download" | "upload";
  /** In full, `refs/heads/main`; clients of long ago send none. */
  ref: string | undefined;
  objects: LfsObject[];
}

const verifyLocksSchema = z.object({
  ref: refSchema,
  cursor: z.string().max(1000).nullish(),
  limit: z.number().int().min(0).max(100_000).nullish(),
});
export type LfsVerifyLocks = z.infer<typeof verifyLocksSchema>;

/** One request, read and no more to be doubted. */
export type LfsCall =
  | { kind: "batch"; batch: LfsBatch }
  /** `range` is the header's value where a client goes on with what it has. */
  | { kind: "download"; oid: string; ticket: string | undefined; range: string | undefined }
  | {
      kind: "upload";
      oid: string;
      ticket: string | undefined;
      body: AsyncIterable<Uint8Array>;
      contentLength: number | undefined;
    }
  | { kind: "verify"; ticket: string | undefined; object: LfsObject }
  | { kind: "list_locks"; query: string }
  | { kind: "verify_locks"; ask: LfsVerifyLocks }
  | { kind: "create_lock" }
  | { kind: "unlock" };

/** Who asks, and from where. */
export interface LfsCaller {
  right: PushRight;
  /** What is handed out to one holder is good for that one alone. */
  holder: string;
  /** The repository's LFS as the client reaches it, without a slash at the end; what is handed out begins with it. */
  base: string;
  signal: AbortSignal;
}

/** The large files of one repository, wherever they lie. */
export interface LfsEndpoint {
  /** Rejects with CcwError for what a client or a server can cause. The right was judged before. */
  serve(call: LfsCall, caller: LfsCaller): Promise<GitAnswer>;
}

export interface LfsHttpRequest {
  request: LfsRequest;
  method: string;
  contentLength: number | undefined;
  range: string | undefined;
  body: AsyncIterable<Uint8Array>;
}

/** Reads a request whose method is one of `lfsMethodsOf`. Throws `invalid` and `too_large`. */
export async function readLfsCall(http: LfsHttpRequest): Promise<LfsCall> {
  const { request, method, body } = http;
  switch (request.kind) {
    case "batch":
      return { kind: "batch", batch: await readLfsBatch(body) };
    case "object": {
      const { oid, ticket } = request;
      if (method === "PUT") return { kind: "upload", oid, ticket, body, contentLength: http.contentLength };
      const range = /^bytes=\d{1,15}-\d{0,15}$/.test(http.range ?? "") ? http.range : undefined;
      return { kind: "download", oid, ticket, range };
    }
    case "verify":
      return { kind: "verify", ticket: request.ticket, object: await readJson(body, objectSchema) };
    case "locks":
      return method === "POST" ? { kind: "create_lock" } : { kind: "list_locks", query: request.query };
    case "verify_locks":
      return { kind: "verify_locks", ask: await readJson(body, verifyLocksSchema) };
    case "unlock":
      return { kind: "unlock" };
  }
}

export async function readLfsBatch(body: AsyncIterable<Uint8Array>): Promise<LfsBatch> {
  const { operation, ref, objects, transfers } = await readJson(body, batchSchema);
  if (transfers != null && transfers.length > 0 && !transfers.includes("basic")) {
    throw new CcwError("invalid", "Only LFS's basic transfers are known here.");
  }
  return { operation, ref: ref?.name, objects };
}

export type LfsVerdict = { kind: "allowed" } | { kind: "refused"; ref: string; reason: string };

/** Objects belong to no ref: who may push a branch may send objects, and says for which branch where it says so. */
export function judgeLfs(call: LfsCall, right: PushRight): LfsVerdict {
  const refused = (ref: string, reason: string): LfsVerdict => ({ kind: "refused", ref, reason });
  if (right.kind === "any") return { kind: "allowed" };
  switch (call.kind) {
    case "download":
    case "list_locks":
    case "verify_locks":
      return { kind: "allowed" };
    case "create_lock":
    case "unlock":
      return refused("(LFS lock)", "a task makes and removes no LFS locks; a person does that");
    case "batch": {
      const { operation, ref } = call.batch;
      if (operation === "download") return { kind: "allowed" };
      if (right.kind !== "branch") return refused(ref ?? "(LFS upload)", "this repository may only be read");
      const permitted = `refs/heads/${right.branch}`;
      if (ref === undefined || ref === permitted) return { kind: "allowed" };
      return refused(ref, `only ${permitted} is permitted`);
    }
    case "upload":
    case "verify":
      return right.kind !== "branch"
        ? refused("(LFS upload)", "this repository may only be read")
        : { kind: "allowed" };
  }
}

/** Above what a client sends with 10 000 objects. */
const maxJsonBytes = 2 * 1024 ** 2;

async function readJson<Shape extends z.ZodType>(
  body: AsyncIterable<Uint8Array>,
  shape: Shape,
): Promise<z.infer<Shape>> {
  const parsed = shape.safeParse(parseJson(await readUpTo(body, maxJsonBytes)));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join(".") ?? "";
  throw new CcwError(
    "invalid",
    `This is not what Git LFS sends here${place === "" ? "" : ` (${place.slice(0, 100)})`}.`,
  );
}

export async function readUpTo(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw new CcwError("too_large", `This is over ${maxBytes / 1024 ** 2} MiB.`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
