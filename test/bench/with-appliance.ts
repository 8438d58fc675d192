import { isEnded } from "../../src/domain/task.ts";
import { type Appliance, type EngineUnderTest, removeLeftOvers, startAppliance } from "../e2e/appliance.ts";

/**
 * Starts an appliance, and ends it whatever happens, with its tasks: sandboxes outlive their server by design, and a
 * benchmark that broke off would leave them to the machine.
 */
export async function withAppliance<Result>(
  engine: EngineUnderTest,
  options: { dataFolder: string; env?: Record<string, string> },
  work: (appliance: Appliance) => Promise<Result>,
): Promise<Result> {
  const appliance = await startAppliance({ engine, ...options });
  try {
    return await work(appliance);
  } finally {
    await endTasks(appliance)
      .finally(() => appliance.stop())
      .finally(removeLeftOvers);
  }
}

async function endTasks({ client }: Appliance): Promise<void> {
  const { tasks } = client.api;
  for (const { id, state } of await client.read(tasks.$get({ query: {} })))
    if (!isEnded(state)) await client.read(tasks[":id"].cancel.$post({ param: { id } }));
}
