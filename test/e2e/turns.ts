import type Docker from "dockerode";
import type { TaskJson } from "../../src/client.ts";
import { type Appliance, bodiesOf, containersOf, type EngineUnderTest, reaches, until } from "./appliance.ts";

/** What scenarios do with a task turn by turn: say something more, wait for what comes of it, and look at it. */

export async function say(appliance: Appliance, id: string, text: string, now = false): Promise<void> {
  const { client } = appliance;
  await client.read(client.api.tasks[":id"].prompts.$post({ param: { id }, json: { text, now } }));
}

/** Waits until so many turns have begun. */
export function begun(appliance: Appliance, id: string, turns = 1): Promise<unknown> {
  return until(
    "the turn has begun",
    async () => (await bodiesOf(appliance, id, "turn_started")).length >= turns,
  );
}

/** Waits for the end of work that was asked for while the task rested. */
export async function doneAgain(appliance: Appliance, id: string, times: number): Promise<TaskJson> {
  await until(
    `it is done ${times} times`,
    async () =>
      (await bodiesOf(appliance, id, "state")).filter(({ state }) => state === "idle").length >= times,
  );
  return reaches(appliance, id, "completed");
}

/** What the agent said last. */
export async function lastText(appliance: Appliance, id: string): Promise<string> {
  return (await bodiesOf(appliance, id, "assistant_text")).at(-1)?.text ?? "";
}

/** The id of the task's container; empty where there is none. */
export async function containerOf(engine: EngineUnderTest, id: string): Promise<string> {
  return (await containersOf(engine, id))[0]?.Id ?? "";
}

/**
 * Its sandbox dies, as by a fault, and can be started again. Not by the engine: Podman answers a kill when it sees the
 * container ended, and one that is started again within a quarter of a second it sees running.
 */
export async function killContainer(engine: EngineUnderTest, id: string): Promise<void> {
  const { State } = await engine.docker.getContainer(await containerOf(engine, id)).inspect();
  if (!(State.Pid > 1)) throw new Error(`the container of task ${id} does not run: it is ${State.Status}`);
  process.kill(State.Pid, "SIGKILL");
}

/** Its sandbox is gone for good, asleep or awake. */
export async function removeContainer(engine: EngineUnderTest, id: string): Promise<void> {
  await removeNow(engine.docker.getContainer(await containerOf(engine, id)));
}

/** Podman cannot remove what it has not yet seen ended, and finds a mapped file system still busy for a moment. */
export async function removeNow(container: Docker.Container): Promise<void> {
  for (let tries = 1; ; tries++) {
    const left = await container.remove({ force: true }).then(
      () => undefined,
      (thrown) => thrown,
    );
    if (left === undefined || left.statusCode === 404) return;
    if (tries === 60) throw left;
    await Bun.sleep(Math.min(500, 50 * tries));
  }
}
