import { createDemoModel } from "../../src/demo/demo-model.ts";

/** A Messages API on loopback, played by the demo model for whatever key, that keeps what it was asked. */
export interface ListeningModel {
  url: string;
  /** The bodies of the requests; whoever wants those from now on empties it. */
  asked: string[];
  close(): Promise<void>;
}

export function startListeningModel(): ListeningModel {
  const key = "key-of-the-scenario";
  const demo = createDemoModel({ key, now: Date.now });
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { url, method } = request;
      const body = await request.text();
      if (new URL(url).pathname === "/v1/messages") asked.push(body);
      const headers = new Headers(request.headers);
      headers.set("x-api-key", key);
      return demo.fetch(new Request(url, { method, headers, ...(body !== "" && { body }) }));
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, asked, close: () => server.stop(true) };
}
