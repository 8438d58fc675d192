import { createServer as createPlain, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecure } from "node:https";
import { join } from "node:path";
import type { GitService } from "../domain/git-server.ts";
import { createGitServer } from "./git-server.ts";

/** A git server as others run it: smart HTTP with a password, over HTTP or HTTPS, on bare repositories in a folder. */
export interface RemoteServer {
  /** Without a slash at the end. */
  url: string;
  /** `METHOD path` of each request, in order. */
  requests: string[];
  /** Bytes of all answers' bodies. */
  sentBytes(): number;
  /** Answers in place of git while it is set; `slow` begins a pack and does not go on before `until`, or at all. */
  behaviour:
    | { kind: "git" }
    | { kind: "status"; status: number; location?: string }
    | { kind: "slow"; until?: Promise<void> };
  close(): Promise<void>;
}

export const password = "s3cret-of-the-forge";
export const authorization = `Basic ${Buffer.from(`x:${password}`).toString("base64")}`;

export async function startRemoteServer(options: {
  /** `<folder>/<owner>/<name>.git` are its repositories. */
  folder: string;
  workFolder: string;
  tls?: { key: string; cert: string };
  /** As servers of long ago speak: without version 2. */
  version0?: boolean;
}): Promise<RemoteServer> {
  const { folder, tls } = options;
  const git = await createGitServer({
    folder: options.workFolder,
    log: { info() {}, warn() {}, error() {} },
  });
  let sent = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "", "http://x");
    remote.requests.push(`${request.method} ${url.pathname}`);
    const { behaviour } = remote;
    if (behaviour.kind === "status") {
      response.writeHead(behaviour.status, behaviour.location ? { location: behaviour.location } : {}).end();
      return;
    }
    if (request.headers.authorization !== authorization) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
      return;
    }
    const match = /^\/([\w.-]+\/[\w.-]+\.git)\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(
      url.pathname,
    );
    const advertises = match?.[2] === "info/refs";
    const service = (advertises ? url.searchParams.get("service") : match?.[2]) as GitService;
    if (match?.[1] === undefined || !(await Bun.file(join(folder, match[1], "HEAD")).exists())) {
      response.writeHead(404).end("not found");
      return;
    }
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const { status, headers, body } = await git.serve({
      folder: join(folder, match[1]),
      service,
      body: advertises ? undefined : request,
      headers: {
        contentType: request.headers["content-type"],
        contentEncoding: request.headers["content-encoding"],
        gitProtocol: options.version0 ? undefined : (request.headers["git-protocol"] as string | undefined),
      },
      right: { kind: "any" },
      signal: gone.signal,
    });
    response.writeHead(status, headers);
    for await (const chunk of body) {
      sent += chunk.length;
      response.write(chunk);
      // A pack comes in pieces; the first of them is all that comes.
      if (behaviour.kind === "slow" && chunk.length > 4000) {
        if (behaviour.until === undefined) return;
        await behaviour.until;
      }
    }
    response.end();
  };
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void answer(request, response).catch(() => response.destroy());
  const server = tls === undefined ? createPlain(listener) : createSecure(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const remote: RemoteServer = {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    requests: [],
    sentBytes: () => sent,
    behaviour: { kind: "git" },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return remote;
}
