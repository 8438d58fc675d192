import type Docker from "dockerode";
import type { EngineTraits } from "./traits.ts";

/** What Podman does well by its own API alone. */
const api = "/v4.0.0/libpod/containers";

export const hasLibpod = ({ kind, version }: EngineTraits): boolean =>
  kind === "podman" && Number.parseInt(version, 10) >= 4;

/**
 * The container's exit code as soon as it does not run; rejects with what `statusOf` reads, 404 where there is none. Podman's
 * Docker API has the same, and looks without a pause there: ten that are waited for take a whole core (Podman 4.3).
 */
export async function podmanWait(
  docker: Docker,
  container: string,
  abortSignal: AbortSignal,
): Promise<number> {
  const conditions = ["created", "initialized", "stopped", "exited"].map((name) => `condition=${name}`);
  const path = `${api}/${container}/wait?${conditions.join("&")}&interval=250ms`;
  return Number(await dial(docker, path, [200], abortSignal));
}

/**
 * A Podman that died in the middle of a start does not know of the process which it was making, and no removal ends that. Told
 * to make the container ready, it finds that one in its way, and takes it away; of any other it makes one that goes with it.
 */
export async function forgetHalfStart(docker: Docker, container: string): Promise<void> {
  // What was in its way, what is missing, what is gone: the removal that follows tells what counts.
  await dial(docker, `${api}/${container}/init`, [204, 304]).catch(() => undefined);
}

async function dial(
  docker: Docker,
  path: string,
  statuses: number[],
  abortSignal?: AbortSignal,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  docker.modem.dial(
    {
      // It takes the last character off a path that has a query and no options.
      path: path.includes("?") ? `${path}&` : path,
      method: "POST",
      statusCodes: Object.fromEntries(statuses.map((status) => [status, true])),
      ...(abortSignal === undefined ? {} : { abortSignal }),
    },
    (thrown, answer) => (thrown ? reject(thrown) : resolve(answer)),
  );
  return promise;
}
