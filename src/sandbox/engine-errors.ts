import { CcwError, messageOf } from "../domain/errors.ts";

/** The HTTP status that the engine answered with; undefined when it did not answer at all. */
export function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== "object" || thrown === null || !("statusCode" in thrown)) return undefined;
  return typeof thrown.statusCode === "number" ? thrown.statusCode : undefined;
}

/** An engine's words, bounded and on one line. They may quote an image's name, so control characters go. */
export function engineWords(thrown: unknown): string {
  const words = messageOf(thrown)
    .replace(/^\(HTTP code \d+\) [^-]*- /, "")
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
  return words.length > 600 ? `${words.slice(0, 600)}…` : words;
}

/** An error of an engine's API in the product's terms. `doing` completes "could not …". */
export function engineError(thrown: unknown, engine: string, doing: string): CcwError {
  if (thrown instanceof CcwError) return thrown;
  const options = { cause: thrown };
  const words = engineWords(thrown);
  if (statusOf(thrown) === undefined) {
    return new CcwError(
      "unavailable",
      `The container engine does not answer: could not ${doing} (${words}).`,
      `See whether ${engine} runs; \`ccw-server doctor\` says what is missing.`,
      options,
    );
  }
  if (/no space left on device/i.test(words)) {
    return new CcwError(
      "no_space",
      `The disk of the container engine is full: could not ${doing}.`,
      "Make room, or remove images that nobody uses; `ccw-server doctor` shows the folder.",
      options,
    );
  }
  return new CcwError("unavailable", `${engine} could not ${doing}: ${words}`, runtimeHint(words), options);
}

/** Failures of the OCI runtime that have one known cause and one remedy. */
function runtimeHint(words: string): string {
  if (/rlimit/i.test(words)) {
    return "A container's limits are above the engine's own. Raise LimitNOFILE and LimitNPROC of the engine's service.";
  }
  if (/crun/i.test(words) && /cgroup/i.test(words)) {
    return 'crun does not run with this machine\'s cgroups. Install runc and set runtime = "runc" under [engine] in /etc/containers/containers.conf.';
  }
  return "`ccw-server doctor` checks the engine and says what is missing.";
}
