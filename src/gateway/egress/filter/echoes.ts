import type { InjectedCredential, Secret } from "../../../domain/egress.ts";

/**
 * What an answer must not show of an injected credential: a host that echoes it seldom shows the header as it was. The
 * value, what stands behind its scheme (RFC 9110, 11.4), user and password of Basic (RFC 7617), and the secrets that
 * its template took.
 */
export function echoesOf({ value }: InjectedCredential, secrets: readonly Secret[]): string[] {
  const [, scheme = "", rest = ""] = /^(\S+) +(.+)$/.exec(value) ?? [];
  const pair = scheme.toLowerCase() === "basic" ? Buffer.from(rest, "base64").toString("utf8") : "";
  const taken = secrets.filter((secret) => secret.value !== "" && value.includes(secret.value));
  return [value, rest, pair, pair.slice(pair.indexOf(":") + 1), ...taken.map((secret) => secret.value)];
}
