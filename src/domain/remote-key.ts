/**
 * One name for the several ways to write a repository's address (`git@host:a/b.git`, `https://host/a/b`, `ssh://…`): host
 * and path in lower case, without user and `.git`. Of HTTP the port counts, where it is another than usual; SSH has one of
 * its own. Undefined for a path of the machine. The script of a person's machine says the same (http/scripts/common.sh).
 */
export function remoteKey(address: string): string | undefined {
  const [, scheme, rest] = /^(https?|ssh|git|git\+ssh|ssh\+git):\/\/(.*)$/s.exec(address) ?? [];
  if (scheme !== undefined && rest !== undefined) {
    const slash = rest.indexOf("/");
    if (slash === -1) return undefined;
    const host = withoutUser(rest.slice(0, slash));
    const usual = scheme === "http" ? /:80$/ : scheme === "https" ? /:443$/ : /:[0-9]*$/;
    return keyOf(host.replace(usual, ""), rest.slice(slash + 1));
  }
  if (address.includes("://") || /^[/.]/.test(address) || address.includes("\\")) return undefined;
  const colon = address.indexOf(":");
  if (colon === -1 || address.slice(0, colon).includes("/")) return undefined;
  return keyOf(withoutUser(address.slice(0, colon)), address.slice(colon + 1));
}

const withoutUser = (host: string) => host.slice(host.lastIndexOf("@") + 1);

function keyOf(host: string, path: string): string {
  return `${host}/${path
    .replace(/^\//, "")
    .replace(/\/+$/, "")
    .replace(/\.git$/, "")}`.toLowerCase();
}
