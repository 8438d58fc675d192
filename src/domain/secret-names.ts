/**
 * Words that say of a variable's name that its value is a secret: whole words between underscores, or at the end of
 * one (`GITHUBTOKEN`).
 */
const words =
  /(?:^|_)(?:auth|authorization|key|pass|pat|pin|pwd|private)(?:_|$)|token|secret|passwd|password|passphrase|credential|apikey|_key\d*$/i;

/** Shorter values are words such as `none` and `true`, which stand in many an honest request. */
export const minSecretLength = 8;

/** Whether a variable of this name and value is taken for a secret, which must not leave the sandbox in a request. */
export function isSecretVariable(name: string, value: string): boolean {
  return words.test(name) && value.length >= minSecretLength;
}
