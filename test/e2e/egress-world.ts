import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type Authority, openAuthority } from "../../src/gateway/egress/authority.ts";
import {
  type Appliance,
  containersOf,
  type EngineUnderTest,
  eventsOf,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  until,
} from "./appliance.ts";

/**
 * A small internet for one appliance: names that lead to origins on loopback, certificates of an authority that the
 * appliance is told of by `ca_file`, and sandboxes to run commands in. Names are the appliance's alone: it runs in a
 * mount namespace with an /etc/hosts of its own.
 */
export interface World {
  appliance: Appliance;
  engine: EngineUnderTest;
  folder: string;
  /** What reached an origin, in order. */
  seen: Seen[];
  /** Runs a command of the product; with `--json` at its end, `json` parses what it printed. */
  ccw(...argv: string[]): Promise<{ code: number; out: string; err: string }>;
  json<Value>(...argv: string[]): Promise<Value>;
  /** A task that waits in an environment of its own, to run commands in its sandbox. */
  sandbox(environment: EnvironmentJson): Promise<Sandbox>;
  /** Kills the server at once and starts another on the same data; `toml` in place of the lines that were given. */
  killAndRestart(toml?: string): Promise<void>;
  /** Cancels the tasks there are, so that their sandboxes make room. */
  endTasks(): Promise<void>;
  close(): Promise<void>;
}

export interface Seen {
  host: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  /** The first 64 KiB. */
  body: string;
}

export interface Sandbox {
  taskId: string;
  environment: string;
  /** A shell command with the variables that the agent's own commands have. */
  sh(command: string): Promise<{ code: number; out: string }>;
  /** The same, without waiting for it. */
  start(command: string): Promise<void>;
  /** All that the transcript holds, as text. */
  transcript(): Promise<string>;
}

export type EnvironmentJson = Omit<
  Parameters<Appliance["client"]["api"]["environments"]["$post"]>[0]["json"],
  "name"
>;

/** Loopback too, but no address of the machine itself: the operator's range opens it. */
export const originAddress = "127.77.0.2";
const originRange = "127.77.0.0/24";

/** `inside.test` and `meta.test` lead to addresses that no sandbox may reach. */
const names: Record<string, string> = {
  "open.test": originAddress,
  "api.test": originAddress,
  "other.test": originAddress,
  "third.test": originAddress,
  "a.wild.test": originAddress,
  "pypi.org": originAddress,
  "files.pythonhosted.org": originAddress,
  "registry.npmjs.org": originAddress,
  "inside.test": "10.9.9.9",
  "meta.test": "169.254.169.254",
  "self.test": "127.0.0.1",
};

export async function openWorld(options: {
  engine: EngineUnderTest;
  /** More ranges that the operator allows. */
  ranges?: string[];
  /** More lines under [egress]. */
  toml?: string;
  env?: Record<string, string>;
  /** The folder of data, where it is to lie on a disk of its own. */
  dataFolder?: string;
}): Promise<World> {
  const { engine, ranges = [], toml = "", env = {} } = options;
  const folder = freshFolder();
  const dataFolder = options.dataFolder ?? join(folder, "data");
  const authority = await openAuthority({ folder: join(folder, "authority"), now: Date.now });
  const seen: Seen[] = [];
  const origins = await openOrigins(authority, seen);
  writeFileSync(join(folder, "ca.pem"), authority.certificatePem);
  const hosts = Object.entries(names).map(([name, address]) => `${address} ${name}\n`);
  writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n${hosts.join("")}`);
  const start = (more: string) => {
    writeFileSync(
      join(folder, "ccw.toml"),
      `[egress]\nallowed_ranges = ${JSON.stringify([originRange, ...ranges])}\nca_file = "${join(folder, "ca.pem")}"\n${more}`,
    );
    return startAppliance({
      engine,
      dataFolder,
      env: { CCW_PARALLEL: "4", ...env },
      argv: ["--config", join(folder, "ccw.toml")],
      under: [
        ...["unshare", "--mount", "sh", "-c"],
        `mount --bind ${join(folder, "hosts")} /etc/hosts && exec "$@"`,
        "sh",
      ],
    });
  };
  const stopOrigins = async () => {
    for (const origin of origins) await origin.stop(true);
  };
  let count = 0;
  const world: World = {
    appliance: await start(toml).catch(async (thrown: unknown) => {
      await stopOrigins();
      throw thrown;
    }),
    engine,
    folder,
    seen,
    ccw: (...argv) => run([executable, ...argv, "--data", dataFolder]),
    async json(...argv) {
      const { code, out, err } = await world.ccw(...argv, "--json");
      if (out === "") throw new Error(`${argv.join(" ")} ended with ${code}: ${err}`);
      return JSON.parse(out);
    },
    async sandbox(environment) {
      const name = `net-${count++}`;
      const { client } = world.appliance;
      await client.read(
        client.api.environments.$post({
          json: { setupScript: "export -p > /tmp/environment", ...environment, name },
        }),
      );
      return sandboxOf(world, name);
    },
    async killAndRestart(more = toml) {
      await world.appliance.killHard();
      world.appliance = await start(more);
    },
    async endTasks() {
      const { client } = world.appliance;
      for (const { id, state } of await client.read(client.api.tasks.$get({ query: {} })))
        if (state === "waiting") await client.read(client.api.tasks[":id"].cancel.$post({ param: { id } }));
    },
    async close() {
      await world.appliance.stop();
      await stopOrigins();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return world;
}

/** A task in an environment that is there already. */
export async function sandboxOf(world: World, environment: string): Promise<Sandbox> {
  // It asks a question and waits for the answer, for as long as it takes.
  const { id } = await submit(world.appliance, { prompt: "demo: ask", environment, repositories: [] });
  await reaches(world.appliance, id, "waiting");
  const [container] = await containersOf(world.engine, id);
  const exec = async (command: string) =>
    await world.engine.docker.getContainer(container?.Id ?? "").exec({
      Cmd: ["bash", "-c", `set -a; . /tmp/environment; set +a; cd /tmp; ${command}`],
      AttachStdout: true,
      AttachStderr: true,
    });
  return {
    taskId: id,
    environment,
    async sh(command) {
      const running = await exec(`{ ${command}\n} 2>&1`);
      const stream = await running.start({});
      const both = new PassThrough();
      world.engine.docker.modem.demuxStream(stream, both, both);
      let out = "";
      both.on("data", (chunk: Buffer) => {
        out += chunk.toString();
      });
      await new Promise<void>((resolve, reject) => {
        stream.on("end", resolve);
        stream.on("close", resolve);
        stream.on("error", reject);
      });
      const { ExitCode } = await until("the command has ended", async () => {
        const state = await running.inspect();
        return state.Running ? false : state;
      });
      return { code: ExitCode ?? -1, out };
    },
    async start(command) {
      await (await exec(`nohup sh -c '${command}' > /dev/null 2>&1 &`)).start({});
    },
    transcript: async () => JSON.stringify(await eventsOf(world.appliance, id)),
  };
}

/** Newest first. */
export const ledgerOf = (world: World, box: Sandbox, ...argv: string[]) =>
  world.json<LedgerRow[]>("egress", "list", "--task", box.taskId, "--limit", "1000", ...argv);

export interface LedgerRow {
  id: number;
  host: string;
  port: number;
  method: string;
  path: string;
  address: string;
  verdict: string;
  reason: string;
  bytesUp: number;
  bytesDown: number;
  open: boolean;
}

/** curl's arguments that print status and headers of interest, for a request that may be refused. */
export const curl = "curl -sS -m 20";

async function openOrigins(authority: Authority, seen: Seen[]) {
  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const entry: Seen = {
      host: request.headers.get("host") ?? "",
      method: request.method,
      path: `${url.pathname}${url.search}`,
      headers: Object.fromEntries(request.headers),
      body: "",
    };
    seen.push(entry);
    if (url.pathname === "/drip") return new Response(drip(), { headers: { "x-origin": "drip" } });
    for await (const chunk of request.body ?? [])
      if (entry.body.length < 64 * 1024) entry.body += Buffer.from(chunk).toString("latin1");
    if (url.pathname === "/echo") return Response.json({ headers: entry.headers, body: entry.body });
    return new Response(`hello from ${entry.host}\n`);
  };
  const base = { hostname: originAddress, fetch: answer, idleTimeout: 0, maxRequestBodySize: 2 ** 40 };
  const hosts = Object.keys(names).filter((name) => names[name] === originAddress);
  const tls = await Promise.all(
    hosts.map(async (serverName) => ({ ...(await authority.leafFor(serverName)), serverName })),
  );
  return [Bun.serve({ ...base, port: 80 }), Bun.serve({ ...base, port: 443, tls })];
}

/** A line every tenth of a second, for as long as somebody reads. */
function drip(): ReadableStream {
  let timer: Timer | undefined;
  return new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue("drop\n"), 100);
    },
    cancel() {
      clearInterval(timer);
    },
  });
}
