import { expect } from "bun:test";
import { dirname, join } from "node:path";
import {
  type Behaviour,
  client,
  connectTo,
  type EgressFixture,
  type EgressFixtureOptions,
  get,
  type Origin,
  openEgress,
  startOrigin,
  startTlsOrigin,
  tlsThrough,
} from "./egress.fixture.ts";

/** The two ways to ask for a host: an absolute URL, and CONNECT. Each takes `host:port`. */
export const forms: [name: string, request: (authority: string) => string][] = [
  ["http://", (authority) => get(`http://${authority}/`)],
  ["CONNECT", connectTo],
];

const wholeAnswer = /\r\n\r\n[\s\S]*Reason: [a-z-]+\.\n|hello|^HTTP\/1.1 200 Connection/;

/** What the door answers, as soon as all of its refusal is there; other answers until they stop coming. */
export async function answerTo(socket: string, bytes: string | Uint8Array): Promise<string> {
  const connection = await client(socket, bytes);
  const answer = await connection.until(wholeAnswer);
  connection.destroy();
  return answer;
}

export interface ExpectedRefusal {
  status: number;
  /** Any, where the head is broken in more than one way. */
  reason?: string;
  /** Canonical; as the ledger and the log have it. */
  host?: string;
  /** Names that were looked up for it. */
  lookups?: string[];
}

/** A refusal is four things: a status, a reason for programs, words for people, and a row in the ledger. */
export async function expectRefusal(
  door: EgressFixture,
  bytes: string | Uint8Array,
  wanted: ExpectedRefusal,
) {
  const { rows, lookups: looked } = { rows: door.rows.length, lookups: door.lookups.length };
  const answer = await answerTo(door.socket, bytes);
  const { status, host, lookups = [] } = wanted;
  const reason = wanted.reason ?? /X-Deny-Reason: ([a-z-]+)/.exec(answer)?.[1] ?? "none was given";
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`));
  expect(answer).toContain(`\r\nX-Deny-Reason: ${reason}\r\n`);
  expect(answer).toContain("\r\nContent-Type: text/plain; charset=utf-8\r\n");
  expect(answer).toMatch(/\r\n\r\nccw-server refused [\x20-\x7e]{10,}\.\nReason: /);
  expect(door.rows.length).toBe(rows + 1);
  const said = { verdict: "refused", reason, ...(host !== undefined && { host }) };
  expect(await door.row(rows)).toMatchObject({ ...said, status });
  expect(door.lines.at(-1)).toMatchObject(said);
  expect(door.lookups.slice(looked)).toEqual(lookups);
  return answer;
}

/** Names that all lead to loopback. */
export const everywhere = (names: string[]) => Object.fromEntries(names.map((name) => [name, ["127.0.0.1"]]));

/** A door that lets `ok.test` and what lies below `wild.test`, and an origin that would answer for any name. In rules,
 * `$PORT` is the origin's. */
export async function open(setting: EgressFixtureOptions = {}) {
  const origin = await startOrigin();
  const { port } = origin;
  const door = await openEgress({
    names: everywhere([
      "ok.test",
      "evil.test",
      "evilok.test",
      "ok.test.evil.test",
      "wild.test",
      "a.wild.test",
    ]),
    allow: [`ok.test port=${port} raw`, `*.wild.test port=${port} raw`],
    ...setting,
    ...(setting.allow !== undefined && {
      allow: setting.allow.map((rule) => rule.replace("$PORT", `${port}`)),
    }),
  });
  return { origin, door, port };
}

/** As a client without IDNA sends it. */
export const utf8 = (text: string) => Buffer.from(text).toString("latin1");

/** Let through, under this host from look-up to log. */
export async function expectPassage(door: EgressFixture, origin: Origin, bytes: string, host: string) {
  const row = door.rows.length;
  const connections = origin.connections;
  expect(await answerTo(door.socket, bytes)).toStartWith("HTTP/1.1 200 ");
  expect(door.rows.at(row)).toMatchObject({ host, port: origin.port });
  expect(door.lines.at(-1)).toMatchObject({ host, verdict: "allowed" });
  expect((await door.row(row)).address).toBe("127.0.0.1");
  expect(origin.connections + Number(bytes.startsWith("GET"))).toBeGreaterThan(connections);
}

export interface Inspected {
  door: EgressFixture;
  origin: Origin;
  /** Requests one after the other in one tunnel, which the appliance reads; `$HOST` is as it stands in a Host header. */
  inside(...requests: string[]): Promise<string>;
}

/** A host whose TLS the appliance ends, with an origin that a public authority vouches for. */
export async function openInspected(
  host: string,
  setting: EgressFixtureOptions = {},
  behave?: Behaviour,
): Promise<Inspected> {
  const { authority, socket } = await openEgress();
  const caFile = join(dirname(socket), "public-authority.pem");
  await Bun.write(caFile, authority.certificatePem);
  const origin = await startTlsOrigin(await authority.leafFor(host), behave);
  const door = await openEgress({
    names: everywhere([host]),
    ...setting,
    allow: (setting.allow ?? [`${host} port=$PORT inspect`]).map((rule) =>
      rule.replace("$PORT", `${origin.port}`),
    ),
    caFile,
  });
  return {
    door,
    origin,
    async inside(...requests) {
      const name = `${host}:${origin.port}`;
      const ca = door.authority.certificatePem;
      const tls = await tlsThrough(door.socket, name, { servername: host, ca });
      let text = "";
      const waiting = [...requests];
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 30_000);
        const next = () => {
          const request = waiting.shift();
          if (request !== undefined) {
            tls.write(Buffer.from(request.replace("$HOST", name), "latin1"));
          } else {
            clearTimeout(timer);
            resolve();
          }
        };
        tls.on("data", (bytes: Buffer) => {
          text += bytes.toString("latin1");
          const answers = text.match(/hello|Reason: [a-z-]+\.\n/g)?.length ?? 0;
          if (answers === requests.length - waiting.length) next();
        });
        tls.on("close", () => resolve());
        next();
      });
      tls.destroy();
      return text;
    },
  };
}
