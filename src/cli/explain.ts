import { CcwError, messageOf } from "../domain/errors.ts";
import { plainText } from "../domain/plain-text.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";

/** What a person is told of a failure, on standard error, and the exit code. Never a stack trace. */
export function explain(thrown: unknown): { text: string; exitCode: number } {
  if (thrown instanceof CcwError) {
    const hint = thrown.hint === "" ? "" : `hint: ${plainText(thrown.hint)}\n`;
    return { text: `error: ${plainText(thrown.message)}\n${hint}`, exitCode: exitCodeOf[thrown.code] };
  }
  return {
    text: `error: internal error: ${plainText(messageOf(thrown))}\nhint: this is a defect; please report it with the command that you ran.\n`,
    exitCode: exitCodes.internal,
  };
}
