import { existsSync } from "node:fs";
import { join } from "node:path";
import { addressesOf } from "./git-config.ts";
import { throughOutages } from "./outage.ts";
import { tailOf } from "./text.ts";
import type { Checkout, SessionRepository, WorkspaceOptions } from "./workspace.ts";

/** Deeper than any repository nests its submodules. */
const maxDepth = 5;

/**
 * Fetches those submodules that are repositories of the task too, and theirs, borrowing their objects; says which are
 * not. Never rejects for what a repository holds: an agent can do with an empty folder, and with a word on it.
 */
export async function initSubmodules(
  checkout: Checkout,
  repositories: readonly SessionRepository[],
  options: WorkspaceOptions,
): Promise<void> {
  const others: string[] = [];
  const failed: string[] = [];
  await initBelow({ ...checkout, depth: 0 });
  const notice = async (level: "info" | "warning", text: string) =>
    options.emit({ kind: "notice", level, text: tailOf(text, 4000) });
  if (others.length > 0) {
    await notice(
      "info",
      `Submodules of ${checkout.name} that are not among the task's repositories, and stay empty: ${others.slice(0, 20).join(", ")}${others.length > 20 ? " and more" : ""}. Add them to the task to have them fetched.`,
    );
  }
  if (failed.length > 0)
    await notice("warning", `Submodules of ${checkout.name} failed: ${failed.join("; ")}`);

  async function initBelow({
    folder,
    url,
    depth,
  }: {
    folder: string;
    url: string;
    depth: number;
  }): Promise<void> {
    for (const submodule of await submodulesIn(folder, options)) {
      const address = resolveUrl(url, submodule.url);
      const permitted = repositories.find((each) => keysOf(each).has(keyOf(address)));
      if (permitted === undefined) {
        others.push(`${submodule.path} (${address})`);
        continue;
      }
      const borrow = permitted.objects === undefined ? [] : ["--reference", permitted.objects];
      const update = (extra: string[]) =>
        throughOutages(
          () =>
            options.commands.run(["git", "submodule", "update", "--init", ...extra, "--", submodule.path], {
              cwd: folder,
              env: options.env,
            }),
          { signal: options.signal },
        );
      let updated = await update(borrow);
      if (updated.code !== 0 && borrow.length > 0) updated = await update([]);
      if (updated.code !== 0) failed.push(`${submodule.path}: ${tailOf(updated.output, 300)}`);
      else if (depth < maxDepth)
        await initBelow({ folder: join(folder, submodule.path), url: address, depth: depth + 1 });
    }
  }
}

async function submodulesIn(
  folder: string,
  { commands, env }: WorkspaceOptions,
): Promise<{ path: string; url: string }[]> {
  if (!existsSync(join(folder, ".gitmodules"))) return [];
  const argv = ["git", "config", "--file", ".gitmodules", "--get-regexp", "^submodule\\..*\\.(path|url)$"];
  const { output } = await commands.run(argv, { cwd: folder, env });
  const found = new Map<string, { path?: string; url?: string }>();
  for (const line of output.split("\n")) {
    const [, name = "", key, value = ""] = /^submodule\.(.+)\.(path|url) (.+)$/.exec(line) ?? [];
    if (key !== undefined) found.set(name, { ...found.get(name), [key]: value });
  }
  return [...found.values()].flatMap(({ path, url }) =>
    path === undefined || url === undefined ? [] : [{ path, url }],
  );
}

/** gitmodules(5): a URL that begins with `./` or `../` is relative to that of the repository around it. */
function resolveUrl(base: string, url: string): string {
  if (!/^\.\.?\//.test(url)) return url;
  let [from, rest] = [base.replace(/\/+$/, ""), url];
  for (;;) {
    if (rest.startsWith("./")) rest = rest.slice(2);
    else if (rest.startsWith("../")) [from, rest] = [from.replace(/[/:][^/:]*$/, ""), rest.slice(3)];
    else return `${from}/${rest}`;
  }
}

/** `host/path` of whatever form of address. */
function keyOf(address: string): string {
  const scp = /^(?:[\w.-]+@)?([\w.-]+):(?!\/\/)(.+)$/.exec(address);
  if (scp === null && !URL.canParse(address)) return address;
  const { protocol, host, hostname, pathname } =
    scp === null
      ? new URL(address)
      : { protocol: "ssh:", host: "", hostname: scp[1] ?? "", pathname: scp[2] ?? "" };
  // The port of a forge's ssh is not that of its pages.
  const at = /^https?:$/.test(protocol) ? host : hostname;
  return `${at.toLowerCase()}/${pathname.replace(/^\/+|(\.git)?\/*$/g, "")}`;
}

function keysOf(repository: SessionRepository): Set<string> {
  return new Set(
    addressesOf(repository).flatMap(({ host, path }) => [
      `${host}/${path}`,
      `${host.replace(/:\d+$/, "")}/${path}`,
    ]),
  );
}
