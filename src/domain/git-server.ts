import { parseRepositoryName } from "./repository.ts";

/**
 * Git's smart HTTP protocol (gitprotocol-http(5)) as far as the product speaks it, and the part that answers it.
 * The door of a sandbox and the people's endpoint are two ways to the same server.
 */

export type GitService = "git-upload-pack" | "git-receive-pack";

/** What a request's path asks for: the list of refs, or an exchange with the service. */
export interface GitTarget {
  kind: "advertise" | "exchange";
  repository: string;
  service: GitService;
}

export type PushRight =
  | { kind: "any" }
  /** No push at all. */
  | { kind: "none" }
  /** Without `refs/heads/`. No other ref; rewriting and deleting it where that is said. */
  | { kind: "branch"; branch: string; force: boolean; delete: boolean };

/** One exchange with a repository, whose place is known already. */
export interface GitCall {
  service: GitService;
  /** The request's body as it came; undefined asks for the list of refs. */
  body: AsyncIterable<Uint8Array> | undefined;
  /** The request's headers as they came; the server takes what it knows of them and nothing else. */
  headers: {
    contentType: string | undefined;
    contentEncoding: string | undefined;
    gitProtocol: string | undefined;
  };
  right: PushRight;
  /** Aborted when the client has gone: git is ended. */
  signal: AbortSignal;
}

export interface GitAnswer {
  status: number;
  headers: Record<string, string>;
  /** Cancel it, or abort the request's signal, to end git. */
  body: ReadableStream<Uint8Array>;
}

/** One repository as git's smart HTTP protocol reaches it, wherever it lives. */
export interface GitEndpoint {
  /** Never rejects for what a client or a server can cause: that is an answer with a status. */
  serve(call: GitCall): Promise<GitAnswer>;
  /** Whether the ref points at another ref, so that a push to it would move that one. */
  isSymbolicRef(ref: string): Promise<boolean>;
}

export interface GitRequest extends GitCall {
  /** The bare repository's folder; absolute. */
  folder: string;
}

/** Git's own programs on folders of this machine. */
export interface GitServer {
  /** Never rejects for what a client can cause: that is an answer with a status. */
  serve(request: GitRequest): Promise<GitAnswer>;
  /** Whether the ref points at another ref, so that a push to it would move that one. */
  isSymbolicRef(folder: string, ref: string): Promise<boolean>;
}

const smartPath = /^\/([a-z0-9._/-]{1,200})\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/;
const infoRefsQuery = /^service=(git-upload-pack|git-receive-pack)$/;

/**
 * Reads the raw target behind `/git`, query included, before anything decodes it. Undefined is to be answered
 * like a repository that does not exist: an encoded or doubled slash, `..`, a second `.git`, the dumb protocol,
 * another service. On an exchange the path decides and the query is ignored.
 */
export function parseGitTarget(target: string): GitTarget | undefined {
  const question = target.indexOf("?");
  const path = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? "" : target.slice(question + 1);
  const match = smartPath.exec(path);
  const repository = match?.[1];
  if (match === null || repository === undefined) return undefined;
  try {
    parseRepositoryName(repository);
  } catch {
    return undefined;
  }
  if (match[2] === "git-upload-pack" || match[2] === "git-receive-pack") {
    return { kind: "exchange", repository, service: match[2] };
  }
  const service = infoRefsQuery.exec(query)?.[1];
  if (service !== "git-upload-pack" && service !== "git-receive-pack") return undefined;
  return { kind: "advertise", repository, service };
}
