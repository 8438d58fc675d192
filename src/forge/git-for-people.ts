import type { GitCall, GitEndpoint, GitServer, GitTarget, PushRight } from "../domain/git-server.ts";
import type { LfsEndpoint, LfsTarget } from "../domain/lfs.ts";
import { answerLfs } from "../domain/lfs-answers.ts";

/**
 * Git for people, on the appliance's port: fetch everything, push any branch, as with any git server. Whoever
 * calls has checked the person's right to this repository. The HTTP server must not end a connection that is
 * quiet for a while, nor limit the size of a body: a first push of a large repository is both.
 */
export async function handleGitForPeople(call: {
  git: GitServer;
  request: Request;
  target: GitTarget;
  /** The bare repository's folder; absolute. */
  folder: string;
}): Promise<Response> {
  const { git, folder, ...rest } = call;
  const endpoint = { serve: (each: GitCall) => git.serve({ ...each, folder }) };
  return handleGitAt({ ...rest, endpoint, right: { kind: "any" } });
}

/** The same at another endpoint, and with less of a right. */
export async function handleGitAt(call: {
  endpoint: Pick<GitEndpoint, "serve">;
  request: Request;
  target: GitTarget;
  right: PushRight;
  /** As in GitCall. */
  maxPackBytes?: number;
}): Promise<Response> {
  const { endpoint, request, target, right, maxPackBytes } = call;
  const method = target.kind === "advertise" ? "GET" : "POST";
  if (request.method !== method) {
    return new Response(`Only ${method} is understood here.\n`, { status: 405, headers: { allow: method } });
  }
  const header = (name: string) => request.headers.get(name) ?? undefined;
  const answer = await endpoint.serve({
    service: target.service,
    body: target.kind === "advertise" ? undefined : (request.body ?? nothing()),
    headers: {
      contentType: header("content-type"),
      contentEncoding: header("content-encoding"),
      gitProtocol: header("git-protocol"),
    },
    right,
    maxPackBytes,
    signal: request.signal,
  });
  return new Response(streamOf(answer.body), { status: answer.status, headers: answer.headers });
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // a body of no bytes
}

/** Large files for people, behind the same address. The caller has checked the person's right to this repository. */
export async function handleLfsForPeople(call: {
  request: Request;
  target: LfsTarget;
  endpoint: LfsEndpoint | undefined;
  /** As people reach the appliance, without a slash at the end. */
  publicUrl: string;
}): Promise<Response> {
  const { request, target, endpoint, publicUrl } = call;
  const length = request.headers.get("content-length");
  // A proxy in front may speak TLS for the appliance; who came by another name is told that one again.
  const asked = new URL(request.url);
  const origin = asked.host === new URL(publicUrl).host ? publicUrl : asked.origin;
  const answer = await answerLfs({
    http: {
      request: target.request,
      method: request.method,
      contentLength: length !== null && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
      range: request.headers.get("range") ?? undefined,
      body: request.body ?? nothing(),
    },
    caller: {
      right: { kind: "any" },
      holder: "people",
      base: `${origin}/git/${target.repository}.git/info/lfs`,
      signal: request.signal,
    },
    endpoint,
    refused() {},
  });
  return new Response(streamOf(answer.body), { status: answer.status, headers: answer.headers });
}

/** A stream that asks its source for no more than is read. */
function streamOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
