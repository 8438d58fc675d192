import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import type { ControlPort, Log } from "../domain/ports.ts";
import type { SessionEvent } from "../domain/session.ts";
import { createControlDoor } from "./control/control-door.ts";
import { createDoors, type DoorWay } from "./door.ts";

export const silent: Log = { info() {}, warn() {}, error() {} };
export const sandboxId = "sbx_01m7yp7pv64zn56ttn5f" as SandboxId;
export const taskId = "tsk_01m7yp7pv16snxpyyfyh" as TaskId;
const closers: (() => Promise<void> | void)[] = [];
export async function closeDoors(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

export async function openDoor(overrides: Partial<ControlPort> = {}) {
  const base = mkdtempSync(join(tmpdir(), "ccw-door-"));
  closers.push(() => rmSync(base, { recursive: true, force: true }));
  const taken: SessionEvent[] = [];
  /** What connections to elsewhere began with. */
  const out: string[] = [];
  const port: ControlPort = {
    start: async () => undefined,
    appendEvents(_, events) {
      taken.push(...events);
      return taken.at(-1)?.n ?? 0;
    },
    async *commands() {},
    attachment: async () => undefined,
    ...overrides,
  };
  const echo: DoorWay = async (sandbox, _request, response, path) =>
    void response.end(`${sandbox.id} ${path}`);
  const doors = createDoors({
    folder: join(base, "doors"),
    ways: { session: createControlDoor({ port, log: silent }), model: echo, git: echo },
    egress: {
      accept(_, wire, first) {
        out.push(Buffer.from(first).toString("latin1"));
        wire.end();
      },
      forget: () => {},
    },
    log: silent,
  });
  const folder = await doors.open(sandboxId, taskId);
  closers.push(() => doors.shut());
  return { doors, folder, socket: join(folder, "door.sock"), taken, out };
}

/** Writes bytes as they are and reads until the door closes or is quiet. */
export function raw(socket: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const connection = connect(socket, () => connection.write(bytes));
    connection.setTimeout(30_000, () => connection.destroy());
    connection.on("data", (chunk) => (text += chunk));
    connection.on("close", () => resolve(text));
    connection.on("error", reject);
  });
}

export const http = (target: string) => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
export const post = (unix: string, lines: string) =>
  fetch("http://door/session/events", { unix, method: "POST", body: lines });
export const line = (n: number, text = "x") =>
  `${JSON.stringify({ n, event: { kind: "notice", level: "info", text } })}\n`;
