import type { PromptId, SandboxId, TaskId } from "./ids.ts";
import type { TokenCounts } from "./prices.ts";

/** The published protocol that an agent speaks: Anthropic's Messages API or OpenAI's Responses API. */
export type ModelApi = "messages" | "responses";

/** Where model requests go, with the real credential. It never leaves the server's memory but to that endpoint. */
export interface ModelEndpoint {
  /** `demo` is the built-in scripted stand-in and is labelled so wherever it shows. */
  kind: "demo" | "endpoint";
  /** Without a slash at the end; `/v1/messages` or `/v1/responses` is appended. */
  baseUrl: string;
  credential: { header: "x-api-key" | "authorization"; value: string };
}

/** One request that passed the model door, as counted from the answer itself. */
export interface MeteredRequest extends TokenCounts {
  sandboxId: SandboxId;
  taskId: TaskId;
  /** Whose turn ran when it began; undefined where none did. */
  promptId: PromptId | undefined;
  /** Start, milliseconds since the epoch. */
  at: number;
  model: string;
  /** In the endpoint's fast mode, which has prices of its own. */
  fast: boolean;
  /** What the endpoint used besides, within the same request; the model is empty for the same one. */
  besides: (TokenCounts & { model: string })[];
  /** HTTP status that the sandbox saw; 0 where the sandbox went away first. */
  status: number;
  /** Milliseconds to the first byte of the answer, and to its last. */
  firstByteMs: number;
  totalMs: number;
}

/** As it is kept: the counts are of everything that the request used. */
export interface ModelRequest extends Omit<MeteredRequest, "fast" | "besides"> {
  /** Nano-dollars, by the prices of then; undefined where a model had none. */
  costNano: number | undefined;
}
