import type { GitServer, GitTarget } from "../domain/git-server.ts";

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
  const { git, request, target, folder } = call;
  const method = target.kind === "advertise" ? "GET" : "POST";
  if (request.method !== method) {
    return new Response(`Only ${method} is understood here.\n`, { status: 405, headers: { allow: method } });
  }
  const header = (name: string) => request.headers.get(name) ?? undefined;
  const answer = await git.serve({
    folder,
    service: target.service,
    body: target.kind === "advertise" ? undefined : (request.body ?? nothing()),
    headers: {
      contentType: header("content-type"),
      contentEncoding: header("content-encoding"),
      gitProtocol: header("git-protocol"),
    },
    right: { kind: "any" },
    signal: request.signal,
  });
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // a body of no bytes
}
