import { CcwError, messageOf } from "../domain/errors.ts";
import type { ForgeAccess } from "../domain/forge.ts";
import type { GitAnswer, GitCall, GitEndpoint } from "../domain/git-server.ts";
import type { Log } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { dropped, type Fault, faultAnswer } from "./git-answers.ts";
import { type Asked, notGitFault, redirectFault, statusFault } from "./git-upstream-faults.ts";
import { type GuardOptions, guarded } from "./git-upstream-guard.ts";
import { boundedRequest, firstOf, protocolOf } from "./request-body.ts";
import type { UpstreamHttp, UpstreamResponse } from "./upstream-http.ts";

/** Repositories of forges behind git's smart HTTP protocol: the real server, asked with the real credential. */
export interface GitUpstream {
  endpointOf(repository: RemoteRepository): GitEndpoint;
}

export interface GitUpstreamOptions extends GuardOptions {
  http: UpstreamHttp;
  access: ForgeAccess;
  log: Log;
}

/** Renamed repositories whose new address is remembered; the oldest is forgotten first. */
const maxMoved = 500;
/** A list of refs up to this length is read to its end before git hears a word, so that half of one can be told as such. */
const wholeAnswerBytes = 64 * 1024;

export function createGitUpstream(options: GitUpstreamOptions): GitUpstream {
  const { http, access, log } = options;
  /** Clone URL → where its forge has sent us, on the same origin. */
  const moved = new Map<string, string>();

  function baseOf({ cloneUrl }: RemoteRepository): string {
    return moved.get(cloneUrl) ?? cloneUrl.replace(/\/$/, "");
  }

  async function send(repository: RemoteRepository, call: GitCall): Promise<UpstreamResponse> {
    const right = call.service === "git-upload-pack" ? "read" : "write";
    const authorization = await access.authorizationFor(repository, right);
    const request = call.body === undefined ? `info/refs?service=${call.service}` : call.service;
    return http.send({
      url: new URL(`${baseOf(repository)}/${request}`),
      method: call.body === undefined ? "GET" : "POST",
      headers: { ...requestHeaders(call), ...(authorization === undefined ? {} : { authorization }) },
      body: boundedRequest(call),
      signal: call.signal,
    });
  }

  /** The list of refs has no body, and may be asked once more: with a fresh token, or at a new address. */
  async function ask(repository: RemoteRepository, call: GitCall): Promise<UpstreamResponse> {
    const first = await send(repository, call);
    if (first.status === 401) access.refused(repository);
    if (call.body !== undefined) return first;
    if (first.status === 401) {
      first.discard();
      return send(repository, call);
    }
    const target = redirectOf(first, repository, call);
    if (target?.base === undefined) return first;
    first.discard();
    moved.delete(repository.cloneUrl);
    if (moved.size >= maxMoved) moved.delete(moved.keys().next().value ?? "");
    moved.set(repository.cloneUrl, target.base);
    return send(repository, call);
  }

  function redirectOf(
    { status, headers }: UpstreamResponse,
    repository: RemoteRepository,
    call: GitCall,
  ): { target: URL | undefined; base: string | undefined } | undefined {
    if (![301, 302, 303, 307, 308].includes(status)) return undefined;
    const base = new URL(baseOf(repository));
    const target = URL.parse(headers.location ?? "", `${base.href}/info/refs`) ?? undefined;
    const ending = `/info/refs?service=${call.service}`;
    const path = target === undefined ? "" : target.pathname + target.search;
    // The credential is for this origin; user and password in the address would be somebody else's.
    const follows =
      target !== undefined &&
      target.origin === base.origin &&
      target.username === "" &&
      target.password === "" &&
      path.endsWith(ending) &&
      !/%|\/\/|\\/.test(target.pathname);
    return { target, base: follows ? target.origin + path.slice(0, -ending.length) : undefined };
  }

  async function answer(repository: RemoteRepository, call: GitCall): Promise<GitAnswer> {
    const { forge, name, cloneUrl } = repository;
    const asked: Asked = { name, forge, host: new URL(cloneUrl).host, service: call.service };
    const refuse = async (fault: Fault) => {
      if (!call.signal.aborted) {
        log.warn("a forge did not answer a git request", { repository: name, reason: fault.lines.join(" ") });
      }
      await dropped(call.push?.pack ?? call.body);
      return faultAnswer(call, fault);
    };
    try {
      const response = await ask(repository, call);
      const redirect = redirectOf(response, repository, call);
      const type = response.headers["content-type"] ?? "";
      const expected = `application/x-${call.service}-${call.body === undefined ? "advertisement" : "result"}`;
      if (response.status === 200 && type === expected) {
        const body = await firstOf(response.body, call.body === undefined ? wholeAnswerBytes : 0);
        return { status: 200, headers: responseHeaders(response, expected), body };
      }
      response.discard();
      if (redirect !== undefined) return await refuse(redirectFault(asked, redirect.target));
      if (response.status === 200) return await refuse(notGitFault(asked, type));
      if (response.status === 404) moved.delete(cloneUrl);
      return await refuse(statusFault(asked, response.status, retryAfterOf(response)));
    } catch (thrown) {
      if (!(thrown instanceof CcwError) && !call.signal.aborted) {
        log.error("a git request to a forge failed", { repository: name, error: messageOf(thrown) });
      }
      return await refuse(thrownFault(asked, thrown));
    }
  }

  return {
    endpointOf: (repository) => guarded((call) => answer(repository, call), repository.name, options),
  };
}

/** Nothing of the client's own: what git needs, where it looks as git writes it. */
function requestHeaders(call: GitCall): Record<string, string> {
  const { service, headers, contentLength } = call;
  const encodings = /^[a-z0-9.*;=, -]{1,100}$/i.test(headers.acceptEncoding ?? "")
    ? headers.acceptEncoding
    : undefined;
  const protocol = protocolOf(headers.gitProtocol);
  const exchange = call.body !== undefined;
  return {
    // Some forges know git by this, and show everybody else a page.
    "user-agent": "git/ccw-server",
    accept: exchange ? `application/x-${service}-result` : "*/*",
    // A push's answer is read along.
    "accept-encoding": service === "git-receive-pack" && exchange ? "identity" : (encodings ?? "identity"),
    ...(protocol === undefined ? {} : { "git-protocol": protocol }),
    ...(exchange ? { "content-type": `application/x-${service}-request` } : {}),
    ...(exchange && headers.contentEncoding !== undefined ? { "content-encoding": "gzip" } : {}),
    ...(exchange && contentLength !== undefined ? { "content-length": String(contentLength) } : {}),
  };
}

function responseHeaders({ headers }: UpstreamResponse, type: string): Record<string, string> {
  const encoding = headers["content-encoding"];
  const length = headers["content-length"];
  return {
    "content-type": type,
    "cache-control": "no-cache",
    ...(encoding !== undefined && /^(gzip|deflate|br|zstd)$/.test(encoding)
      ? { "content-encoding": encoding }
      : {}),
    ...(length !== undefined && /^\d{1,15}$/.test(length) ? { "content-length": length } : {}),
  };
}

function retryAfterOf({ headers }: UpstreamResponse): string | undefined {
  const value = headers["retry-after"];
  return value !== undefined && /^[\w :,]{1,40}$/.test(value) ? value : undefined;
}

function thrownFault(asked: Asked, thrown: unknown): Fault {
  if (!(thrown instanceof CcwError)) {
    return {
      status: 500,
      reason: "internal error",
      lines: ["The appliance could not answer. Its log says why."],
    };
  }
  const statuses = { too_large: 413, invalid: 400, forbidden: 403, unauthenticated: 403, rate_limited: 429 };
  const status = Object.entries(statuses).find(([code]) => code === thrown.code)?.[1] ?? 502;
  const lines = [`${asked.name}: ${thrown.message}`, ...(thrown.hint === "" ? [] : [thrown.hint])];
  return {
    ...{ status, lines, malformed: thrown.code === "invalid" || thrown.code === "too_large" },
    reason: thrown.code === "too_large" ? "too large" : `${asked.host} was not reached`,
  };
}
