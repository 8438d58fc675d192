import { timingSafeEqual } from "node:crypto";

/** Whether what was given is the secret, in a time that says nothing of where they differ. */
export function isSameSecret(given: string, secret: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(secret)];
  return one.length === other.length && timingSafeEqual(one, other);
}
