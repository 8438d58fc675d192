import { afterEach, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { hello as clientHello, serverNames } from "./client-hello.fixture.ts";
import {
  ask,
  client,
  closeEgress,
  connectTo,
  type EgressFixture,
  get,
  openEgress,
  startOrigin,
  tlsThrough,
} from "./egress.fixture.ts";
import { openInspected, soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

test("ATTACKS 36: a flood of tunnels → 429; what is open goes on, and other sandboxes notice nothing", async () => {
  const origin = await startOrigin((socket, bytes) => void socket.write(bytes));
  const rules = {
    names: { "raw.test": ["127.0.0.1"] },
    allow: [`raw.test port=${origin.port} raw`],
    limits: { connections: 20 },
  };
  const [flooded, other] = [await openEgress(rules), await openEgress(rules)];
  const target = connectTo(`raw.test:${origin.port}`);
  const tunnels = await Promise.all(Array.from({ length: 120 }, () => client(flooded.socket, target)));
  const answers = await Promise.all(tunnels.map((tunnel) => tunnel.until("\r\n\r\n")));
  const granted = tunnels.filter((_, index) => answers[index]?.startsWith("HTTP/1.1 200 "));
  expect(granted).toHaveLength(20);
  expect(answers.filter((text) => text.startsWith("HTTP/1.1 429 "))).toHaveLength(100);
  expect(answers.find((text) => text.startsWith("HTTP/1.1 429 "))).toContain(
    "X-Deny-Reason: too-many-connections",
  );
  expect(origin.connections).toBe(20);

  const neighbour = await client(other.socket, `${target}over there`);
  expect(await neighbour.until("over there")).toEndWith("over there");
  for (const tunnel of granted) tunnel.write("still here");
  for (const tunnel of granted) expect(await tunnel.until("still here")).toEndWith("still here");
  granted[0]?.destroy();
  await soon(() => flooded.rows.some(({ verdict, ms }) => verdict === "allowed" && ms >= 0));
  expect(await (await client(flooded.socket, target)).until("\r\n\r\n")).toStartWith("HTTP/1.1 200 ");
});

test("ATTACKS 36: a flood of requests that are refused is read no faster than anybody has use for; others notice nothing", async () => {
  const origin = await startOrigin();
  const url = `http://ok.test:${origin.port}/`;
  const rules = { allow: [`ok.test port=${origin.port}`] };
  const door = await openEgress({ names: { "ok.test": ["127.0.0.1"] }, ...rules });
  const other = await door.neighbour(rules);
  const refused = get("http://evil.test/").repeat(1500);
  const floods = await Promise.all([1, 2, 3, 4].map(() => client(door.socket, refused)));
  const broken = await Promise.all(
    Array.from({ length: 50 }, () => client(door.socket, "nothing like HTTP\r\n\r\n")),
  );
  await soon(() => door.rows.length >= 2000);
  expect(await (await client(other.socket, get(url))).until("hello")).toEndWith("hello");
  await Bun.sleep(600);
  // Of 6050, which otherwise would all have been refused by now.
  expect(door.rows.length).toBeLessThan(4000);
  // It goes on, slowly, and so does what the sandbox may do.
  const rows = door.rows.length;
  await soon(() => door.rows.length > rows);
  for (const flood of [...floods, ...broken]) flood.destroy();
  expect(await (await client(door.socket, get(url))).until("hello")).toEndWith("hello");
}, 180_000);

test("ATTACKS 35: 500 MB that nobody takes, either way, stay with whoever sends them", async () => {
  const child = Bun.spawn([process.execPath, fileURLToPath(import.meta.resolve("./stalled.fixture.ts"))], {
    stdout: "pipe",
  });
  const results = z
    .array(z.object({ name: z.string(), grown: z.number(), sent: z.number() }))
    .parse(await new Response(child.stdout).json());
  expect(results.map(({ name }) => name)).toEqual([
    ...[
      "tunnel down",
      "tunnel up",
      "answer",
      "body",
      "inspected down",
      "inspected slowly",
      "inspected up",
      "refusals",
      "refusals written",
    ],
  ]);
  for (const { name, grown } of results) expect([name, grown < 60]).toEqual([name, true]);
  for (const { name, sent } of results.slice(0, 7)) expect([name, sent < 40]).toEqual([name, true]);
  // Of 200,000 that were asked for.
  expect(results.at(-1)?.sent).toBeLessThan(10_000);
}, 180_000);

/** Every place is free again, every row is closed, and every origin's connection is over. */
async function nothingIsLeft(door: EgressFixture, open: () => number): Promise<void> {
  await soon(() => door.rows.every(({ ms }) => ms >= 0));
  await soon(() => open() === 0);
}

test("ATTACKS 37: a client that goes during the look-up, the dialling or the handshakes leaves nothing behind", async () => {
  const silent = await startOrigin(() => {});
  const limits = { connections: 3 };
  const names = { "ok.test": ["127.0.0.1"] };
  const host = `ok.test:${silent.port}`;
  const allow = [`ok.test port=${silent.port} write`];
  const lookingUp = await openEgress({ names, allow, limits, lookupMs: 60 });
  const proxy = { hostname: "127.0.0.1", port: silent.port, authorization: undefined, resolves: true };
  const dialling = await openEgress({ names, allow, limits, proxy });
  const reading = await openEgress({ names, allow: [`ok.test port=${silent.port} inspect`], limits });
  const heads = [
    get(`http://${host}/`),
    `POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 9\r\n\r\nabc`,
    connectTo(host),
    `${connectTo(host)}${clientHello([serverNames("ok.test")]).toString("latin1")}`,
    `${connectTo(host)}${clientHello([serverNames("ok.test")])
      .subarray(0, 9)
      .toString("latin1")}`,
  ];
  for (const door of [lookingUp, dialling, reading]) {
    for (let round = 0; round < 4; round++) {
      for (const head of heads) {
        const connection = await client(door.socket, head);
        await Bun.sleep(round * 15);
        connection.destroy();
        await nothingIsLeft(door, () => silent.open.size);
      }
    }
    expect(door.rows.map(({ reason }) => reason)).not.toContain("too-many-connections");
  }
});

test("ATTACKS 37: a client that goes while TLS to the origin is under way leaves nothing behind", async () => {
  const silent = await startOrigin(() => {});
  const { door, open } = await openInspected({
    names: { "ok.test": ["127.0.0.1"], "mute.test": ["127.0.0.1"] },
    limits: { connections: 4 },
  });
  for (let round = 0; round < 3; round++) {
    const tls = await open();
    tls.destroy();
  }
  await nothingIsLeft(door, () => 0);
  door.change({ allow: [`ok.test port=${silent.port} inspect`] });
  for (let round = 0; round < 3; round++) {
    const tls = await tlsThrough(door.socket, `ok.test:${silent.port}`, {
      servername: "ok.test",
      ca: door.authority.certificatePem,
    });
    tls.write(`GET / HTTP/1.1\r\nHost: ok.test:${silent.port}\r\n\r\n`);
    await soon(() => silent.open.size === 1);
    tls.destroy();
    await nothingIsLeft(door, () => silent.open.size);
  }
});

const badAnswers: [name: string, bytes: string][] = [
  ["status 099", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"],
  ["status 600", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n"],
  ["status 20", "HTTP/1.1 20 OK\r\n\r\n"],
  ["HTTP/2", "HTTP/2 200 OK\r\n\r\n"],
  ["HTTP/0.9", "<html>hello</html>"],
  ["a giant header", `HTTP/1.1 200 OK\r\nX: ${"y".repeat(70_000)}\r\n\r\n`],
  ["too many headers", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(300)}\r\n`],
  ["conflicting lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
  ["a signed length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab"],
  ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["an odd coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
  ["a bare line feed", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
  ["a folded header", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"],
  ["a bad chunk in the segment of its head", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
];

for (const [name, bytes] of badAnswers) {
  test(`ATTACKS 37: an answer with ${name} → 502, and one answer only`, async () => {
    const origin = await startOrigin((socket) => void socket.write(Buffer.from(bytes, "latin1")));
    const host = `ok.test:${origin.port}`;
    const door = await openEgress({
      names: { "ok.test": ["127.0.0.1"] },
      allow: [`ok.test port=${origin.port}`],
    });
    const answer = await ask(door.socket, get(`http://${host}/`));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(await door.row()).toMatchObject({ verdict: "failed", reason: "bad-answer", status: 502 });
    await nothingIsLeft(door, () => origin.open.size);
  });
}

const broken: [name: string, first: string, then: string | undefined][] = [
  ["a body shorter than its length", "Content-Length: 10\r\n\r\nabc", undefined],
  ["chunks without their end", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", undefined],
  ["a bad chunk later on", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "xyz\r\n"],
];

for (const [name, first, then] of broken) {
  test(`ATTACKS 37: ${name} → cut, so that no client takes it for whole`, async () => {
    const origin = await startOrigin((socket) => void socket.write(`HTTP/1.1 200 OK\r\n${first}`));
    const host = `ok.test:${origin.port}`;
    const door = await openEgress({
      names: { "ok.test": ["127.0.0.1"] },
      allow: [`ok.test port=${origin.port}`],
    });
    const connection = await client(door.socket, get(`http://${host}/`));
    await connection.until("abc");
    for (const socket of origin.open) then === undefined ? socket.end() : socket.write(then);
    const answer = await connection.over();
    expect(connection.closed).toBe(true);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*abc(\r\n)?$/);
    expect(await door.row()).toMatchObject({ verdict: "failed", reason: "bad-answer", status: 200 });
    await nothingIsLeft(door, () => origin.open.size);
  });
}
