import { forgeError, notAnApi } from "./forge-errors.ts";
import type { ForgeFetch } from "./forge-fetch.ts";
import { createConditionalFetch } from "./forge-memory.ts";
import { createPatientFetch, type Patience, retryAfterOf } from "./forge-patience.ts";

/**
 * For clients that bring no retries and no errors worth reading: limits and outages are waited out, what was answered
 * before is asked conditionally, and anything but a good JSON answer is a CcwError.
 */
export function createCheckedFetch(
  fetch: ForgeFetch,
  { forge, patience, now }: { forge: string; patience: Patience; now(): number },
): ForgeFetch {
  const patient = createPatientFetch(fetch, { ...patience, forge, outages: true, now });
  const asked = createConditionalFetch(patient);
  return async (url, init) => {
    const response = await asked(url, init);
    const { status, headers } = response;
    const isJson = /\bjson\b/.test(headers.get("content-type") ?? "");
    if (status >= 300) {
      const message = isJson ? wordsIn(await response.json().catch(() => undefined)) : "";
      throw forgeError({
        forge,
        status,
        message,
        retryAfter: retryAfterOf(headers.get("retry-after"), now()),
      });
    }
    if (status === 200 && !isJson) throw notAnApi(forge);
    return response;
  };
}

/** GitLab says `message` (a text, a list, or lists by field) or `error`; Gitea says `message`. */
function wordsIn(data: unknown): string {
  if (typeof data !== "object" || data === null) return "";
  const said = "message" in data ? data.message : "error" in data ? data.error : "";
  return typeof said === "string" ? said : JSON.stringify(said ?? "").replace(/[[\]{}"]/g, "");
}
