import type { SandboxEngine } from "../domain/sandbox.ts";
import type { EngineConnection } from "./connect.ts";

interface ConnectedEngine {
  engine: SandboxEngine;
  connection: EngineConnection;
}

export interface ReconnectingEngine extends SandboxEngine {
  close(): Promise<void>;
}

/**
 * An engine that need not be there yet: it is looked for at first use, and again at the next use after that has
 * failed. So the server starts, and says what is missing, on a machine whose engine is down.
 */
export function createReconnectingEngine(connect: () => Promise<ConnectedEngine>): ReconnectingEngine {
  let current: Promise<ConnectedEngine> | undefined;

  const connected = () => {
    if (current === undefined) {
      const attempt = connect();
      attempt.catch(() => {
        if (current === attempt) current = undefined;
      });
      current = attempt;
    }
    return current;
  };

  return {
    start: async (spec) => (await connected()).engine.start(spec),
    restart: async (id) => (await connected()).engine.restart(id),
    stop: async (id) => (await connected()).engine.stop(id),
    wait: async (id, signal) => (await connected()).engine.wait(id, signal),
    remove: async (id) => (await connected()).engine.remove(id),
    list: async () => (await connected()).engine.list(),
    tail: async (id, bytes) => (await connected()).engine.tail(id, bytes),
    resolveImage: async (image) => (await connected()).engine.resolveImage(image),
    describe: async () => (await connected()).engine.describe(),
    async close() {
      const open = await current?.catch(() => undefined);
      await open?.connection.close();
    },
  };
}
