import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { until } from "../../../test/until.ts";
import type {
  AccessRequestState,
  DenyCode,
  EgressEntry,
  EgressLimits,
  InjectedCredential,
  SandboxEgress,
  Secret,
} from "../../domain/egress.ts";
import { compileEgressPolicy } from "../../domain/egress-policy.ts";
import { parseCredentialHost } from "../../domain/environment-egress.ts";
import type { SandboxId } from "../../domain/ids.ts";
import { createAddressRules, parseRange, whyNotDialled } from "../../domain/ip-address.ts";
import type { LogFields } from "../../domain/ports.ts";
import { sandboxId, silent, taskId } from "../door.fixture.ts";
import { createDoors } from "../door.ts";
import { readAuthorities } from "./authorities.ts";
import { type Authority, openAuthority } from "./authority.ts";
import type { UpstreamProxy } from "./dial.ts";
import { createEgressDoor } from "./egress-door.ts";
import { openUpstreamTrust } from "./upstream-tls.ts";
import type { Waits } from "./waits.ts";

/**
 * The real door on a real socket, before recording parts: origins that keep every byte, a resolver that keeps every
 * name, a ledger that keeps every row.
 */

const neighbourId = "sbx_01m7yp7pv64zn56ttn5g" as SandboxId;

type PolicyInput = Parameters<typeof compileEgressPolicy>[0];

export interface EgressSetting extends Partial<PolicyInput> {
  limits?: Partial<EgressLimits>;
  secrets?: Secret[];
  credentials?: InjectedCredential[];
}

export interface EgressFixtureOptions extends EgressSetting {
  /** Addresses of names, which may be others at each look-up; a name that is missing has none. */
  names?: Record<string, string[] | (() => string[])>;
  allowedRanges?: string[];
  ownAddresses?: string[];
  proxy?: UpstreamProxy;
  /** The operator's file of authorities. */
  caFile?: string;
  uploaded?: number;
  /** How long each look-up takes. */
  lookupMs?: number;
  waits?: Partial<Waits>;
  /** Judges addresses in place of the ranges. */
  whyNot?: (address: string, port: number) => string | undefined;
}

export interface EgressFixture {
  socket: string;
  rows: EgressEntry[];
  lines: LogFields[];
  lookups: string[];
  asked: { host: string; port: number; reason: DenyCode }[];
  notices: string[];
  authority: Authority;
  /** Changes what is in force, as an operator would. */
  change(setting: EgressSetting): void;
  /** Another sandbox of the same appliance, with a door and a policy of its own. */
  neighbour(setting: EgressSetting): Promise<{ id: SandboxId; socket: string }>;
  /** Once the row of the last request is complete. */
  row(index?: number): Promise<EgressEntry>;
  answerToAsking: AccessRequestState;
  closeDoor(): Promise<void>;
}

const limits: EgressLimits = {
  uploadBytes: 1024 ** 3,
  requestBytes: 1024 ** 3,
  requestsPerMinute: 100_000,
  connections: 200,
  namesPerMinute: 100,
};

const closers: (() => unknown)[] = [];
/** Defects of the engine: none may come up in any test. */
const failures: unknown[] = [];

/** For `afterEach`. */
export async function closeEgress(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
  const [failure] = failures.splice(0);
  if (failure !== undefined) throw failure;
}

export async function openEgress(options: EgressFixtureOptions = {}): Promise<EgressFixture> {
  const base = mkdtempSync(join(tmpdir(), "ccw-egress-"));
  closers.push(() => rmSync(base, { recursive: true, force: true }));
  const {
    names = {},
    allowedRanges = ["127.0.0.0/8"],
    proxy,
    caFile,
    uploaded = 0,
    lookupMs = 0,
    waits = {},
  } = options;
  const egressOf = (setting: EgressSetting): SandboxEgress => ({
    policy: compileEgressPolicy({
      access: setting.access ?? "custom",
      allow: setting.allow ?? [],
      deny: setting.deny ?? [],
      groupsOff: setting.groupsOff ?? [],
      grants: setting.grants ?? [],
      credentialHosts: (setting.credentials ?? []).flatMap(({ host }) => {
        const parsed = parseCredentialHost(host);
        return parsed.ok ? [parsed.value] : [];
      }),
    }),
    limits: { ...limits, ...setting.limits },
    secrets: setting.secrets ?? [],
    credentials: setting.credentials ?? [],
  });
  let current = egressOf(options);
  const neighbours = new Map<SandboxId, SandboxEgress>();
  const listeners = new Set<() => void>();
  const once = new Set(
    (options.grants ?? []).filter(({ scope }) => scope === "once").map((grant) => grant.host),
  );
  const ranges = allowedRanges.map(parseRange).flatMap((range) => (range.ok ? [range.value] : []));
  const rules = createAddressRules(ranges, options.ownAddresses ?? []);
  const authority = await openAuthority({ folder: join(base, "authority"), now: Date.now });
  const fixture: EgressFixture = {
    socket: "",
    rows: [],
    lines: [],
    lookups: [],
    asked: [],
    notices: [],
    authority,
    answerToAsking: "asked",
    change(setting) {
      current = egressOf(setting);
      for (const listener of listeners) listener();
    },
    async neighbour(setting) {
      neighbours.set(neighbourId, egressOf(setting));
      const socket = join(await doors.open(neighbourId, taskId), "door.sock");
      return { id: neighbourId, socket };
    },
    async row(index = 0) {
      return await until(`row ${index} of the ledger is complete`, () => {
        const row = fixture.rows[index];
        return row !== undefined && row.ms >= 0 && row;
      });
    },
    closeDoor: async () => {},
  };
  const door = createEgressDoor({
    port: {
      egressOf: (id) => neighbours.get(id) ?? current,
      uploaded: () => uploaded,
      requestAccess(_, host, port, reason) {
        fixture.asked.push({ host, port, reason });
        return fixture.answerToAsking;
      },
      takeOnce: (_, host) => once.delete(host),
      notice: (_, text) => void fixture.notices.push(text),
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    ledger: {
      open(entry) {
        // Below zero while it is open.
        const row = { ...entry, ms: -1 };
        fixture.rows.push(row);
        return (end) => void Object.assign(row, end);
      },
      sent() {},
    },
    authority,
    async lookup(name) {
      fixture.lookups.push(name);
      if (lookupMs > 0) await Bun.sleep(lookupMs);
      const addresses = names[name];
      if (addresses === undefined) throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
      return typeof addresses === "function" ? addresses() : addresses;
    },
    whyNot: options.whyNot ?? ((address) => whyNotDialled(address, rules)),
    proxy,
    trust: openUpstreamTrust(readAuthorities(caFile)),
    refused() {},
    failed: (thrown) => void failures.push(thrown),
    decided: (fields) => void fixture.lines.push(fields),
    now: Date.now,
    waits,
  });
  const nothing = async () => {};
  const doors = createDoors({
    folder: join(base, "doors"),
    ways: { session: nothing, model: nothing, git: nothing },
    egress: door,
    log: silent,
  });
  closers.push(() => doors.shut());
  closers.push(() => door.close());
  fixture.closeDoor = () => doors.close(sandboxId);
  fixture.socket = join(await doors.open(sandboxId, taskId), "door.sock");
  return fixture;
}

export interface Origin {
  port: number;
  /** All that came, over all connections, as Latin-1. */
  readonly received: string;
  connections: number;
  open: Set<Socket>;
}

export type Behaviour = (socket: Socket, bytes: Buffer) => void;

/** Answers each request head with "hello". */
export const hello: Behaviour = (socket, bytes) => {
  for (const _ of bytes.toString("latin1").match(/\r\n\r\n/g) ?? [])
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
};

/** A server on loopback that keeps every byte; what it answers is the test's. */
export async function startOrigin(behave: Behaviour = hello): Promise<Origin> {
  return await listening(createServer({ allowHalfOpen: true }), "connection", behave);
}

/** The same with TLS. */
export async function startTlsOrigin(
  certificate: { key: string; cert: string },
  behave: Behaviour = hello,
): Promise<Origin> {
  return await listening(createTlsServer({ ...certificate }), "secureConnection", behave);
}

async function listening(server: Server, event: string, behave: Behaviour): Promise<Origin> {
  const pieces: Buffer[] = [];
  const origin: Origin = {
    port: 0,
    get received() {
      return Buffer.concat(pieces).toString("latin1");
    },
    connections: 0,
    open: new Set(),
  };
  server.on(event, (socket: Socket) => {
    origin.connections += 1;
    origin.open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => origin.open.delete(socket));
    socket.on("end", () => socket.end());
    socket.on("data", (bytes: Buffer) => {
      pieces.push(bytes);
      behave(socket, bytes);
    });
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  origin.port = typeof address === "object" && address !== null ? address.port : 0;
  closers.push(() => {
    for (const socket of origin.open) socket.destroy();
    server.close();
  });
  return origin;
}

export interface Client {
  readonly text: string;
  write(bytes: string | Uint8Array): void;
  end(): void;
  destroy(): void;
  /** Once the text has it, or the connection is over. */
  until(part: string | RegExp): Promise<string>;
  /** Once the connection is over, or a long while has gone by. */
  over(): Promise<string>;
  readonly closed: boolean;
  socket: Socket;
}

/** A connection to the door's socket; text is Latin-1, so that bytes stay bytes. */
export async function client(path: string, first: string | Uint8Array = ""): Promise<Client> {
  const socket = connect({ path, allowHalfOpen: true });
  let text = "";
  let closed = false;
  const watchers = new Set<() => void>();
  const tell = () => {
    for (const watcher of [...watchers]) watcher();
  };
  const over = () => {
    closed = true;
    tell();
  };
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
    tell();
  });
  socket.on("end", over);
  socket.on("close", over);
  socket.on("error", over);
  closers.push(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  const write = (bytes: string | Uint8Array) =>
    void socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  const wait = (done: () => boolean) =>
    new Promise<string>((resolve) => {
      const look = () => {
        if (!done() && !closed) return;
        finish();
      };
      const finish = () => {
        clearTimeout(timer);
        watchers.delete(look);
        resolve(text);
      };
      const timer = setTimeout(finish, 30_000);
      watchers.add(look);
      look();
    });
  if (first.length > 0) write(first);
  return {
    get text() {
      return text;
    },
    get closed() {
      return closed;
    },
    write,
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
    until: (part) => wait(() => (typeof part === "string" ? text.includes(part) : part.test(text))),
    over: () => wait(() => false),
    socket,
  };
}

/** Bytes in, and all that comes back until the door closes the connection. */
export async function ask(path: string, bytes: string | Uint8Array): Promise<string> {
  const connection = await client(path, bytes);
  const text = await connection.over();
  connection.destroy();
  return text;
}

export const get = (url: string, ...headers: string[]) => {
  const host = /^http:\/\/([^/]*)/.exec(url)?.[1] ?? "x";
  return `GET ${url} HTTP/1.1\r\n${[`Host: ${host}`, ...headers].join("\r\n")}\r\n\r\n`;
};

export const connectTo = (authority: string) => `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;

/** CONNECT and then TLS as a client in the sandbox speaks it; `servername` may differ from the host. */
export async function tlsThrough(
  path: string,
  authority: string,
  options: { servername: string; ca: string },
): Promise<TLSSocket> {
  const connection = await client(path, connectTo(authority));
  const answer = await connection.until("\r\n\r\n");
  if (!answer.startsWith("HTTP/1.1 200")) throw new Error(answer);
  connection.socket.removeAllListeners("data");
  return await new Promise((resolve, reject) => {
    const tls = connectTls({ socket: connection.socket, ...options }, () => resolve(tls));
    tls.once("error", reject);
    closers.push(() => tls.destroy());
  });
}
