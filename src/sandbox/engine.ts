import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { CcwError } from "../domain/errors.ts";
import type { SandboxId } from "../domain/ids.ts";
import { orAborted } from "../domain/or-aborted.ts";
import type { Log } from "../domain/ports.ts";
import type { SandboxEngine, SandboxExit, SandboxStatus } from "../domain/sandbox.ts";
import { containerNameOf, containerSpec, idsFromLabels, sandboxLabels } from "./container-spec.ts";
import { engineError, engineWords, statusOf } from "./engine-errors.ts";
import { exitOf, kernelKilledForMemory } from "./exit-reason.ts";
import { forgetHalfStart, hasLibpod, podmanWait } from "./libpod.ts";
import { plainLog } from "./log-stream.ts";
import { imageReferenceOf, isBuiltInReference, recipeIn } from "./recipe.ts";
import type { EngineTraits } from "./traits.ts";

/** How long `wait` goes on asking an engine that does not answer: a restart, an upgrade. */
const engineAwayMs = 5 * 60_000;
/** From SIGTERM to SIGKILL: the guest ends its agent and sends what it still holds. */
const stopSeconds = 10;
/** How long one request for a sandbox's end stays open. */
const waitRoundMs = 10_000;

export interface EngineOptions {
  docker: Docker;
  traits: EngineTraits;
  /** Marks this appliance's containers among others on one engine. */
  applianceId: string;
  /** The executable that runs in every sandbox, as a path on the engine's machine. */
  guestExecutable: string;
  log: Log;
}

/** The port of `domain/sandbox.ts` on the Docker API, as Podman and Docker speak it. */
export function createEngine({
  docker,
  traits,
  applianceId,
  guestExecutable,
  log,
}: EngineOptions): SandboxEngine {
  const name = `${traits.kind} ${traits.version}`;
  const containerOf = (id: SandboxId): Docker.Container => docker.getContainer(containerNameOf(id));

  /** The exit code, as soon as it does not run. */
  async function ended(id: SandboxId, abortSignal: AbortSignal): Promise<number> {
    if (hasLibpod(traits)) return podmanWait(docker, containerNameOf(id), abortSignal);
    const { StatusCode }: { StatusCode: number } = await containerOf(id).wait({ abortSignal });
    return StatusCode;
  }

  async function exitNow(id: SandboxId, status: number): Promise<SandboxExit> {
    const facts = await containerOf(id)
      .inspect()
      .catch((thrown: unknown) => {
        if (statusOf(thrown) === 404) return undefined;
        throw thrown;
      });
    if (facts === undefined) return exitOf({ exitCode: status, ...nothingKnown });
    const { State: state, HostConfig: host } = facts;
    const exitCode = state.ExitCode;
    return exitOf({
      exitCode,
      outOfMemory: state.OOMKilled || (exitCode === 137 && kernelKilledForMemory(facts.Id)),
      memoryLimit: host.Memory ?? 0,
      engineError: state.Error,
    });
  }

  async function remove(id: SandboxId): Promise<void> {
    const container = containerOf(id);
    // Podman's forced removal gives the process its stop time-out first; a kill before it makes that nothing.
    const isKilled = await container.kill({ signal: "SIGKILL" }).then(
      () => true,
      () => false,
    );
    if (!isKilled && traits.kind === "podman") await forgetHalfStart(docker, containerNameOf(id));
    for (let attempt = 1; ; attempt++) {
      try {
        await container.remove({ force: true, v: true });
        return;
      } catch (thrown) {
        const status = statusOf(thrown);
        if (status === 404) return;
        // 409: a removal is under way. 500: Podman finds a mapped file system still busy for a moment.
        const passing = status === 409 || (status === 500 && /busy/i.test(engineWords(thrown)));
        if (!passing || attempt === 10) throw engineError(thrown, name, "remove the sandbox");
        await sleep(50 * attempt);
      }
    }
  }

  return {
    async start(spec) {
      const body = containerSpec(spec, traits, applianceId, guestExecutable);
      const began = performance.now();
      let isNew = true;
      try {
        await docker.createContainer(body);
      } catch (thrown) {
        if (statusOf(thrown) === 404) throw imageMissing(spec.image, traits);
        // The name is taken: an earlier call, perhaps of a server that died, made this very sandbox.
        if (!nameIsTaken(thrown)) throw engineError(thrown, name, "create the sandbox");
        isNew = false;
      }
      const container = containerOf(spec.id);
      const created = performance.now();
      try {
        // A sandbox that has run is never run again: its end is for `wait` to tell.
        if (!isNew && (await container.inspect()).State.Status !== "created") return;
        await container.start();
        log.info("a sandbox was started", {
          sandboxId: spec.id,
          createMs: Math.round(created - began),
          startMs: Math.round(performance.now() - created),
        });
      } catch (thrown) {
        if (statusOf(thrown) === 304) return;
        await remove(spec.id).catch((also: unknown) =>
          log.warn("a sandbox that did not start could not be removed", {
            sandboxId: spec.id,
            error: engineWords(also),
          }),
        );
        throw engineError(thrown, name, "start the sandbox");
      }
    },

    async restart(id) {
      const began = performance.now();
      try {
        await containerOf(id)
          .start()
          .catch(async (thrown: unknown) => {
            // What Podman was stopping, or had just started, when its service died is not to it what it is: it cannot be
            // started before it is stopped once more.
            if (!/container state improper| start [0-9a-f]{64}` failed/i.test(engineWords(thrown)))
              throw thrown;
            await containerOf(id).stop({ t: stopSeconds });
            await containerOf(id).start();
          });
        log.info("a sandbox was started again", {
          sandboxId: id,
          startMs: Math.round(performance.now() - began),
        });
      } catch (thrown) {
        // It runs already.
        if (statusOf(thrown) === 304) return;
        if (statusOf(thrown) === 404) throw new CcwError("not_found", "The sandbox's container is gone.");
        throw engineError(thrown, name, "start the sandbox again");
      }
    },

    async stop(id) {
      try {
        await containerOf(id).stop({ t: stopSeconds });
      } catch (thrown) {
        // Stopped already, or gone.
        if (statusOf(thrown) === 304 || statusOf(thrown) === 404) return;
        throw engineError(thrown, name, "stop the sandbox");
      }
    },

    async wait(id, signal) {
      let awaySince: number | undefined;
      for (;;) {
        signal.throwIfAborted();
        // A connection may die without a word to its request, so no request is trusted for long; asking again is cheap.
        const round = AbortSignal.any([signal, AbortSignal.timeout(waitRoundMs)]);
        try {
          return await exitNow(id, await orAborted(ended(id, round), round));
        } catch (thrown) {
          signal.throwIfAborted();
          if (isGone(thrown)) return { exitCode: -1, reason: "is gone: its container was removed" };
          if (round.aborted) {
            awaySince = undefined;
            continue;
          }
          awaySince ??= performance.now();
          if (performance.now() - awaySince > engineAwayMs)
            throw engineError(thrown, name, "watch the sandbox");
          log.warn("the engine does not answer while a sandbox is watched; asking again", {
            sandboxId: id,
            error: engineWords(thrown),
          });
          await sleep(1000, undefined, { signal }).catch(() => undefined);
        }
      }
    },

    remove,

    async list() {
      const filters = { label: [`${sandboxLabels.appliance}=${applianceId}`] };
      const containers = await docker.listContainers({ all: true, filters }).catch((thrown: unknown) => {
        throw engineError(thrown, name, "list the sandboxes");
      });
      return containers.flatMap((container): SandboxStatus[] => {
        const ids = idsFromLabels(container.Labels);
        return ids === undefined ? [] : [{ ...ids, condition: conditionOf(container.State) }];
      });
    },

    async tail(id, bytes) {
      try {
        // Whole in memory, as the log driver's limit bounds it (container-spec.ts).
        const raw = await containerOf(id).logs({ stdout: true, stderr: true, follow: false, tail: 1000 });
        const text = plainLog(raw);
        return text.subarray(Math.max(0, text.length - bytes)).toString("utf8");
      } catch (thrown) {
        if (statusOf(thrown) === 404) return "";
        throw engineError(thrown, name, "read the sandbox's output");
      }
    },

    resolveImage: async (image) => imageReferenceOf(image),
    describe: async () => name,
  };
}

const nothingKnown = { outOfMemory: false, memoryLimit: 0, engineError: "" };

/** Podman says 500 with these words where a container is removed while it is waited for. */
function isGone(thrown: unknown): boolean {
  return statusOf(thrown) === 404 || /has already been removed/.test(engineWords(thrown));
}

/** Docker says 409; Podman's Docker API says 500 with these words, or 409 in later versions. */
function nameIsTaken(thrown: unknown): boolean {
  return statusOf(thrown) === 409 || /name .*(already in use|in use by)/i.test(engineWords(thrown));
}

function imageMissing(image: string, traits: EngineTraits): CcwError {
  return new CcwError(
    "not_found",
    `The image ${image} is not on this machine.`,
    isBuiltInReference(image)
      ? `Build it with \`ccw-server image build ${recipeIn(image)}\`, or load it with \`ccw-server image import FILE\`.`
      : `Fetch it with \`${traits.kind} pull ${image}\`, or load it with \`ccw-server image import FILE\`.`,
  );
}

function conditionOf(state: string): SandboxStatus["condition"] {
  return state === "running" || state === "stopping" ? state : "stopped";
}
