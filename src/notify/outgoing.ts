import { CcwError, messageOf } from "../domain/errors.ts";
import type { SendOutcome } from "../domain/notification.ts";
import { plainLine } from "../domain/plain-text.ts";
import { cut } from "../domain/text-line.ts";

/** A message for somebody's server. */
export interface OutgoingPost {
  url: URL;
  headers: Record<string, string>;
  body: string;
}

/**
 * Sends one to an address that was judged, and reads nothing of the answer but its head; redirects are not followed.
 * Rejects with `forbidden` for an address that the operator has not allowed, `unavailable` where no answer comes.
 */
export type PostOut = (
  post: OutgoingPost,
  signal: AbortSignal,
) => Promise<{ status: number; retryAfter: string | undefined }>;

/** `goneMeansNever`: the receiver's 410 is its word that it wants nothing more. */
export async function deliverByHttp(
  postOut: PostOut,
  post: OutgoingPost,
  { now, goneMeansNever }: { now: number; goneMeansNever: boolean },
  signal: AbortSignal,
): Promise<SendOutcome> {
  try {
    const { status, retryAfter } = await postOut(post, signal);
    if (status >= 200 && status < 300) return { kind: "sent", status };
    if (status === 410 && goneMeansNever)
      return { kind: "refused", status, error: "It answers 410: it wants nothing more.", off: true };
    const redirected = status >= 300 && status < 400;
    const error = redirected
      ? `It redirects (${status}), which is not followed: give the address that it leads to.`
      : `It answers ${status}.`;
    return { kind: "again", status, error, afterMs: askedPause(retryAfter, now) };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return { kind: "again", status: 0, error: wordsOf(thrown) };
  }
}

/** In one line for the log of deliveries. The hint is for whoever may do something about it, as both may here. */
export function wordsOf(thrown: unknown): string {
  const hint = thrown instanceof CcwError && thrown.code === "forbidden" ? ` ${thrown.hint}` : "";
  return cut(plainLine(`${messageOf(thrown)}${hint}`), 400);
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function askedPause(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
