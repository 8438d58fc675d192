import type { Client } from "../src/client.ts";
import { keptInPlace } from "../src/domain/access-order.ts";
import { CcwError } from "../src/domain/errors.ts";
import { currentRequest, type Model, type RequestsPage, takeTasks } from "./model.ts";

/** How often the server is asked how it does; it also finds out that the server is gone. */
const statusMs = 2000;
/** The day's cost is a sum over all tasks. */
const costMs = 10_000;

export interface WatchOptions {
  client: Client;
  model: Model;
  signal: AbortSignal;
  /** Reads anew what the page shows and no push tells of. */
  refresh(): Promise<void>;
  follow(work: Promise<void>): void;
  changed(): void;
}

/** Keeps the model as the server has it. */
export function watchAppliance(options: WatchOptions): { readRequests(page: RequestsPage): Promise<void> } {
  const { client, model, signal, refresh, follow, changed } = options;
  let costAt = Number.NEGATIVE_INFINITY;

  async function watchList(): Promise<void> {
    for await (const { tasks, requests } of client.watchAppliance(signal)) {
      takeTasks(model, tasks);
      model.requests = requests;
      if (model.page.kind === "requests") follow(readRequests(model.page));
      changed();
    }
  }

  async function pollStatus(): Promise<void> {
    try {
      const todayUsd = model.status?.todayUsd;
      model.status = { ...(await client.read(client.api.status.$get())), todayUsd };
      model.connection = "up";
      if (performance.now() - costAt > costMs) {
        costAt = performance.now();
        model.status.todayUsd = await costOfToday();
      }
      // Refusals that repeat are only counted; nothing else tells of them.
      if (model.page.kind === "requests") await readRequests(model.page);
      await refresh();
    } catch (thrown) {
      // What a page shows may be gone; that the server is, stands in the header.
      if (!(thrown instanceof CcwError && thrown.code === "unavailable")) throw thrown;
      model.connection = "lost";
    }
    changed();
  }

  async function costOfToday(): Promise<number> {
    // Whatever its time zone: the day there began within the last two days of UTC.
    const from = new Date(Date.now() - 24 * 3_600_000).toISOString().slice(0, 10);
    const { timeZone, rows } = await client.read(client.api.usage.$get({ query: { by: "day", from } }));
    const today = new Intl.DateTimeFormat("en-CA", { timeZone }).format(Date.now());
    return rows.find(({ key }) => key === today)?.costUsd ?? 0;
  }

  async function readRequests(page: RequestsPage): Promise<void> {
    const list = (query: { state?: "pending"; limit: string }) =>
      client.read(client.api["access-requests"].$get({ query }));
    // What waits is shown whole, however much was decided since.
    const [waiting, newest] = await Promise.all([
      list({ state: "pending", limit: "1000" }),
      list({ limit: "100" }),
    ]);
    const rows = [...waiting, ...newest.filter(({ state }) => state !== "pending")];
    page.requests = keptInPlace(page.requests ?? [], rows);
    // By its id from here on: what comes first may be another by the time that a key is pressed.
    page.selectedId = currentRequest(page)?.id;
    changed();
  }

  follow(watchList());
  const polling = setInterval(() => follow(pollStatus()), statusMs);
  signal.addEventListener("abort", () => clearInterval(polling));
  follow(pollStatus());
  return { readRequests };
}
