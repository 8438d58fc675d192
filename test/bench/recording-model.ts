import { createDemoModel } from "../../src/demo/demo-model.ts";
import { preciseNow } from "./figures.ts";

/** A Messages API on loopback, played by the demo model, that says when it is first asked. */
export interface RecordingModel {
  port: number;
  key: string;
  /** When the next model request comes in, by `preciseNow`. */
  nextRequest(): Promise<number>;
  close(): Promise<void>;
}

export function startRecordingModel(): RecordingModel {
  const key = "key-of-the-benchmark";
  const demo = createDemoModel({ key, now: Date.now });
  let waiting: ((at: number) => void)[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      const at = preciseNow();
      const url = new URL(request.url);
      // A sandbox's door has the model at /model; the bare agent is given the same form of address.
      url.pathname = url.pathname.replace(/^\/model\//, "/");
      if (request.method === "POST" && url.pathname === "/v1/messages") {
        for (const resolve of waiting) resolve(at);
        waiting = [];
      }
      return demo.fetch(new Request(url, request));
    },
  });
  return {
    port: server.port ?? 0,
    key,
    nextRequest: () => new Promise((resolve) => waiting.push(resolve)),
    close: () => server.stop(true),
  };
}
