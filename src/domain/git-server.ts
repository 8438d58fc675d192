import type { PushCommand } from "./push-policy.ts";
import { parseRemoteName, parseRepositoryName } from "./repository.ts";

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
  | { kind: "branch"; branch: string; force: boolean; delete: boolean }
  /** New refs for a task's snapshots (`snapshotRef`), and nothing else; none is moved or deleted. */
  | { kind: "snapshots" };

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
    acceptEncoding?: string | undefined;
  };
  /** How many bytes `body` has, where that is known before it was read. */
  contentLength?: number | undefined;
  /** What was read of a push before it came here. */
  push?: JudgedPush | undefined;
  right: PushRight;
  /** The largest pack that is taken of this push, where that is less than the server's own bound. */
  maxPackBytes?: number | undefined;
  /** Aborted when the client has gone: git is ended. */
  signal: AbortSignal;
}

/**
 * A push whose ref updates were read, judged and written anew. The call's `body` is `head` and then `pack`; both have
 * one source, so whoever reads `pack` leaves `body` alone.
 */
export interface JudgedPush {
  commands: PushCommand[];
  /** What the client asked for along with them: they decide how it can be answered. */
  capabilities: string[];
  /** The section of ref updates, its flush included. */
  head: Uint8Array;
  pack: AsyncIterable<Uint8Array>;
}

export interface GitAnswer {
  status: number;
  headers: Record<string, string>;
  /** Of a relay alone: headers that may come more than once. */
  fields?: [name: string, value: string][];
  /** Read once, as fast as the client takes it. Leave it early, or abort the request's signal, to end git. */
  body: AsyncIterable<Uint8Array>;
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

const smartPath = /^\/([A-Za-z0-9._~+:/-]{1,1300}?)(\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/;
const infoRefsQuery = /^service=(git-upload-pack|git-receive-pack)$/;

/**
 * Reads the raw target behind `/git`, query included, before anything decodes it. Undefined is to be answered
 * like a repository that does not exist: an encoded or doubled slash, `..`, a second `.git`, the dumb protocol,
 * another service. On an exchange the path decides and the query is ignored. A remote repository is reached without
 * `.git` at its end as well, as forges have it. Whoever looks the name up compares it byte for byte.
 */
export function parseGitTarget(target: string): GitTarget | undefined {
  const { path, query } = splitTarget(target);
  const [, repository = "", suffix, request = ""] = smartPath.exec(path) ?? [];
  const asked = canBeRepository(repository, suffix !== undefined) ? askedFor(request, query) : undefined;
  return asked && { ...asked, repository };
}

/**
 * The same for a relay that passes paths on as they are: whatever stands before the request's own part is the
 * repository. Undefined where nothing of the smart protocol is asked.
 */
export function parseRelayTarget(target: string): GitTarget | undefined {
  const { path, query } = splitTarget(target);
  const [, repository, request = ""] =
    /^((?:\/[^/?#\\\s]+)*)\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(path) ?? [];
  // What a URL takes for `.` and `..` would lead out of the path that stands before it.
  if (repository === undefined || /(^|\/)(\.|%2e){1,2}(\/|$)/i.test(repository)) return undefined;
  const asked = askedFor(request, query);
  return asked && { ...asked, repository };
}

/** Whether what stands before `.git`, where that is there, is a repository's name as it is written. */
export function canBeRepository(name: string, hasSuffix: boolean): boolean {
  return parses(parseRemoteName, name) || (hasSuffix && parses(parseRepositoryName, name));
}

export function splitTarget(target: string): { path: string; query: string } {
  const question = target.indexOf("?");
  return question === -1
    ? { path: target, query: "" }
    : { path: target.slice(0, question), query: target.slice(question + 1) };
}

function askedFor(request: string, query: string): Pick<GitTarget, "kind" | "service"> | undefined {
  if (isService(request)) return { kind: "exchange", service: request };
  const service = infoRefsQuery.exec(query)?.[1];
  return isService(service) ? { kind: "advertise", service } : undefined;
}

const isService = (text: string | undefined): text is GitService =>
  text === "git-upload-pack" || text === "git-receive-pack";

function parses(parse: (name: string) => string, name: string): boolean {
  try {
    return parse(name) === name;
  } catch {
    return false;
  }
}
