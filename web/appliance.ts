import { type ReadonlySignal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { type AccessRequestJson, type Client, createClient, type TaskJson } from "../src/client.ts";
import { CcwError, messageOf } from "../src/domain/errors.ts";
import { browserNotices } from "./browser-notices-choice.ts";

/** The appliance as the page sees it: one client, the live list of tasks, and whether it can be reached. */
export interface Appliance {
  client: Client;
  /** Undefined until the first list has come. */
  tasks: ReadonlySignal<TaskJson[] | undefined>;
  /** The newest that wait for a person's decision, of all tasks. */
  requests: ReadonlySignal<AccessRequestJson[]>;
  status: ReadonlySignal<Status | undefined>;
  link: ReadonlySignal<"good" | "lost" | "signed-out">;
  /** The time, renewed twice a minute, for "5 min ago". */
  now: ReadonlySignal<number>;
  refreshStatus(): Promise<void>;
  /** Shows notifications of this browser from now on, where it is allowed. */
  startNotices(): void;
}

export type Status = Awaited<ReturnType<typeof readStatus>>;

export function createAppliance(url: string, ended: AbortSignal): Appliance {
  const tasks = signal<TaskJson[] | undefined>(undefined);
  const requests = signal<AccessRequestJson[]>([]);
  const status = signal<Status | undefined>(undefined);
  const link = signal<"good" | "lost" | "signed-out">("good");
  const now = signal(Date.now());
  const sockets = new Set<WebSocket>();

  const refreshStatus = async () => {
    try {
      status.value = await readStatus(client);
      link.value = "good";
    } catch (thrown) {
      const refused = thrown instanceof CcwError && thrown.code === "unauthenticated";
      link.value = refused ? "signed-out" : "lost";
      // A connection over a network that went away (a laptop slept) may not notice by itself; it is opened anew.
      for (const socket of sockets) socket.close();
    }
  };
  const client = createClient({
    url,
    openSocket(address) {
      const socket = new WebSocket(address);
      sockets.add(socket);
      socket.addEventListener("close", () => sockets.delete(socket));
      // The list's connection lives as long as the page, so it tells how the page stands with the appliance.
      if (address.endsWith("/api/live")) {
        socket.addEventListener("open", () => void refreshStatus());
        socket.addEventListener("close", () => {
          if (link.value === "good") link.value = "lost";
          // Whether the appliance is away or has signed us out, its answer tells.
          if (!ended.aborted) void refreshStatus();
        });
      }
      return socket;
    },
  });

  void refreshStatus();
  void (async () => {
    for await (const frame of client.watchAppliance(ended)) {
      tasks.value = frame.tasks;
      requests.value = frame.requests;
    }
  })();
  const clock = setInterval(() => {
    now.value = Date.now();
    void refreshStatus();
  }, 30_000);
  window.addEventListener("online", () => void refreshStatus(), { signal: ended });
  ended.addEventListener("abort", () => clearInterval(clock));

  let told = false;
  const startNotices = () => {
    if (told) return;
    told = true;
    import("./browser-notices.ts").then(
      ({ startBrowserNotices }) => startBrowserNotices({ tasks, requests, status }, ended),
      // The appliance is away, or was updated: the next page that is opened tries again.
      () => (told = false),
    );
  };
  if (browserNotices.chosen()) startNotices();

  return { client, tasks, requests, status, link, now, refreshStatus, startNotices };
}

const ApplianceContext = createContext<Appliance | undefined>(undefined);
export const ApplianceProvider = ApplianceContext.Provider;

export function useAppliance(): Appliance {
  const appliance = useContext(ApplianceContext);
  if (appliance === undefined) throw new Error("No appliance is provided.");
  return appliance;
}

/** What went wrong, in the server's words where it gave any. */
export function failureOf(thrown: unknown): { message: string; hint: string } {
  if (thrown instanceof CcwError) return { message: thrown.message, hint: thrown.hint };
  return { message: messageOf(thrown), hint: "" };
}

function readStatus(client: Client) {
  return client.read(client.api.status.$get());
}
