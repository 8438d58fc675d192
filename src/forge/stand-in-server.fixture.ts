import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { parseGitTarget } from "../domain/git-server.ts";
import { createGitServer } from "./git-server.ts";

/** A git server of the internet: git's own programs behind HTTP, with a record of what reached it. */
export interface StandInServer {
  origin: string;
  requests: RecordedRequest[];
  /** Answers a request in the server's place; false leaves it to git. */
  instead: (request: IncomingMessage, response: ServerResponse) => boolean;
  close(): Promise<void>;
}

export interface RecordedRequest {
  line: string;
  headers: IncomingMessage["headers"];
  /** Read by git so far. */
  bytes: number;
  ended: boolean;
}

export async function startStandIn(options: {
  /** A folder for git's own needs. */
  folder: string;
  /** The bare repository of this path, as in `acme/demo`; undefined where there is none. */
  folderOf(path: string): string | undefined;
}): Promise<StandInServer> {
  const git = await createGitServer({ folder: options.folder, log: { info() {}, warn() {}, error() {} } });
  const server = createServer((request, response) => {
    const record: RecordedRequest = {
      line: `${request.method} ${request.url}`,
      headers: request.headers,
      bytes: 0,
      ended: false,
    };
    standIn.requests.push(record);
    response.on("error", () => undefined);
    response.once("close", () => {
      record.ended = true;
    });
    if (standIn.instead(request, response)) return;
    void answer(request, response, record).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse, record: RecordedRequest) {
    // Behind a host's name, so that paths are read as those of remote repositories are.
    const target = parseGitTarget(`/host${request.url ?? ""}`);
    const folder = target && options.folderOf(target.repository.slice("host/".length));
    if (target === undefined || folder === undefined) {
      response.writeHead(404, { "content-type": "text/plain" });
      return void response.end("Repository not found.\n");
    }
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    async function* body() {
      for await (const chunk of request) {
        record.bytes += chunk.length;
        yield chunk;
      }
    }
    const protocol = request.headers["git-protocol"];
    const result = await git.serve({
      folder,
      service: target.service,
      body: target.kind === "advertise" ? undefined : body(),
      headers: {
        contentType: request.headers["content-type"],
        contentEncoding: request.headers["content-encoding"],
        gitProtocol: typeof protocol === "string" ? protocol : undefined,
      },
      right: { kind: "any" },
      signal: gone.signal,
    });
    response.writeHead(result.status, result.headers);
    for await (const chunk of result.body) {
      if (!response.write(chunk)) {
        await new Promise((resolve) => {
          response.once("drain", resolve);
          response.once("close", resolve);
        });
      }
    }
    response.end();
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  const standIn: StandInServer = {
    origin: `http://127.0.0.1:${address.port}`,
    requests: [],
    instead: () => false,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return standIn;
}
