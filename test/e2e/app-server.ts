import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { websocket } from "hono/bun";
import { blessedPlugin } from "../../build/blessed-plugin.ts";
import { environmentSchema } from "../../src/domain/environment.ts";
import type { IdSource } from "../../src/domain/ids.ts";
import type { RepositoryHost } from "../../src/domain/ports.ts";
import type { Store } from "../../src/domain/store.ts";
import { createApp } from "../../src/http/app.ts";
import { createSeal } from "../../src/store/seal.ts";
import { openStore } from "../../src/store/store.ts";

/** The appliance's HTTP side on a real store, without an engine: what the command line and the terminal view talk to. */
export interface AppServer {
  store: Store;
  ids: IdSource;
  url: string;
  /** As the server of this machine leaves it: with `server.json` and `cli-token`. */
  dataFolder: string;
  /** A token of `ada`. */
  token: string;
  /** Ends the listening, and lets it begin again at the same port. */
  stop(): Promise<void>;
  start(): void;
  close(): Promise<void>;
}

const silent = { info() {}, warn() {}, error() {} };

export function startAppServer(): AppServer {
  const ids: IdSource = { now: Date.now, randomBytes: (count) => randomBytes(count) };
  const store = openStore(":memory:", createSeal(randomBytes(32)), ids);
  store.environments.save(environmentSchema.parse({ name: "default" }));
  store.repositories.add({ name: "demo", kind: "hosted", defaultBranch: "main", createdAt: ids.now() });
  const token = store.tokens.create({ kind: "api", name: "test", person: store.people.ensure("ada").id });
  let port = 0;
  const app = createApp({
    store,
    host: hostOf({ demo: ["main", "develop"] }),
    ids,
    log: silent,
    version: "9.9.9",
    parallel: 4,
    publicUrl: () => `http://127.0.0.1:${port}`,
    hostNames: [],
    model: { current: () => demoModel, source: () => "default", set() {} },
    engine: async () => ({ ok: true, text: "podman 4.3.1" }),
    assets: new Map(),
    git: async () => new Response("", { status: 404 }),
  });
  const listen = () =>
    Bun.serve({
      hostname: "127.0.0.1",
      port,
      fetch: (request, server) => app.fetch(request, { server }),
      websocket,
    });
  let server = listen();
  port = server.port ?? 0;

  const dataFolder = mkdtempSync(join(tmpdir(), "ccw-cli-data-"));
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(join(dataFolder, "server.json"), JSON.stringify({ url, pid: process.pid }));
  writeFileSync(join(dataFolder, "cli-token"), `${token}\n`, { mode: 0o600 });
  chmodSync(join(dataFolder, "cli-token"), 0o600);

  return {
    store,
    ids,
    url,
    dataFolder,
    token,
    stop: () => server.stop(true),
    start() {
      server = listen();
    },
    async close() {
      await server.stop(true);
      store.close();
      rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}

const demoModel = {
  kind: "demo",
  baseUrl: "http://127.0.0.1:1",
  credential: { header: "x-api-key", value: "demo" },
} as const;

function hostOf(branches: Record<string, string[]>): RepositoryHost {
  return {
    folder: (name) => `/nowhere/${name}`,
    async create(name, defaultBranch) {
      branches[name] = [defaultBranch];
    },
    async branches(name) {
      const pushed = branches[name] ?? [];
      return [...pushed, ...(name === "demo" ? ["claude/pushed"] : [])];
    },
    diff: async () => ({ diff: "", truncated: false }),
  };
}

/**
 * The command line and the terminal view as one executable, built as the product is, into `folder`: run from there it
 * has neither source nor node_modules in reach.
 */
export async function compileCli(folder: string): Promise<string> {
  const source = join(import.meta.dir, "..", "..", "src");
  const entry = join(folder, "entry.ts");
  writeFileSync(
    entry,
    `import { runCli } from ${JSON.stringify(join(source, "cli", "program.ts"))};
const none = async () => { throw new Error("not in this test"); };
const wiring = {
  version: "9.9.9",
  start: async (options) => (console.log(JSON.stringify(options)), 0),
  guest: none,
  doctor: async ({ data }) => [
    { name: "engine", status: "ok", text: "podman 4.3.1", hint: "" },
    { name: "disk", status: "failed", text: "full in " + data, hint: "Make room." },
  ],
  images: {
    build: async (name, { onProgress }) => (onProgress("step 1"), { reference: "localhost/" + name, built: true }),
    list: async () => [{ name: "slim", reference: "localhost/slim:1", present: true, bytes: 1048576 }],
    import: async (file) => [file],
  },
  tui: async (options) => (await import(${JSON.stringify(join(source, "..", "tui", "run-tui.ts"))})).runTui(options),
};
process.exit(await runCli(process.argv.slice(2), wiring));
`,
  );
  const outfile = join(folder, "ccw-server");
  const built = await Bun.build({
    entrypoints: [entry],
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
    plugins: [blessedPlugin],
    minify: true,
    bytecode: true,
    format: "esm",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  if (!built.success) throw new Error(built.logs.join("\n"));
  rmSync(entry);
  return outfile;
}
