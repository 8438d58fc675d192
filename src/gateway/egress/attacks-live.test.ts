import { afterEach, expect, test } from "bun:test";
import { client, closeEgress, connectTo, get, openEgress, startOrigin } from "./egress.fixture.ts";
import { openInspected, reading, soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

test("ATTACKS 38: a tightened policy cuts live tunnels, inspected connections and requests at once; others go on", async () => {
  const echo = await startOrigin((socket, bytes) => void socket.write(bytes));
  const stuck = await startOrigin((socket, bytes) => {
    if (bytes.includes("begun")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
  });
  const { door, origin, open } = await openInspected(
    {
      names: Object.fromEntries(["ok", "bad", "good", "stuck"].map((n) => [`${n}.test`, ["127.0.0.1"]])),
      allow: [
        `bad.test port=${echo.port} raw`,
        `good.test port=${echo.port} raw`,
        `stuck.test port=${stuck.port}`,
      ],
    },
    () => {},
  );
  const bad = await client(door.socket, `${connectTo(`bad.test:${echo.port}`)}one`);
  const good = await client(door.socket, `${connectTo(`good.test:${echo.port}`)}one`);
  const waiting = await client(door.socket, get(`http://stuck.test:${stuck.port}/`));
  const begun = await client(door.socket, get(`http://stuck.test:${stuck.port}/begun`));
  const idle = reading(await open());
  const busy = await open();
  const inside = reading(busy);
  busy.write(`GET / HTTP/1.1\r\nHost: ok.test:${origin.port}\r\n\r\n`);
  await Promise.all([bad.until("one"), good.until("one"), begun.until("abc")]);
  await soon(() => stuck.open.size === 2 && origin.open.size === 1);

  door.change({ allow: [`good.test port=${echo.port} raw`] });
  await Promise.all([bad.over(), waiting.over(), begun.over()]);
  expect([bad.closed, waiting.closed, begun.closed, good.closed]).toEqual([true, true, true, false]);
  await soon(() => idle.over && inside.over);
  expect(waiting.text).toStartWith(
    "HTTP/1.1 403 Forbidden (ccw-server: policy-changed)\r\nX-Deny-Reason: policy-changed\r\n",
  );
  expect(begun.text).toEndWith("abc");
  good.write("two");
  expect(await good.until("onetwo")).toEndWith("onetwo");
  await soon(() => stuck.open.size === 0 && origin.open.size === 0 && echo.open.size === 1);
  const cut = door.rows.filter(({ verdict }) => verdict === "cut");
  expect(cut.map(({ reason }) => reason)).toEqual(cut.map(() => "policy-changed"));
  expect(cut).toHaveLength(door.rows.length - 1);

  // Nothing of a tunnel that was cut arrives any more.
  const before = echo.received;
  bad.write("late");
  await Bun.sleep(30);
  expect(echo.received).toBe(before);
});

test("ATTACKS 38: what was read through unread is cut when it is to be inspected", async () => {
  const origin = await startOrigin((socket, bytes) => void socket.write(bytes));
  const rule = `ok.test port=${origin.port}`;
  const door = await openEgress({ names: { "ok.test": ["127.0.0.1"] }, allow: [`${rule} raw`] });
  const tunnel = await client(door.socket, `${connectTo(`ok.test:${origin.port}`)}one`);
  await tunnel.until("one");
  door.change({ allow: [`${rule} inspect`] });
  await tunnel.over();
  expect(tunnel.closed).toBe(true);
  expect(await door.row()).toMatchObject({ verdict: "cut", reason: "policy-changed" });
});

test("ATTACKS 38: what a tunnel waits for is cut with it: look-up, ClientHello, handshake", async () => {
  const origin = await startOrigin(() => {});
  const host = `ok.test:${origin.port}`;
  for (const [rule, lookupMs] of [
    ["", 100],
    ["", 0],
    ["inspect", 0],
    ["inspect", 100],
  ] as const) {
    const door = await openEgress({
      names: { "ok.test": ["127.0.0.1"] },
      allow: [`ok.test port=${origin.port} ${rule}`],
      lookupMs,
    });
    const tunnel = await client(door.socket, connectTo(host));
    if (lookupMs === 0) await tunnel.until("\r\n\r\n");
    else await soon(() => door.lookups.length === 1);
    door.change({ allow: [] });
    await tunnel.over();
    expect(tunnel.closed).toBe(true);
    expect(tunnel.text).toStartWith(lookupMs === 0 ? "HTTP/1.1 200 " : "HTTP/1.1 403 ");
    expect(tunnel.text.match(/HTTP\/1/g)).toHaveLength(1);
    expect(await door.row()).toMatchObject({ verdict: "cut", reason: "policy-changed" });
    await Bun.sleep(lookupMs);
    await soon(() => origin.open.size === 0);
  }
});

test("ATTACKS 38: a loosened policy lets the next request through, on the same connection", async () => {
  const origin = await startOrigin();
  const door = await openEgress({ names: { "ok.test": ["127.0.0.1"] } });
  const request = get(`http://ok.test:${origin.port}/`);
  const connection = await client(door.socket, request);
  expect(await connection.until("granted.")).toStartWith("HTTP/1.1 403 ");
  door.change({ allow: [`ok.test port=${origin.port}`] });
  connection.write(request);
  expect(await connection.until("hello")).toContain("HTTP/1.1 200 OK");
});

test("ATTACKS 44: the upload budget holds over requests and tunnels together; what exceeds it is cut and told", async () => {
  const origin = await startOrigin((socket, bytes) => {
    if (bytes.includes("GET") || bytes.includes("POST"))
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  });
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"], "raw.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port} write`, `raw.test port=${origin.port} raw`],
    limits: { uploadBytes: 10_000 },
    uploaded: 1000,
  });
  const host = `ok.test:${origin.port}`;
  const post = (size: number) =>
    `POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${size}\r\n\r\n${"p".repeat(size)}`;
  const requests = await client(door.socket, post(2000));
  await requests.until("hello");
  requests.write(post(2000));
  await requests.until(/hello[\s\S]*hello/);

  const tunnel = await client(door.socket, connectTo(`raw.test:${origin.port}`));
  await tunnel.until("\r\n\r\n");
  tunnel.write("t".repeat(3000));
  await soon(() => origin.received.includes("t".repeat(3000)));
  tunnel.write("u".repeat(3000));
  await tunnel.over();
  expect(tunnel.closed).toBe(true);
  expect(await door.row(2)).toMatchObject({ verdict: "cut", reason: "upload-budget", bytesUp: 3000 });

  // What was told to be spent is spent, though a head would still fit.
  requests.write(post(5000));
  const answer = await requests.over();
  expect(answer).toContain(
    "HTTP/1.1 403 Forbidden (ccw-server: upload-budget)\r\nX-Deny-Reason: upload-budget\r\n",
  );
  expect(await door.row(3)).toMatchObject({ verdict: "refused", reason: "upload-budget", status: 403 });
  expect(origin.received).not.toContain("p".repeat(2001));
  expect(origin.received).not.toContain("u");
  expect(door.notices.length).toBeGreaterThan(0);
  for (const notice of door.notices) expect(notice).toContain("upload budget of 9.8KiB");
  const sent = door.rows.reduce((sum, { bytesUp }) => sum + bytesUp, 0);
  expect(sent).toBeLessThanOrEqual(9000);
  expect(sent).toBe(origin.received.length);
});
