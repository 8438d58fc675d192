import { CcwError, messageOf } from "../domain/errors.ts";
import type { GitAnswer, GitRequest, GitServer } from "../domain/git-server.ts";
import type { Log } from "../domain/ports.ts";
import { snapshotRef } from "../domain/session.ts";
import { createGit, type GitSetting, repositorySettings } from "./git.ts";
import { busyFault, dropped, faultAnswer, oneChunk } from "./git-answers.ts";
import { type GitProcess, startGitProcess } from "./git-process.ts";
import { inflated, limited, maxFetchRequestBytes, protocolOf } from "./request-body.ts";
import { writeTaskHook } from "./task-hook.ts";

/**
 * Answers git's smart HTTP protocol with git's own upload-pack and receive-pack, run directly: `http-backend`
 * would only start these two after a detour over CGI variables (4.0 ms against 1.4 ms for a list of refs), and
 * would bring the dumb protocol and its path translation with it.
 */

export interface GitServerOptions {
  /** A folder of our own, for the hook that guards a task's push. */
  folder: string;
  log: Log;
  /** The largest pack that a task may push, in bytes; default 2 GiB. */
  maxTaskPackBytes?: number;
  /** git is ended after this long without a byte in either direction; default 5 minutes. */
  idleMs?: number;
}

/**
 * A kilobyte of deltas can ask for gigabytes of memory. No honest client sends a delta for a larger file than this
 * (core.bigFileThreshold), and what is no delta goes through git as a stream.
 */
const taskAllocLimit = "512m";
/** How much of a push is still read, and dropped, after git has made up its mind: the client reads no answer before. */
const maxDrainBytes = 256 * 1024 * 1024;

export async function createGitServer(options: GitServerOptions): Promise<GitServer> {
  const git = createGit();
  const { maxTaskPackBytes = 2 * 1024 ** 3 } = options;
  const hooksFolder = await writeTaskHook(options.folder);

  function settingsFor({ right, maxPackBytes = Number.MAX_SAFE_INTEGER }: GitRequest): GitSetting[] {
    if (right.kind === "any") return [...repositorySettings];
    const may = right.kind === "branch" ? right : { force: false, delete: false };
    return [
      ...repositorySettings,
      ["core.hooksPath", hooksFolder],
      ["receive.denyDeletes", String(!may.delete)],
      ["receive.denyNonFastForwards", String(!may.force)],
      // 0 would mean that there is no bound.
      ["receive.maxInputSize", String(Math.max(1, Math.min(maxPackBytes, maxTaskPackBytes)))],
      // What a small pack holds as deltas is not to be written out in full.
      ...(right.kind === "snapshots" ? [["receive.unpackLimit", "1"] as const] : []),
    ];
  }

  function start(request: GitRequest): GitProcess {
    const { service, right } = request;
    const environment = git.environment(settingsFor(request));
    if (right.kind !== "any") {
      // Empty lets nothing pass.
      environment["CCW_PUSH_REF"] = right.kind === "branch" ? `refs/heads/${right.branch}` : "";
      environment["CCW_PUSH_NEW"] = right.kind === "snapshots" ? snapshotRef("") : "";
      environment["GIT_ALLOC_LIMIT"] = taskAllocLimit;
    }
    const protocol = protocolFor(request);
    if (protocol !== undefined) environment["GIT_PROTOCOL"] = protocol;
    const mode = request.body === undefined ? ["--stateless-rpc", "--advertise-refs"] : ["--stateless-rpc"];
    return startGitProcess({
      argv: [git.executable, service.slice("git-".length), ...mode, "--end-of-options", request.folder],
      environment,
      signal: request.signal,
      idleMs: options.idleMs ?? 5 * 60_000,
      maxDrainBytes,
    });
  }

  /** Folder and branch of tasks' pushes that git works on. */
  const underWay = new Set<string>();

  return {
    async serve(request) {
      const body = bodyFor(request);
      if (body?.kind === "refused") return body.answer;
      const { service, right, folder } = request;
      const pushed =
        right.kind === "branch" && body !== undefined && service === "git-receive-pack"
          ? `${folder} ${right.branch}`
          : "";
      if (underWay.has(pushed)) {
        await dropped(request.push?.pack ?? request.body);
        return faultAnswer(request, busyFault);
      }
      const child = start(request);
      if (pushed !== "") {
        underWay.add(pushed);
        const done = () => underWay.delete(pushed);
        child.ended.then(done, done);
      }
      child.feed(body?.content);
      const reader = child.output();
      const first = await reader.next();
      if (first.done === true) return await withoutOutput(request, child, options.log);
      return {
        status: 200,
        headers: headersFor(request),
        body: outputOf(preambleFor(request), first.value, reader, child),
      };
    },

    async isSymbolicRef(folder, ref) {
      const { exitCode, stderr } = await git.run([
        `--git-dir=${folder}`,
        "symbolic-ref",
        "--quiet",
        "--",
        ref,
      ]);
      if (exitCode === 0 || exitCode === 1) return exitCode === 0;
      throw new Error(`git could not say whether ${ref} is a symbolic ref: ${stderr.trim()}`);
    },
  };
}

type Body = { kind: "content"; content: AsyncIterable<Uint8Array> } | { kind: "refused"; answer: GitAnswer };

function bodyFor(request: GitRequest): Body | undefined {
  const { body, service } = request;
  if (body === undefined) return undefined;
  const { contentType, contentEncoding = "identity" } = request.headers;
  if (contentType !== `application/x-${service}-request`) {
    return refused(415, `This address takes application/x-${service}-request only.`);
  }
  if (contentEncoding === "identity") {
    return {
      kind: "content",
      content: service === "git-upload-pack" ? limited(body, maxFetchRequestBytes) : body,
    };
  }
  // Git compresses fetch requests only; a pack is compressed already.
  if (service === "git-upload-pack" && /^(x-)?gzip$/.test(contentEncoding)) {
    return { kind: "content", content: inflated(body, maxFetchRequestBytes) };
  }
  return refused(415, "This content encoding is not taken here.");
}

/** receive-pack has no version 2; a client that asks for it there gets the version it must know anyway. */
function protocolFor({ headers, service }: GitRequest): string | undefined {
  const value = protocolOf(headers.gitProtocol);
  if (value === undefined) return undefined;
  return service === "git-receive-pack" && value.startsWith("version=2") ? undefined : value;
}

function headersFor(request: GitRequest): Record<string, string> {
  const kind = request.body === undefined ? "advertisement" : "result";
  return { "content-type": `application/x-${request.service}-${kind}`, "cache-control": "no-cache" };
}

/** gitprotocol-http(5): the list of refs begins with the service's name, but in version 2. */
function preambleFor(request: GitRequest): Uint8Array | undefined {
  if (request.body !== undefined || protocolFor(request)?.startsWith("version=2")) return undefined;
  const line = `# service=${request.service}\n`;
  return Buffer.from(`${(line.length + 4).toString(16).padStart(4, "0")}${line}0000`);
}

async function withoutOutput(request: GitRequest, child: GitProcess, log: Log): Promise<GitAnswer> {
  const { exitCode, stderr, failure } = await child.ended;
  if (failure instanceof CcwError && failure.code === "too_large") return textAnswer(413, failure.message);
  if (failure instanceof CcwError) return textAnswer(400, failure.message);
  if (exitCode === 0) {
    return { status: 200, headers: headersFor(request), body: oneChunk(new Uint8Array()) };
  }
  if (!request.signal.aborted) {
    log.warn("git gave no answer", {
      service: request.service,
      exitCode,
      stderr,
      failure: failure && messageOf(failure),
    });
  }
  return textAnswer(500, "The appliance's git could not answer. Its log says why.");
}

function outputOf(
  preamble: Uint8Array | undefined,
  first: Uint8Array,
  reader: AsyncIterator<Uint8Array>,
  child: GitProcess,
): AsyncIterable<Uint8Array> {
  const waiting = preamble === undefined ? [first] : [preamble, first];
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      const ready = waiting.shift();
      if (ready !== undefined) return { done: false, value: ready };
      const result = await reader.next();
      if (result.done !== true) return result;
      const { failure } = await child.ended;
      if (failure !== undefined) throw failure;
      return result;
    },
    async return() {
      child.end();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

function refused(status: number, message: string): Body {
  return { kind: "refused", answer: textAnswer(status, message) };
}

function textAnswer(status: number, message: string): GitAnswer {
  return {
    status,
    headers: { "content-type": "text/plain; charset=utf-8" },
    body: oneChunk(Buffer.from(`${message}\n`)),
  };
}
