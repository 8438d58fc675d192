import type { SandboxId, TaskId } from "./ids.ts";

/** Where model requests go, with the real credential. It never leaves the server's memory but to that endpoint. */
export interface ModelEndpoint {
  /** `demo` is the built-in scripted stand-in and is labelled so wherever it shows. */
  kind: "demo" | "endpoint";
  /** Without a slash at the end; `/v1/messages` is appended. */
  baseUrl: string;
  credential: { header: "x-api-key" | "authorization"; value: string };
}

/** One request that passed the model door, as counted from the answer itself. */
export interface ModelRequest {
  sandboxId: SandboxId;
  taskId: TaskId;
  /** Start, milliseconds since the epoch. */
  at: number;
  model: string;
  /** HTTP status that the sandbox saw; 0 where the sandbox went away first. */
  status: number;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  /** Milliseconds to the first byte of the answer, and to its last. */
  firstByteMs: number;
  totalMs: number;
}
