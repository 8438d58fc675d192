import { CcwError } from "./errors.ts";
import type { Forge, ForgeKind } from "./forge.ts";
import { parseRemoteName } from "./repository.ts";

/** Where forges are, and which repository an address means. */

/** An address without credentials, query or a slash at its end. Throws `invalid`. */
export function parseForgeUrl(text: string): string {
  const url = URL.parse(text.trim());
  const good =
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.search === "" &&
    url.hash === "" &&
    url.username === "" &&
    url.password === "";
  if (!good) {
    // It may hold a password: it is not repeated.
    throw new CcwError(
      "invalid",
      "That is no address of a forge.",
      "Give it as in https://github.com or https://git.example:3000, without a user, a password or a query.",
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Where its API is, as each of them has it; empty for a plain git server. */
export function usualApiUrl(kind: ForgeKind, url: string): string {
  switch (kind) {
    case "github":
      return new URL(url).host === "github.com" ? "https://api.github.com" : `${url}/api/v3`;
    case "gitlab":
      return `${url}/api/v4`;
    case "gitea":
      return `${url}/api/v1`;
    case "git":
      return "";
  }
}

/** As people write a repository: `https://host/owner/name`, with or without `.git`, or its path alone. */
export function pathOf(text: string): string {
  return text.replace(/^\/+|\/+$/g, "").replace(/\.git$/, "");
}

/** The forge that an address lies on, and the path below it; the longest address wins. Undefined where none covers it. */
export function forgeAt<Found extends Pick<Forge, "url">>(
  forges: readonly Found[],
  address: string,
): { forge: Found; path: string } | undefined {
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  const whole = `${url.origin}${url.pathname}`;
  const covering = forges.filter((each) => whole.startsWith(`${each.url}/`));
  const [forge] = covering.sort((one, other) => other.url.length - one.url.length);
  return forge && { forge, path: pathOf(whole.slice(forge.url.length)) };
}

/** What a repository of a forge is named here, and where git finds it. Throws `invalid` for a path that cannot be one. */
export function remoteAddress(forge: Pick<Forge, "url">, path: string): { name: string; cloneUrl: string } {
  const { host, pathname } = new URL(forge.url);
  const name = parseRemoteName(`${host}${pathname === "/" ? "" : pathname}/${path}`);
  return { name, cloneUrl: `${forge.url}/${path}.git` };
}

/** The names and addresses, without ports, that the appliance itself speaks to with forges' credentials. */
export function hostsOfForges(forges: readonly Pick<Forge, "url" | "apiUrl">[]): Set<string> {
  const urls = forges.flatMap(({ url, apiUrl }) => [url, apiUrl]).map((url) => URL.parse(url));
  return new Set(urls.flatMap((url) => (url === null ? [] : [url.hostname.replace(/^\[|\]$|\.$/g, "")])));
}
