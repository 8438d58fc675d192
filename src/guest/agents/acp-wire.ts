import {
  type AnyMessage,
  type CreateElicitationResponse,
  client,
  methods,
  PROTOCOL_VERSION,
  RequestError,
  type RequestPermissionRequest,
  type RequestPermissionResponse,
} from "@agentclientprotocol/sdk";
import { z } from "zod";
import { CcwError, messageOf } from "../../domain/errors.ts";

export { methods, PROTOCOL_VERSION };

/** Our side of the Agent Client Protocol, carried by the SDK over lines that are read elsewhere. */
export interface AcpWire {
  /** Rejects with the agent's own words as a CcwError, or when it has gone. */
  request<Schema extends z.ZodType>(method: string, params: object, answer: Schema): Promise<z.infer<Schema>>;
  notify(method: string, params: object): void;
  /** A line that the agent wrote. Resolves when what it says was given to `on`. */
  take(line: string): Promise<void>;
  /** Nothing comes any more. */
  close(): void;
  readonly isClosed: boolean;
}

export interface AcpListener {
  permission(asked: RequestPermissionRequest): Promise<RequestPermissionResponse>;
  /** Parameters of `elicitation/create`, not looked at yet. `withdrawn`: the agent does not wait for the answer any more. */
  form(params: unknown, withdrawn: AbortSignal): Promise<CreateElicitationResponse>;
  /** Parameters of `session/update`, not looked at yet. */
  update(params: unknown): Promise<void>;
  /** What is no message of the protocol, or answers nothing that was asked: in words. */
  odd(text: string): void;
}

/** JSON-RPC's code for a method that is not there, and the protocol's own for an agent that wants a sign-in. */
const noMethod = -32601;
const authRequired = -32000;

const rpcId = z.union([z.string().max(200), z.number(), z.null()]);
const envelope = z.union([
  z.looseObject({ jsonrpc: z.literal("2.0"), id: rpcId.optional(), method: z.string().max(200) }),
  z.looseObject({ jsonrpc: z.literal("2.0"), id: rpcId, method: z.undefined().optional() }),
]);

/**
 * The SDK reads a stream of messages of ours, so that a line without an end, one that is no JSON and an answer to nothing
 * never reach it: it would answer with what came, or close the connection.
 */
export function connectAcp(write: (message: object) => void, on: AcpListener): AcpWire {
  const asked = new Set<unknown>();
  let push: (message: AnyMessage) => void = () => {};
  let end = () => {};
  const readable = new ReadableStream<AnyMessage>({
    start(controller) {
      push = (message) => controller.enqueue(message);
      end = () => controller.close();
    },
  });
  const writable = new WritableStream<AnyMessage>({
    write(message) {
      if ("method" in message && "id" in message) asked.add(message.id);
      write(message);
    },
  });
  const connection = client({ name: "ccw-server" })
    .onRequest(methods.client.session.requestPermission, ({ params }) => on.permission(params))
    .onRequest<unknown, CreateElicitationResponse>(
      methods.client.elicitation.create,
      (params) => params,
      ({ params, signal }) => on.form(params, signal),
    )
    .onRequest("*", ({ method }) => {
      throw new RequestError(noMethod, `${method} is not supported here`);
    })
    .onNotification("*", () => {})
    .connect({ readable, writable });

  return {
    async request(method, params, schema) {
      let answer: unknown;
      try {
        answer = await connection.agent.request<unknown, object>(method, params);
      } catch (thrown) {
        if (connection.signal.aborted) throw gone(method);
        throw new CcwError("unavailable", wordsOf(thrown), "", { cause: thrown });
      }
      const parsed = schema.safeParse(answer);
      if (parsed.success) return parsed.data;
      throw new CcwError("unavailable", `Its answer to ${method} is not one of the protocol.`);
    },
    notify(method, params) {
      connection.agent.notify(method, params).catch(() => {}); // it has ended, which `exited` tells
    },
    async take(line) {
      const message = parsedLine(line);
      if (message === undefined) return on.odd("a line that is no message of the protocol");
      if (!("method" in message) && !asked.delete(message["id"]))
        return on.odd("an answer to something that was not asked");
      // The SDK drops an update, with a line on standard error, where it does not know all of it.
      if (message["method"] === methods.client.session.update && !("id" in message))
        return on.update(message["params"]);
      push(message);
      // Handlers run in promises' own time, of which nothing is left then: what comes next finds it done.
      await new Promise(setImmediate);
    },
    close() {
      try {
        end();
      } catch {} // closed by the SDK
      connection.close();
    },
    get isClosed() {
      return connection.signal.aborted;
    },
  };
}

const gone = (method: string) => new CcwError("unavailable", `It has ended before it answered ${method}.`);

const messageSchema = z.custom<AnyMessage & Record<string, unknown>>(
  (value) => envelope.safeParse(value).success,
);

function parsedLine(line: string): z.infer<typeof messageSchema> | undefined {
  try {
    return messageSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** What the agent says of a failure: its message, and the detail that many give beside it. */
function wordsOf(thrown: unknown): string {
  const message = messageOf(thrown).slice(0, 2000);
  const detail =
    thrown instanceof RequestError ? z.object({ details: z.string() }).safeParse(thrown.data) : undefined;
  return detail?.success === true ? `${message}: ${detail.data.details.slice(0, 2000)}` : message;
}

export const isAuthRequired = (thrown: unknown): boolean =>
  thrown instanceof CcwError && thrown.cause instanceof RequestError && thrown.cause.code === authRequired;
