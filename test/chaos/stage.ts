import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "../../src/client.ts";
import {
  type Appliance,
  type EngineUnderTest,
  freshFolder,
  run,
  startAppliance,
  until,
} from "../e2e/appliance.ts";
import { type Clock, clockIn } from "../e2e/clock.ts";
import { endNow, mountsBelow } from "../machine.ts";
import { type OwnEngine, ownDocker, ownPodman } from "./engines.ts";
import { createWitness, type Witness } from "./witness.ts";

/** An appliance on a small disk of its own, with a model that remembers what it was asked, and an engine's API service. */
export interface Stage {
  engine: EngineUnderTest;
  /** All that the suite has made lies in it. */
  folder: string;
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
  /** Kills the engine's service and starts it again after so long. */
  restartEngine(pauseMs: number): Promise<void>;
  /** Ends the server, the engine's service and these processes of containers at once; then all is started again. */
  reboot(pauseMs: number, containers: readonly number[]): Promise<void>;
  /** Undefined where the server's clock cannot be set here. */
  clock: Clock | undefined;
  /** What all servers have printed. */
  printed(): string;
  stopServer(): Promise<void>;
  close(): Promise<void>;
}

export interface StageOptions {
  /** A service of the same kind is started for the suite. */
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
    closers.push(async () => {
      for (const point of mountsBelow(dataFolder)) await run(["umount", "--lazy", point]);
    });
    const own: OwnEngine = given.name === "podman" ? await ownPodman(root) : await ownDocker(root, given);
    const { engine } = own;
    closers.push(() => own.close());
    closers.push(() => removeContainers(engine, root));
    const witness = createWitness();
    closers.push(() => witness.close());

    const logs: Appliance[] = [];
    let current: Appliance | undefined;
    let starting: Promise<void> | undefined;
    let closed = false;
    // The demo repository comes with the demo model.
    await (await startAppliance({ engine, dataFolder })).stop();
    const clock = clockIn(root);
    const env = {
      ...clock?.env,
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
    const killServer = async (meanwhile: () => Promise<unknown>) => {
      const server = current;
      if (server === undefined) return;
      current = undefined;
      await server.killHard();
      await meanwhile();
      starting = start();
      await starting;
    };
    const restartEngine = async (pauseMs: number, also: () => Promise<unknown> = async () => {}) => {
      await own.kill();
      await also();
      await Bun.sleep(pauseMs);
      await own.start();
    };
    return {
      ...{ engine, folder: root, dataFolder, tmpFolder, witness, close, clock },
      appliance: () => current,
      client: () => until("the server is up", () => current?.client, 120),
      killServer: (pauseMs) => killServer(() => Bun.sleep(pauseMs)),
      restartEngine: (pauseMs) => restartEngine(pauseMs),
      async reboot(pauseMs, containers) {
        let engineIsBack: Promise<unknown> = Promise.resolve();
        await killServer(async () => {
          for (const pid of containers) endNow(pid);
          engineIsBack = restartEngine(pauseMs, own.killRest);
          // Whichever comes first: on a machine that starts, nothing waits for anything.
          await Bun.sleep(pauseMs);
        });
        await engineIsBack;
      },
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

async function removeContainers({ docker }: EngineUnderTest, folder: string): Promise<void> {
  for (const { Id, Mounts } of await docker.listContainers({ all: true })) {
    if (!Mounts.some(({ Source }) => Source.startsWith(`${folder}/`))) continue;
    const container = docker.getContainer(Id);
    await container.kill({ signal: "KILL" }).catch(() => {});
    await container.remove({ force: true, v: true }).catch(() => {});
  }
}
