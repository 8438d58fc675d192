import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { type ConnectionOptions, connect, createServer as createTlsServer, type TlsOptions } from "node:tls";
import { until } from "../../../test/until.ts";
import { CcwError } from "../../domain/errors.ts";
import { readAuthorities } from "./authorities.ts";
import { openAuthority } from "./authority.ts";
import { interceptTls } from "./intercept.ts";
import { openUpstreamTrust } from "./upstream-tls.ts";

const folder = mkdtempSync(join(tmpdir(), "ccw-intercept-"));
const authority = await openAuthority({ folder: join(folder, "a"), now: Date.now });
const stranger = await openAuthority({ folder: join(folder, "b"), now: Date.now });
const weekAgo = await openAuthority({ folder: join(folder, "c"), now: () => Date.now() - 8 * 24 * 3600_000 });
const caFile = join(folder, "ca.pem");
writeFileSync(caFile, `a comment\n${authority.certificatePem}\n${weekAgo.certificatePem}`);
const trust = openUpstreamTrust(readAuthorities(caFile));
const servers: { close(): unknown }[] = [];
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true });
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** A stream as the door makes it: no socket of node's, and its first bytes were read before. */
function wrapped(raw: Socket, first: Buffer): Duplex {
  const stream = new Duplex({
    read: () => void raw.resume(),
    write: (chunk, _encoding, done) => void raw.write(chunk, done),
    final: (done) => void raw.end(done),
    destroy(error, done) {
      raw.destroy();
      done(error);
    },
  });
  stream.push(first);
  raw.on("data", (chunk) => stream.push(chunk) || raw.pause());
  raw.on("end", () => stream.push(null));
  raw.on("close", () => stream.destroy());
  raw.on("error", () => {});
  return stream;
}

/** Intercepts one connection; resolves with what became of it. */
async function intercepting(host: string, withinMs = 30_000) {
  const outcome = Promise.withResolvers<{ text: string; stream: Duplex; raw: Socket }>();
  const server = createServer((raw) => {
    raw.once("data", (first) => {
      const stream = wrapped(raw, Buffer.from(first));
      interceptTls({ stream, authority, host, withinMs }).then(
        (socket) => {
          socket.on("data", (chunk) => socket.write(`echo ${chunk}`));
          outcome.resolve({ text: `secure ${socket.alpnProtocol} ${socket.getProtocol()}`, stream, raw });
        },
        (error) => outcome.resolve({ text: error.message, stream, raw }),
      );
    });
  });
  return { port: await listening(server), outcome: outcome.promise };
}

const client = (port: number, options: ConnectionOptions) =>
  connect({ host: "127.0.0.1", port, ca: authority.certificatePem, ...options });

test("a program in the sandbox talks TLS with the appliance in the name of the host", async () => {
  const { port, outcome } = await intercepting("api.example.com");
  const socket = client(port, { servername: "api.example.com", ALPNProtocols: ["h2", "http/1.1"] });
  const said = new Promise<string>((resolve) => socket.once("data", (chunk) => resolve(String(chunk))));
  socket.write("hello");
  expect(await said).toBe("echo hello");
  expect(socket.authorized).toBe(true);
  expect((await outcome).text).toBe("secure http/1.1 TLSv1.3");
  socket.destroy();
});

test("a program that does not take the certificate is named as the cause, and nothing is left open", async () => {
  const { port, outcome } = await intercepting("pinned.example.com");
  // OpenSSL's client says why before it leaves, which the runtime's own client does not.
  const child = Bun.spawn(
    [
      "openssl",
      "s_client",
      "-connect",
      `127.0.0.1:${port}`,
      "-verify_return_error",
      "-no-CAfile",
      "-no-CApath",
    ],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  const { text, stream, raw } = await outcome;
  expect(text).toBe(
    "The program in the sandbox does not accept the appliance's certificate for pinned.example.com.",
  );
  await child.exited;
  expect(stream.destroyed).toBe(true);
  expect(raw.destroyed).toBe(true);
});

test("what is not TLS, too old, too slow or broken off is refused, and nothing is left open", async () => {
  const cases: [sent: Buffer, after: "stay" | "leave", why: RegExp, withinMs?: number][] = [
    [Buffer.from("GET / HTTP/1.1\r\n\r\n"), "stay", /failed: .*HTTP_REQUEST/],
    [Buffer.from("16030100010a", "hex"), "stay", /no handshake within 0.3 s/, 300],
    [Buffer.from("16030100010a", "hex"), "leave", /the connection was closed/],
  ];
  for (const [sent, after, why, withinMs] of cases) {
    const { port, outcome } = await intercepting("api.example.com", withinMs);
    const socket = dial(port, "127.0.0.1", () => socket.write(sent));
    if (after === "leave") setTimeout(() => socket.destroy(), 50);
    socket.on("error", () => {});
    const { text, stream, raw } = await outcome;
    expect(text).toMatch(why);
    expect(stream.destroyed).toBe(true);
    expect(raw.destroyed).toBe(true);
    socket.destroy();
  }
  const { port, outcome } = await intercepting("api.example.com");
  const old = client(port, { servername: "api.example.com", minVersion: "TLSv1", maxVersion: "TLSv1.1" });
  old.on("error", () => {});
  expect((await outcome).text).toMatch(/UNSUPPORTED_PROTOCOL/);
});

async function origin(options: TlsOptions): Promise<{ port: number; opened: Socket[] }> {
  const opened: Socket[] = [];
  const server = createTlsServer(options);
  server.on("connection", (socket: Socket) => opened.push(socket));
  server.on("tlsClientError", () => {});
  return { port: await listening(server), opened };
}

const reasonOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "connected";
  } catch (thrown) {
    return thrown instanceof CcwError ? thrown.message : `not expected: ${thrown}`;
  }
};

const early = await openAuthority({ folder: join(folder, "a"), now: () => Date.now() + 2 * 24 * 3600_000 });
const leaf = await authority.leafFor("origin.test");

test.each([
  ["good", leaf, "origin.test", /^connected$/],
  ["an address", await authority.leafFor("127.0.0.1"), "127.0.0.1", /^connected$/],
  ["another name", leaf, "other.test", /other\.test showed is for other names \(DNS:origin\.test\)/],
  ["a name for an address", leaf, "127.0.0.1", /is for other names/],
  ["an address for a name", await authority.leafFor("127.0.0.1"), "origin.test", /is for other names/],
  [
    "an unknown authority",
    await stranger.leafFor("origin.test"),
    "origin.test",
    /that this appliance does not know/,
  ],
  ["expired", await weekAgo.leafFor("origin.test"), "origin.test", /has expired/],
  ["not yet valid", await early.leafFor("origin.test"), "origin.test", /is not valid yet/],
  [
    "old TLS",
    { ...leaf, minVersion: "TLSv1", maxVersion: "TLSv1.1" },
    "origin.test",
    /no TLS from version 1\.2/,
  ],
] as const)(
  "a server is believed only with a good certificate: %s",
  async (_name, options, host, expected) => {
    const { port, opened } = await origin(options);
    const address = "127.0.0.1";
    for (const way of ["dialled", "given"] as const) {
      const given = way === "given" ? dial(port, address) : undefined;
      const work = trust.connect({ over: given ?? { address, port }, host });
      expect(await reasonOf(work)).toMatch(expected);
      if (!/connected/.test(expected.source)) {
        await gone(opened);
        expect(given?.destroyed).not.toBe(false);
      } else (await work).destroy();
    }
  },
);

test("a server that stays silent, and one that is no longer wanted, are let go", async () => {
  const opened: Socket[] = [];
  const port = await listening(createServer((socket) => void opened.push(socket)));
  const over = { address: "127.0.0.1", port };
  expect(await reasonOf(trust.connect({ over, host: "slow.test", withinMs: 100 }))).toMatch(
    /no handshake within 0.1 s/,
  );
  const stop = new AbortController();
  setTimeout(() => stop.abort(new CcwError("conflict", "no longer wanted")), 50);
  expect(await reasonOf(trust.connect({ over, host: "slow.test", signal: stop.signal }))).toBe(
    "no longer wanted",
  );
  expect(await reasonOf(trust.connect({ over, host: "slow.test", signal: stop.signal }))).toBe(
    "no longer wanted",
  );
  await gone(opened);
  expect(opened.length).toBe(2);
  expect(await reasonOf(trust.connect({ over: { address: "127.0.0.1", port: 1 }, host: "x.test" }))).toMatch(
    /x\.test cannot be reached/,
  );
});

async function gone(sockets: Socket[]): Promise<void> {
  for (const socket of sockets) socket.on("error", () => {});
  await until("all are closed", () => sockets.every((socket) => socket.resume().destroyed));
}
