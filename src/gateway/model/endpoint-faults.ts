import type { IncomingMessage } from "node:http";
import { type Refusal, refusal } from "./api-error.ts";

/**
 * What the sandbox is told when the endpoint, or its own request, lets an exchange down. The words name the
 * endpoint's host and never its credential.
 */

export function unreachable(host: string, error: unknown): Refusal {
  // Error codes are safe to show; error messages may hold more than the host.
  const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
  return again(502, `The model endpoint ${host} cannot be reached or broke the connection${code}.`);
}

export function notConnected(host: string, ms: number): Refusal {
  return again(502, `The model endpoint ${host} took no connection within ${ms / 1000} s.`);
}

export function silent(host: string, ms: number): Refusal {
  return again(504, `The model endpoint ${host} has sent nothing for ${ms / 1000} s.`);
}

export function brokenOff(host: string): Refusal {
  return again(502, `The model endpoint ${host} broke off in the middle of its answer.`);
}

export function uploadStalled(ms: number): Refusal {
  const message = `The request stopped half-way: nothing came for ${ms / 1000} s.`;
  return refusal(408, "timeout_error", message, { retry: true });
}

export function tooLarge(bytes: number): Refusal {
  const message = `The request is over the ${bytes / 1024 / 1024} MiB that the model door takes.`;
  return refusal(413, "request_too_large", message);
}

/** Why an answer cannot be passed on, by its head. */
export function unusable(answer: IncomingMessage, host: string): Refusal | undefined {
  const status = answer.statusCode ?? 0;
  if (status < 200 || status > 599 || (status >= 300 && status < 400)) {
    return refusal(
      502,
      "api_error",
      `The model endpoint ${host} answered ${status}, and the appliance follows no redirects. ` +
        "The operator sets its address to where the API itself is.",
    );
  }
  if ((answer.headers["content-encoding"] ?? "identity") !== "identity") {
    return refusal(
      502,
      "api_error",
      `The model endpoint ${host} compressed its answer though it was asked not to, so it cannot be metered.`,
    );
  }
  return undefined;
}

function again(status: number, message: string): Refusal {
  return refusal(status, "api_error", message, { retry: true });
}
