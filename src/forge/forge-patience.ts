import { pause } from "../domain/pause.ts";
import type { ForgeFetch } from "./forge-fetch.ts";

export interface Patience {
  /** Nobody waits longer than this for a forge that wants to be asked later; default 90 s. */
  maxWaitMs?: number;
  /** Told in words, each time something is waited for. */
  onWaiting?(text: string): void;
}

const usualMaxWaitMs = 90_000;

/** Whether a forge's wish to be asked later, in seconds, can be granted. */
export function canWait(seconds: number, times: number, { maxWaitMs = usualMaxWaitMs }: Patience): boolean {
  return times < 2 && seconds * 1000 <= maxWaitMs;
}

/** RFC 9110, 10.2.3: seconds, or a date. Undefined where it is neither. */
export function retryAfterOf(value: string | null | undefined, now: number): number | undefined {
  if (value === null || value === undefined || value === "") return undefined;
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : (Date.parse(value) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined;
}

/** Nobody takes it back. */
const never = new AbortController().signal;

/**
 * Waits as long as an answer 429 asks for, within bounds; with `outages` also asks again, for reading, where a server
 * answered 5xx. What is left over comes back as it was answered.
 */
export function createPatientFetch(
  fetch: ForgeFetch,
  options: Patience & { forge: string; outages: boolean; now(): number },
): ForgeFetch {
  const { forge, outages, now, onWaiting } = options;
  return async (url, init) => {
    for (let times = 0; ; times += 1) {
      const response = await fetch(url, init);
      const reading = (init?.method ?? "GET").toUpperCase() === "GET";
      const wished = retryAfterOf(response.headers.get("retry-after"), now());
      const seconds =
        response.status === 429
          ? wished
          : outages && reading && response.status >= 500
            ? Math.max(wished ?? 0, times + 1)
            : undefined;
      if (seconds === undefined || !canWait(seconds, times, options)) return response;
      onWaiting?.(
        response.status === 429
          ? `The forge ${forge} is asked too often and wants ${seconds} s of silence.`
          : `The forge ${forge} answered ${response.status}; it is asked again in ${seconds} s.`,
      );
      await pause(seconds * 1000, init?.signal ?? never);
    }
  };
}
