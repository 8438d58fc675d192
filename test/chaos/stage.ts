import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import type { Client } from "../../src/client.ts";
import {
  type Appliance,
  type EngineUnderTest,
  freshFolder,
  run,
  startAppliance,
  until,
} from "../e2e/appliance.ts";
import { createWitness, type Witness } from "./witness.ts";

/** An appliance on a small disk of its own, with a model that remembers what it was asked, and an engine's API service. */
export interface Stage {
  engine: EngineUnderTest;
  /** A disk of its own. */
  dataFolder: string;
  /** For temporary files of the server and of what it starts. */
  tmpFolder: string;
  witness: Witness;
  /** The server as it is now; undefined while there is none. */
  appliance(): Appliance | undefined;
  /** The server's client, as soon as there is one. */
  client(): Promise<Client>;
  /** Kills the server, and starts another one after so long. */
  killServer(pauseMs: number): Promise<void>;
  /** Kills the engine's API service and starts it again; undefined where it is not ours. */
  restartEngine: ((pauseMs: number) => Promise<void>) | undefined;
  /** What all servers have printed. */
  printed(): string;
  stopServer(): Promise<void>;
  close(): Promise<void>;
}

export interface StageOptions {
  /** `podman`: a service of its own is started. */
  engine: EngineUnderTest;
  parallel: number;
  diskMb: number;
}

export async function openStage({ engine: given, parallel, diskMb }: StageOptions): Promise<Stage> {
  const root = freshFolder();
  const [dataFolder, tmpFolder] = [join(root, "data"), join(root, "tmp")];
  const closers: (() => unknown)[] = [() => rmSync(root, { recursive: true, force: true })];
  const close = async () => {
    for (const step of closers.splice(0).reverse()) await step();
  };
  try {
    mkdirSync(dataFolder);
    mkdirSync(tmpFolder);
    const mounted = await run(["mount", "-t", "tmpfs", "-o", `size=${diskMb}m`, "none", dataFolder]);
    if (mounted.code !== 0) throw new Error(`a small disk cannot be made: ${mounted.err}`);
    closers.push(() => run(["umount", "-l", dataFolder]));
    const service = given.name === "podman" ? await startPodman(join(root, "podman.sock")) : undefined;
    closers.push(() => service?.close());
    const engine = service?.engine ?? given;
    closers.push(() => removeContainers(engine, root));
    const witness = createWitness();
    closers.push(() => witness.close());

    const logs: Appliance[] = [];
    let current: Appliance | undefined;
    let starting: Promise<void> | undefined;
    let closed = false;
    // The demo repository comes with the demo model.
    await (await startAppliance({ engine, dataFolder })).stop();
    const env = {
      ...{ CCW_PARALLEL: String(parallel), TMPDIR: tmpFolder },
      ...{ CCW_MODEL_BASE_URL: witness.baseUrl, CCW_MODEL_API_KEY: "any" },
    };
    const start = async () => {
      // On a full disk it does not start; whoever runs it would try again.
      for (let tries = 1; !closed; tries++) {
        try {
          current = await startAppliance({ engine, dataFolder, env });
          logs.push(current);
          return;
        } catch (thrown) {
          if (tries === 60) throw thrown;
          await Bun.sleep(500);
        }
      }
    };
    await start();
    closers.push(async () => {
      closed = true;
      await starting;
      await current?.killHard();
    });
    return {
      ...{ engine, dataFolder, tmpFolder, witness, close },
      appliance: () => current,
      client: () => until("the server is up", () => current?.client, 120),
      async killServer(pauseMs) {
        const server = current;
        if (server === undefined) return;
        current = undefined;
        await server.killHard();
        await Bun.sleep(pauseMs);
        starting = start();
        await starting;
      },
      restartEngine: service?.restart,
      printed: () => logs.map((server) => server.output()).join("\n--- another server ---\n"),
      async stopServer() {
        await current?.stop();
        current = undefined;
      },
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function startPodman(socket: string) {
  const runtime = Bun.which("runc") === null ? [] : ["--runtime", "runc"];
  const command = ["podman", ...runtime, "system", "service", "--time", "0", `unix://${socket}`];
  const start = async () => {
    const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] });
    await until("the engine answers", () =>
      fetch("http://engine/_ping", { unix: socket }).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    return child;
  };
  let child = await start();
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(socket, { force: true });
  };
  return {
    engine: { name: "podman", socket, docker: new Docker({ socketPath: socket }) },
    async restart(pauseMs: number) {
      await kill();
      await Bun.sleep(pauseMs);
      child = await start();
    },
    close: kill,
  };
}

async function removeContainers({ docker }: EngineUnderTest, folder: string): Promise<void> {
  for (const { Id, Mounts } of await docker.listContainers({ all: true })) {
    if (!Mounts.some(({ Source }) => Source.startsWith(`${folder}/`))) continue;
    const container = docker.getContainer(Id);
    await container.kill({ signal: "KILL" }).catch(() => {});
    await container.remove({ force: true, v: true }).catch(() => {});
  }
}
