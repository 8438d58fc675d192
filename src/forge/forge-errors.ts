import type { z } from "zod";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";

/** What a forge answered instead of what it was asked for. */
export interface ForgeRefusal {
  /** What the operator calls the forge. */
  forge: string;
  status: number;
  /** Its own words; untrusted. */
  message: string;
  /** Seconds until it wants to be asked again. */
  retryAfter?: number | undefined;
  /** Whether it refuses because of a limit, whatever the status. */
  limited?: boolean;
}

/** The words for a person, and the code that says what became of it. */
export function forgeError({ forge, status, message, retryAfter, limited }: ForgeRefusal): CcwError {
  const words = plainLine(message.slice(0, 1000)).slice(0, 300).replace(/\.$/, "");
  const said = words === "" ? "" : `: ${words}`;
  if (limited || status === 429) {
    const when = retryAfter === undefined ? "in some minutes" : `in ${retryAfter} s`;
    return new CcwError(
      "rate_limited",
      `The forge ${forge} is asked too often${said}.`,
      `Try again ${when}.`,
    );
  }
  if (status === 401) {
    return new CcwError(
      "unauthenticated",
      `The forge ${forge} does not take the credential it is asked with${said}.`,
      `It may have expired or been revoked. Give another one: ccw-server forge add ${forge} --token-stdin`,
    );
  }
  if (status === 403) {
    return new CcwError(
      "forbidden",
      `The forge ${forge} does not allow this${said}.`,
      "Its credential has to have the right for it, and the organisation may have to approve the credential.",
    );
  }
  if (status === 404 || status === 410) {
    return new CcwError(
      "not_found",
      `The forge ${forge} has nothing at this place, or hides it from its credential${said}.`,
      "It may have been deleted, renamed or made private.",
    );
  }
  if (status === 409 || status === 422)
    return new CcwError("conflict", `The forge ${forge} cannot do this as things are${said}.`);
  if (status >= 500) {
    const hint = "It has an outage; try again later.";
    return new CcwError("unavailable", `The forge ${forge} answers with status ${status}${said}.`, hint);
  }
  if (status >= 300 && status < 400) {
    return new CcwError(
      "unavailable",
      `The forge ${forge} sends to another address, which is not followed.`,
      "Something has moved: look at the forge's address and at the repository's.",
    );
  }
  return new CcwError("invalid", `The forge ${forge} does not take this request (status ${status})${said}.`);
}

/** An answer that is not of the API: a page of a proxy, a sign-in form, another program. */
export function notAnApi(forge: string): CcwError {
  return new CcwError(
    "unavailable",
    `What answers for the forge ${forge} is a page, not its API.`,
    "Look at its API address: for GitHub Enterprise Server it ends in /api/v3, for Gitea in /api/v1.",
  );
}

/** Reads an answer by its schema. Rejects with `unavailable` for one that makes no sense. */
export function parseAnswer<Schema extends z.ZodType>(
  forge: string,
  schema: Schema,
  data: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  if (typeof data === "string") throw notAnApi(forge);
  const issue = parsed.error.issues[0];
  const where = issue?.path.join(".") ?? "";
  throw new CcwError(
    "unavailable",
    `The forge ${forge} answers with something else than its API promises${where === "" ? "" : ` (${where})`}.`,
    "It may be of a version that is too old, or its API address is wrong.",
    { cause: parsed.error },
  );
}
