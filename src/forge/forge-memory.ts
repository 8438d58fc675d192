import { createHash } from "node:crypto";
import type { Unchanged } from "../domain/forge.ts";
import { answerFrom, type ForgeFetch } from "./forge-fetch.ts";

const maxAnswers = 500;
const maxKeptBytes = 256 * 1024;
const maxDigests = 5000;

interface Kept {
  etag: string;
  body: ArrayBuffer;
  headers: Headers;
}

/**
 * Asks with `If-None-Match` for what was answered with an ETag before (RFC 9110, 13.1.2): a 304 does not count
 * against GitHub's limits. Callers see the whole answer either way, page by page.
 */
export function createConditionalFetch(fetch: ForgeFetch): ForgeFetch {
  const answers = new Map<string, Kept>();
  return async (input, init) => {
    const url = input instanceof Request ? input.url : input.toString();
    if ((init?.method ?? "GET").toUpperCase() !== "GET") return fetch(input, init);
    const headers = new Headers(init?.headers);
    // One address has other answers for another credential, as a list of what an installation holds.
    const asWhom = createHash("sha256")
      .update(headers.get("authorization") ?? "")
      .digest("base64");
    const key = `${headers.get("accept") ?? ""} ${asWhom} ${url}`;
    const kept = answers.get(key);
    if (kept !== undefined) headers.set("if-none-match", kept.etag);
    const response = await fetch(input, { ...init, headers });
    if (response.status === 304 && kept !== undefined) {
      // Used last: it is thrown away last.
      answers.delete(key);
      answers.set(key, kept);
      return answerFrom(url, new Response(kept.body.slice(0), { status: 200, headers: kept.headers }));
    }
    answers.delete(key);
    const etag = response.headers.get("etag");
    if (response.status !== 200 || etag === null) return response;
    const body = await response.arrayBuffer();
    if (body.byteLength <= maxKeptBytes) {
      answers.set(key, { etag, body, headers: response.headers });
      const oldest = answers.keys().next();
      if (answers.size > maxAnswers && !oldest.done) answers.delete(oldest.value);
    }
    return answerFrom(response.url, new Response(body.slice(0), { status: 200, headers: response.headers }));
  };
}

/** Says whether a value is another one than the last that was given for the same key. */
export function createUnchanged() {
  const digests = new Map<string, string>();
  return <Value>(key: string, value: Value): Unchanged<Value> => {
    const digest = createHash("sha256").update(JSON.stringify(value)).digest("base64");
    const same = digests.get(key) === digest;
    digests.delete(key);
    digests.set(key, digest);
    const oldest = digests.keys().next();
    if (digests.size > maxDigests && !oldest.done) digests.delete(oldest.value);
    return same ? { changed: false } : { changed: true, value };
  };
}
