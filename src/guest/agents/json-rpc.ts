import type { z } from "zod";
import { CcwError } from "../../domain/errors.ts";
import { parseJson } from "../../domain/json.ts";
import { type RpcId, rpcMessageSchema } from "./codex-messages.ts";

/** Our side of a JSON-RPC conversation over lines. */
export interface JsonRpc {
  /** Rejects with the other side's message, or when it has gone. */
  request<Schema extends z.ZodType>(method: string, params: object, answer: Schema): Promise<z.infer<Schema>>;
  notify(method: string, params?: object): void;
  answer(id: RpcId, result: object): void;
  refuse(id: RpcId, message: string): void;
  /** What a line brings beside answers to requests of ours; undefined for those. */
  take(line: string): Incoming | undefined;
  /** Nothing comes any more. */
  close(): void;
}

export type Incoming =
  | { kind: "request"; id: RpcId; method: string; params: unknown }
  | { kind: "notification"; method: string; params: unknown }
  | { kind: "unreadable" };

export function createJsonRpc(write: (message: object) => void): JsonRpc {
  const waiting = new Map<RpcId, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  let last = 0;
  let closed = false;

  return {
    async request(method, params, schema) {
      if (closed) throw gone(method);
      const id = ++last;
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      waiting.set(id, { resolve, reject });
      write({ id, method, params });
      return schema.parse(await promise);
    },
    notify: (method, params) => write({ method, ...(params !== undefined && { params }) }),
    answer: (id, result) => write({ id, result }),
    refuse: (id, message) => write({ id, error: { code: -32601, message } }),
    take(line) {
      const parsed = rpcMessageSchema.safeParse(parseJson(line));
      if (!parsed.success) return { kind: "unreadable" };
      const message = parsed.data;
      if ("method" in message) {
        const { method, params } = message;
        return "id" in message
          ? { kind: "request", id: message.id, method, params }
          : { kind: "notification", method, params };
      }
      const asked = waiting.get(message.id);
      waiting.delete(message.id);
      if ("error" in message) asked?.reject(new CcwError("unavailable", message.error.message));
      else asked?.resolve(message.result);
      return undefined;
    },
    close() {
      closed = true;
      for (const { reject } of waiting.values()) reject(gone("the request"));
      waiting.clear();
    },
  };
}

const gone = (what: string) => new CcwError("unavailable", `The agent has ended before it answered ${what}.`);
