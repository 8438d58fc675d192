import { type ClientResponse, hc } from "hono/client";
import { z } from "zod";
import { CcwError, errorCodes } from "./domain/errors.ts";
import { type TaskEvent, taskEventSchema } from "./domain/event.ts";
import { pause } from "./domain/pause.ts";
import type { App } from "./http/app.ts";
import type { AccessRequestJson } from "./http/egress-schemas.ts";
import type { TaskJson } from "./http/task-schemas.ts";

export type { AccessRequestJson } from "./http/egress-schemas.ts";
export type { GroupJson } from "./http/groups.ts";
export type { PullRequestJson } from "./http/pull-request-schemas.ts";
export type { ScheduleJson, ScheduleRunJson } from "./http/schedule-schemas.ts";
export type { TaskJson } from "./http/task-schemas.ts";

/** How cli, tui and web speak to the appliance: one typed client, made from the server's own routes. */
export interface ClientOptions {
  /** Where the appliance answers, without a slash at the end. */
  url: string;
  /** An API token; a browser has its cookie instead. */
  token?: string;
  /** The platform's WebSocket, or the `ws` package's outside browsers. */
  openSocket(url: string, headers: Record<string, string>): Socket;
}

/** As much of a WebSocket as is used here: the browser's and the `ws` package's both fit. */
interface Socket {
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close" | "error", listener: () => void): void;
  close(): void;
}

export type Client = ReturnType<typeof createClient>;

export function createClient({ url, token, openSocket }: ClientOptions) {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { api } = hc<App>(url, { headers, fetch: (...input: Parameters<typeof fetch>) => reach(url, input) });
  const wsUrl = url.replace(/^http/, "ws");

  async function* watchAppliance(signal: AbortSignal): AsyncGenerator<ApplianceFrame> {
    for await (const frame of frames(() => openSocket(`${wsUrl}/api/live`, headers), signal)) {
      yield listFrame.parse(JSON.parse(frame));
    }
  }

  return {
    /** Typed calls by path: `read(api.tasks.$get({ query: {} }))`. */
    api,
    read,
    /** The bytes of a good answer; anything else becomes the CcwError that the server meant. */
    download,
    /** Uploads a file for a prompt; it is sent as it is read. */
    async upload(name: string, file: Blob): Promise<AttachmentJson> {
      const response = await reach(url, [
        uploadUrl(url, name),
        { method: "POST", headers: { ...headers, "content-type": "application/octet-stream" }, body: file },
      ]);
      return attachmentOf(response.status, await response.text());
    },
    /** Where the bytes of an attachment are. */
    attachmentUrl: (id: string) => `${url}/api/attachments/${encodeURIComponent(id)}`,
    /**
     * A task's events above `after`, for ever: it reconnects by cursor, so there is no hole and no double. Ends with
     * the signal alone: it waits for a server that is away, and for a task that does not exist. Read the task first.
     */
    followTask(id: string, after: number, signal: AbortSignal): AsyncGenerator<TaskEvent[]> {
      return followEvents(
        (cursor) => openSocket(`${wsUrl}/api/tasks/${encodeURIComponent(id)}/live?after=${cursor}`, headers),
        after,
        signal,
      );
    },
    /** The newest tasks, again at every change. */
    async *watchTasks(signal: AbortSignal): AsyncGenerator<TaskJson[]> {
      for await (const { tasks } of watchAppliance(signal)) yield tasks;
    },
    /** The newest tasks, and the access requests that wait for a person; again at every change of either. */
    watchAppliance,
  };
}

const eventsFrame = z.object({ events: z.array(taskEventSchema) });
const isObject = (value: unknown) => typeof value === "object" && value !== null;
const listFrame = z.object({
  tasks: z.array(z.custom<TaskJson>(isObject)),
  requests: z.array(z.custom<AccessRequestJson>(isObject)),
});
type ApplianceFrame = z.infer<typeof listFrame>;
const attachmentBody = z.object({
  id: z.string(),
  name: z.string(),
  mediaType: z.string(),
  bytes: z.number(),
});
export type AttachmentJson = z.infer<typeof attachmentBody>;
/** Where a file is sent. */
export const uploadUrl = (url: string, name: string): string =>
  `${url}/api/attachments?name=${encodeURIComponent(name.toWellFormed())}`;

/** What the appliance answered to an upload; throws what it had against it. */
export function attachmentOf(status: number, text: string): AttachmentJson {
  const body = parsed(text);
  if (status !== 201) throw failureFrom(status, body);
  return attachmentBody.parse(body);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const errorBody = z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) });

/** The bodies of a route's good answers; the shape of its errors is left out. */
type Good<Response> =
  Response extends ClientResponse<infer Body, infer Status, string>
    ? [Status] extends [200 | 201]
      ? Body
      : [Status] extends [204]
        ? undefined
        : never
    : never;

/** The JSON of a good answer; anything else becomes the CcwError that the server meant. */
async function read<Answer extends ClientResponse<unknown, number, string>>(
  pending: Promise<Answer>,
): Promise<Good<Answer>> {
  const response = await pending;
  // The server's own routes give these types; this is the one place that takes their word for it.
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as Good<Answer>;
  throw await failureOf(response);
}

async function download(
  pending: Promise<ClientResponse<unknown, number, string>>,
): Promise<ReadableStream<Uint8Array>> {
  const response = await pending;
  if (response.ok && response.body !== null) return response.body;
  throw await failureOf(response);
}

async function failureOf(response: { status: number; json(): Promise<unknown> }): Promise<CcwError> {
  return failureFrom(response.status, await response.json().catch(() => undefined));
}

function failureFrom(status: number, body: unknown): CcwError {
  const told = errorBody.safeParse(body);
  if (!told.success) return new CcwError("unavailable", `The appliance answered with status ${status}.`);
  const { code, message, hint } = told.data.error;
  return new CcwError(errorCodes.find((known) => known === code) ?? "unavailable", message, hint);
}

async function reach(url: string, input: Parameters<typeof fetch>): Promise<Response> {
  try {
    return await fetch(...input);
  } catch (cause) {
    throw new CcwError(
      "unavailable",
      `No ccw-server answers at ${url}.`,
      "Start it with `ccw-server start`, or set CCW_URL.",
      { cause },
    );
  }
}

async function* followEvents(
  open: (cursor: number) => Socket,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<TaskEvent[]> {
  let cursor = after;
  for await (const frame of frames(() => open(cursor), signal)) {
    const { events } = eventsFrame.parse(JSON.parse(frame));
    const news = events.filter((event) => event.seq > cursor);
    cursor = news.at(-1)?.seq ?? cursor;
    if (news.length > 0) yield news;
  }
}

/** Text frames of a connection that is opened again, after a pause, whenever it breaks. */
async function* frames(open: () => Socket, signal: AbortSignal): AsyncGenerator<string> {
  let failures = 0;
  while (!signal.aborted) {
    const queue: string[] = [];
    let wake = () => {};
    let closed = false;
    const socket = open();
    socket.addEventListener("message", ({ data }) => {
      queue.push(String(data));
      wake();
    });
    socket.addEventListener("close", () => {
      closed = true;
      wake();
    });
    // Told by the close that follows; without a listener `ws` would throw it.
    socket.addEventListener("error", () => {});
    const abort = () => wake();
    signal.addEventListener("abort", abort);
    try {
      while (!signal.aborted) {
        const frame = queue.shift();
        if (frame !== undefined) {
          failures = 0;
          yield frame;
        } else if (closed) {
          break;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", abort);
      socket.close();
    }
    failures += 1;
    await pause(Math.min(5000, 50 * 2 ** failures), signal);
  }
}
