import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "../client.ts";
import { CcwError } from "../domain/errors.ts";
import { defaultDataFolder } from "./data-folder.ts";

/** Where the server answers and what it is shown. */
export interface Address {
  url: string;
  token: string;
}

export interface Whereabouts {
  /** `--data`. */
  data?: string | undefined;
  /** `--url`. */
  url?: string | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The server that was named (`--url`, CCW_URL), else the one that runs on this machine with this data folder: it
 * leaves its address in `server.json` and a token in `cli-token`. The local token goes to the local server only.
 */
export async function findServer(where: Whereabouts, env: Variables): Promise<Address> {
  const named = where.url ?? filled(env["CCW_URL"]);
  const token = filled(env["CCW_TOKEN"]);
  if (named !== undefined) {
    if (token === undefined) {
      throw new CcwError(
        "unauthenticated",
        `No token is given for ${named}.`,
        "Set CCW_TOKEN to a token that `ccw-server token add NAME` made on that server.",
      );
    }
    return { url: webAddress(named), token };
  }
  const folder = where.data ?? defaultDataFolder(env);
  const url = await runningServer(folder);
  return { url, token: token ?? (await localToken(folder)) };
}

export async function connect({ url, token }: Address): Promise<Client> {
  keepFromProxy(new URL(url).hostname);
  // Loaded when it is needed: `--help`, `version` and completion answer without it.
  const [{ createClient }, { WebSocket }] = await Promise.all([import("../client.ts"), import("ws")]);
  return createClient({
    url,
    token,
    openSocket: (address, headers) => new WebSocket(address, { headers }),
  });
}

/**
 * A corporate HTTP_PROXY is for the outside: this machine's own server must not be asked through it, with a token at
 * that. Bun's fetch reads the variable at every request.
 */
function keepFromProxy(host: string): void {
  if (!/^(localhost|127\.[\d.]+|\[::1\])$/.test(host)) return;
  for (const name of ["NO_PROXY", "no_proxy"]) {
    process.env[name] = [process.env[name] ?? "", host.replace(/[[\]]/g, "")].filter(Boolean).join(",");
  }
}

async function runningServer(folder: string): Promise<string> {
  const text = await contentsOf(join(folder, "server.json"));
  const found = text === undefined ? undefined : parseServerFile(text);
  if (found === undefined || !isAlive(found.pid)) {
    throw new CcwError(
      "unavailable",
      `No ccw-server runs with the data folder ${folder}.`,
      "Start it with `ccw-server start`. For another folder use --data or CCW_DATA, for another machine CCW_URL and CCW_TOKEN.",
    );
  }
  return webAddress(found.url);
}

async function localToken(folder: string): Promise<string> {
  const token = (await contentsOf(join(folder, "cli-token")))?.trim();
  if (token === undefined || token === "") {
    throw new CcwError(
      "unauthenticated",
      `The server with the data folder ${folder} has left no token there.`,
      "Set CCW_TOKEN to a token of yours.",
    );
  }
  return token;
}

/** Undefined where there is no such file. */
async function contentsOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new CcwError(
      "forbidden",
      `${path} cannot be read (${String(code)}).`,
      "It belongs to the person who runs the server. Run the command as that person, or set CCW_URL and CCW_TOKEN.",
      { cause: thrown },
    );
  }
}

function parseServerFile(text: string): { url: string; pid: number } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("url" in value) || !("pid" in value))
      return undefined;
    return typeof value.url === "string" && typeof value.pid === "number"
      ? { url: value.url, pid: value.pid }
      : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it lives, under another user.
    return thrown instanceof Error && "code" in thrown && thrown.code === "EPERM";
  }
}

function webAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(text)} is not an address.`,
      "Give one such as http://127.0.0.1:7080 .",
    );
  }
  return text.replace(/\/+$/, "");
}

function filled(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}
