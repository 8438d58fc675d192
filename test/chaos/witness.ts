import { z } from "zod";
import { createDemoModel } from "../../src/demo/demo-model.ts";

/** The demo model, which outlives the appliance's servers, and what agents have asked it. */
export interface Witness {
  baseUrl: string;
  /** How often the mark stands in what people said, in the request that has it most often. */
  timesSeen(mark: string): number;
  requests(): number;
  close(): Promise<void>;
}

/** Every prompt of the suite has one of its own, by which it is known wherever it turns up. */
export const newMark = (n: number): string => `mark-${n}-end`;
export const marksIn = (text: string): string[] => text.match(/mark-\d+-end/g) ?? [];

const requestSchema = z.object({
  tools: z.array(z.unknown()).default([]),
  messages: z.array(
    z.object({
      role: z.string(),
      content: z.union([
        z.string().transform((text) => [{ type: "text", text }]),
        z.array(z.object({ type: z.string(), text: z.string().optional() })),
      ]),
    }),
  ),
});

export function createWitness(): Witness {
  const key = "chaos";
  const demo = createDemoModel({ key, now: Date.now });
  const most = new Map<string, number>();
  let requests = 0;
  const note = (body: string) => {
    const parsed = requestSchema.safeParse(JSON.parse(body));
    // Requests without tools are the agent's own, such as a title for the session.
    if (!parsed.success || parsed.data.tools.length === 0) return;
    requests++;
    const counts = new Map<string, number>();
    for (const { role, content } of parsed.data.messages) {
      if (role === "assistant") continue;
      for (const mark of content.flatMap(({ text }) => marksIn(text ?? "")))
        counts.set(mark, (counts.get(mark) ?? 0) + 1);
    }
    for (const [mark, count] of counts) most.set(mark, Math.max(count, most.get(mark) ?? 0));
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { method, url, signal } = request;
      const body = await request.text();
      if (new URL(url).pathname === "/v1/messages") note(body);
      const headers = new Headers(request.headers);
      headers.set("x-api-key", key);
      return demo.fetch(new Request(url, { method, headers, signal, ...(body !== "" && { body }) }));
    },
    // A connection that is cut, as a scenario wants it.
    error: () => new Response(null, { status: 500 }),
  });
  return {
    baseUrl: `http://127.0.0.1:${server.port}`,
    timesSeen: (mark) => most.get(mark) ?? 0,
    requests: () => requests,
    close: () => server.stop(true),
  };
}
