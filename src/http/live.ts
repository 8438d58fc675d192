import { Hono } from "hono";
import { upgradeWebSocket } from "hono/bun";
import type { WSContext } from "hono/ws";
import type { Token } from "../domain/store/people.ts";
import { follow, wakeUps } from "../runs/follow.ts";
import { existing } from "../runs/submit.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { accessRequestsJson } from "./egress-schemas.ts";
import { taskJson } from "./task-schemas.ts";
import { taskIdOf } from "./tasks.ts";

/** A reader this far behind is not sent more until it has caught up; the rest waits in the database. */
const maxBuffered = 1024 * 1024;
/** The list is not sent more often than this. */
const listPauseMs = 200;
/** A sandbox that asks for ever new hosts hides nobody else's. */
const maxRequestsOfTask = 20;
const maxRequests = 1000;
const listLength = 100;

/**
 * Live updates, one JSON text a frame: `{"events":[…]}` of a task above the cursor `after`, or
 * `{"tasks":[…],"requests":[…]}`, the newest tasks and what is asked of a person, at every change. Both begin at once,
 * and a client that was cut off begins again from its cursor.
 */
export function liveRoutes(context: HttpContext) {
  const { store, ids, log } = context;
  return new Hono<HttpEnv>()
    .get(
      "/tasks/:id/live",
      upgradeWebSocket((c) => {
        const { id } = existing(store, taskIdOf(c.req.param("id") ?? ""));
        const after = Math.max(0, Number(c.req.query("after") ?? "0") || 0);
        return pump(c.get("token"), async (socket, signal) => {
          for await (const events of follow(store, id, after, signal)) await send(socket, { events }, signal);
        });
      }),
    )
    .get(
      "/live",
      upgradeWebSocket((c) =>
        pump(c.get("token"), async (socket, signal) => {
          for await (const _ of wakeUps(store, "tasks", signal)) {
            const tasks = store.tasks.list({ limit: listLength }).map((task) => taskJson(task, context));
            const pending = store.access.waiting(maxRequestsOfTask, maxRequests);
            const requests = accessRequestsJson(store, pending, ids.now());
            await send(socket, { tasks, requests }, signal);
            await Bun.sleep(listPauseMs);
          }
        }),
      ),
    );

  function pump(token: Token, work: (socket: WSContext, signal: AbortSignal) => Promise<void>) {
    const gone = new AbortController();
    return {
      onOpen(_event: Event, socket: WSContext) {
        const off = store.wakes.on("tokens", () => {
          if (store.tokens.isValid(token.id)) return;
          gone.abort();
          socket.close(1008, "signed out");
        });
        gone.signal.addEventListener("abort", off);
        work(socket, gone.signal).catch((thrown: unknown) => {
          log.error("a live connection failed", { reason: String(thrown) });
          socket.close(1011, "internal error");
        });
      },
      onClose: () => gone.abort(),
      onError: () => gone.abort(),
    };
  }
}

async function send(socket: WSContext, value: unknown, signal: AbortSignal): Promise<void> {
  socket.send(JSON.stringify(value));
  while (!signal.aborted && bufferedAmount(socket) > maxBuffered) await Bun.sleep(20);
}

function bufferedAmount(socket: WSContext): number {
  const raw = socket.raw;
  return typeof raw === "object" &&
    raw !== null &&
    "getBufferedAmount" in raw &&
    typeof raw.getBufferedAmount === "function"
    ? Number(raw.getBufferedAmount())
    : 0;
}
