import { randomBytes } from "node:crypto";
import { createDemoModel } from "./demo-model.ts";

export interface RunningDemoModel {
  /** As `ModelEndpoint.baseUrl` has it. */
  baseUrl: string;
  /** Made anew at every start: nobody else on the machine may use the port. */
  key: string;
  close(): Promise<void>;
}

/** Serves the demo model on a loopback port; 0 takes a free one. */
export function startDemoModel(options: { port?: number; now?: () => number } = {}): RunningDemoModel {
  const key = `demo-${randomBytes(24).toString("base64url")}`;
  const model = createDemoModel({ key, now: options.now ?? Date.now });
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    // A slow scenario may be silent for longer than the 10 s that are the default.
    idleTimeout: 0,
    development: false,
    fetch: model.fetch,
  });
  return {
    baseUrl: `http://127.0.0.1:${server.port}`,
    key,
    close: () => server.stop(true),
  };
}
