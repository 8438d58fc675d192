import { afterEach, describe, expect, test } from "bun:test";
import { createLog } from "../../log.ts";
import {
  answerTo,
  everywhere,
  expectPassage,
  expectRefusal,
  forms,
  open,
  openInspected,
} from "./attacks.fixture.ts";
import { client, closeEgress, connectTo, get, type Origin } from "./egress.fixture.ts";

afterEach(closeEgress);

const statuses = (answers: string) =>
  [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status).join(", ");
const paths = (origin: Origin) =>
  [...origin.received.matchAll(/^GET (\S+)/gm)].map(([, path]) => path).join(", ");
const text = (value: string) => Buffer.from(value, "latin1");

test.each<[string, Uint8Array, number]>([
  ["SOCKS 5", text("\x05\x01\x00"), 400],
  ["SOCKS 5 with its request", text("\x05\x01\x00\x05\x01\x00\x03\x07ok.test\x00\x50"), 400],
  ["SOCKS 4", text("\x04\x01\x00\x50\x7f\x00\x00\x01\x00"), 400],
  ["SOCKS 4a", text("\x04\x01\x00\x50\x00\x00\x00\x01\x00ok.test\x00"), 400],
  [
    "HTTP/2 with prior knowledge",
    text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    400,
  ],
  ["HTTP/0.9", text("GET http://ok.test/\r\n"), 400],
  ["HTTP/0.9 by its version", text("GET http://ok.test/ HTTP/0.9\r\n\r\n"), 505],
  ["HTTP/2 by its version", text("GET http://ok.test/ HTTP/2.0\r\nHost: ok.test\r\n\r\n"), 505],
  ["TLS to the proxy itself", text("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400],
  ["SSH", text("SSH-2.0-OpenSSH_9.2\r\n"), 400],
  ["an SMTP greeting", text("EHLO ok.test\r\n"), 400],
  ["a Redis command", text("*1\r\n$4\r\nPING\r\n"), 400],
  ["NULs", new Uint8Array(64), 400],
])("ATTACKS 24: %s is refused at once", async (_name, bytes, status) => {
  const { door, origin } = await open({ access: "full" });
  await expectRefusal(door, bytes, { status, reason: "bad-request" });
  expect(origin.connections).toBe(0);
});

test("ATTACKS 25: TRACE and TRACK are 405, in a tunnel too", async () => {
  const { door, port, origin } = await open();
  for (const method of ["TRACE", "TRACK"]) {
    const refusal = { status: 405, reason: "method-not-supported" };
    await expectRefusal(door, get(`http://ok.test:${port}/`).replace("GET", method), refusal);
  }
  expect(origin.connections).toBe(0);
  const inspected = await openInspected("ok.test", { allow: ["ok.test port=$PORT inspect write"] });
  for (const method of ["TRACE", "TRACK", "CONNECT"]) {
    const answer = await inspected.inside(`${method} / HTTP/1.1\r\nHost: $HOST\r\n\r\n`);
    expect(answer).toMatch(method === "CONNECT" ? /^HTTP\/1\.1 400 / : /^HTTP\/1\.1 405 /);
  }
  expect(inspected.origin.connections).toBe(0);
});

test("ATTACKS 25: any scheme but http is 400, and so is CONNECT to a URL", async () => {
  const { door, port, origin } = await open({ access: "full" });
  for (const scheme of [
    "https",
    "ftp",
    "ws",
    "wss",
    "file",
    "gopher",
    "unix",
    "HTTPS",
    "http+unix",
    "view-source",
  ]) {
    const bytes = `GET ${scheme}://ok.test:${port}/ HTTP/1.1\r\nHost: ok.test:${port}\r\n\r\n`;
    await expectRefusal(door, bytes, { status: 400, reason: "bad-request" });
  }
  for (const target of ["http:ok.test/", "http:/ok.test/", "//ok.test/", "ok.test/", "*", "javascript:1"]) {
    const bytes = `OPTIONS ${target} HTTP/1.1\r\nHost: ok.test\r\n\r\n`;
    if (!target.startsWith("/")) await expectRefusal(door, bytes, { status: 400, reason: "bad-request" });
    else expect(await answerTo(door.socket, bytes)).toMatch(/^HTTP\/1\.1 4/);
  }
  await expectRefusal(door, connectTo(`http://ok.test:${port}`), { status: 400, reason: "bad-host" });
  await expectRefusal(door, connectTo("/session"), { status: 400, reason: "bad-host" });
  expect(origin.connections).toBe(0);
});

test("ATTACKS 30: on a connection that was let, a later request to a denied host is refused", async () => {
  const { door, port, origin } = await open({ deny: ["denied.test"] });
  const connection = await client(door.socket, get(`http://ok.test:${port}/one`));
  await connection.until("hello");
  connection.write(get(`http://denied.test:${port}/two`));
  await connection.until("Reason: host-denied.");
  connection.write(get(`http://ok.test:${port}/three`));
  await connection.until(/hello[\s\S]*hello/);
  connection.write(connectTo(`denied.test:${port}`));
  await connection.until(/denied\.\n[\s\S]*denied\.\n/);
  expect(statuses(connection.text)).toBe("200, 403, 200, 403");
  expect(paths(origin)).toBe("/one, /three");
  expect(door.rows.map(({ host, verdict }) => [host, verdict])).toEqual([
    ["ok.test", "allowed"],
    ["denied.test", "refused"],
    ["ok.test", "allowed"],
    ["denied.test", "refused"],
  ]);
  expect(door.lookups).not.toContain("denied.test");
});

test("ATTACKS 30: requests that come in one write are judged one by one", async () => {
  const { door, port, origin } = await open({ deny: ["denied.test"] });
  const three = ["ok.test", "denied.test", "ok.test"].map((host, i) => get(`http://${host}:${port}/${i}`));
  const connection = await client(door.socket, three.join(""));
  await connection.until(/hello[\s\S]*Reason: host-denied[\s\S]*hello/);
  expect(statuses(connection.text)).toBe("200, 403, 200");
  expect(paths(origin)).toBe("/0, /2");
});

test("ATTACKS 30: inside a tunnel that is read, a later request is judged by its own Host and path", async () => {
  const { door, origin, inside } = await openInspected("ok.test", {
    allow: ["ok.test port=$PORT path=/open"],
  });
  const get = (path: string, host = "$HOST") => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const answers = await inside(get("/open"), get("/shut"), get("/open/2"), get("/open", "denied.test"));
  expect(statuses(answers)).toBe("200, 403, 200, 421");
  expect(answers).toMatch(/path-not-allowed[\s\S]*misdirected/);
  expect(paths(origin)).toBe("/open, /open/2");
  expect(door.rows.slice(1).map(({ host, reason }) => `${host} ${reason}`)).toEqual([
    expect.stringContaining("ok.test ok.test"),
    "ok.test path-not-allowed",
    expect.stringContaining("ok.test ok.test"),
    "denied.test misdirected",
  ]);
});

test("ATTACKS 43: CR and LF in a URL forge no line of log or ledger, and split no request", async () => {
  const { door, port, origin } = await open();
  let written = "";
  const log = createLog((lines) => {
    written += lines;
  }, Date.now);
  for (const raw of ["\r\n", "\n", "\r", "\0", "\x1b[2J", "\x85", "\xe2\x80\xa8"]) {
    const url = `http://ok.test:${port}/a${raw}{"verdict":"allowed"}`;
    await expectRefusal(door, get(url), { status: 400 });
  }
  const path = '/a%0d%0aX-Forged:%201%0d%0a%0d%0aGET%20/b?c=%0a{"verdict":"forged"}%E2%80%A8';
  await expectPassage(door, origin, get(`http://ok.test:${port}${path}`), "ok.test");
  expect(origin.received).toContain(`GET ${path} HTTP/1.1\r\n`);
  expect(origin.received).not.toContain("\r\nX-Forged");
  for (const fields of door.lines) log.every("egress", fields);
  log.flush();
  const lines = written.trimEnd().split("\n");
  expect(lines.length).toBe(door.rows.length);
  for (const line of lines) {
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(line).verdict).toMatch(/^(allowed|refused)$/);
  }
  for (const { host, path: shown } of door.rows) expect(`${host}${shown}`).toMatch(/^[\x20-\x7e]*$/);
});

test("ATTACKS 43: secrets in a query are blotted out in ledger and log, and reach the origin whole", async () => {
  const { door, port, origin } = await open();
  const token = "ghp_0123456789abcdefghijABCDEFGHIJ";
  const query = `q=books&access_token=sesame-one&password=sesame-two&x=${token}&sig=sesame-three`;
  await expectPassage(door, origin, get(`http://ok.test:${port}/list?${query}`), "ok.test");
  expect(origin.received).toContain(`GET /list?${query} HTTP/1.1`);
  door.change({ deny: ["ok.test"] });
  await expectRefusal(door, get(`http://ok.test:${port}/list?${query}`), {
    status: 403,
    reason: "host-denied",
  });
  for (const kept of [door.rows, door.lines, door.notices].map((it) => JSON.stringify(it))) {
    expect(kept).not.toMatch(/sesame|ghp_/);
  }
  expect(door.rows[0]?.path).toBe("/list?q=books&access_token=***&password=***&x=***&sig=***");
});

test("ATTACKS 43: a user name and password in a URL are kept nowhere", async () => {
  const { door } = await open();
  await expectRefusal(door, get("http://me:sesame@ok.test/"), { status: 400, reason: "bad-host" });
  expect(JSON.stringify([door.rows, door.lines])).not.toContain("sesame");
});

describe("ATTACKS 45", () => {
  /** One row: a setting, a host, and what both ways must answer. */
  const verdicts: [what: string, setting: Parameters<typeof open>[0], host: string, verdict: string][] = [
    ["a host that is listed", {}, "ok.test", "allowed"],
    ["below a wildcard", {}, "a.wild.test", "allowed"],
    ["a host that is not listed", {}, "evil.test", "403 host-not-allowed"],
    ["a denied host in Full", { access: "full", deny: ["evil.test"] }, "evil.test", "403 host-denied"],
    ["a denied host that is listed", { deny: ["ok.test"] }, "ok.test", "403 host-denied"],
    ["another port", { allow: ["ok.test"] }, "ok.test", "403 port-not-allowed"],
    ["no access at all", { access: "none" }, "ok.test", "403 no-egress"],
    ["an address", { access: "full" }, "127.0.0.1", "403 host-not-allowed"],
    ["a name that leads inside", { allowedRanges: [] }, "ok.test", "403 address-not-allowed"],
    ["a name without an address", {}, "none.wild.test", "502 name-not-found"],
    ["no more requests", { limits: { requestsPerMinute: 0 } }, "ok.test", "429 too-many-requests"],
    ["no more connections", { limits: { connections: 0 } }, "ok.test", "429 too-many-connections"],
    ["no more names", { limits: { namesPerMinute: 0 } }, "a.wild.test", "429 too-many-names"],
    ["no host", {}, "ok..test", "400 bad-host"],
  ];

  test.each(verdicts)(
    "ATTACKS 45: http:// and CONNECT get one verdict: %s",
    async (_what, setting, host, verdict) => {
      for (const [, request] of forms) {
        const { door, port } = await open({ ...setting });
        const answer = await answerTo(door.socket, request(`${host}:${port}`));
        const [, status, reason] = /^HTTP\/1\.1 (\d+) [^\r]*\r\n(?:X-Deny-Reason: (\S+))?/.exec(answer) ?? [];
        expect(status === "200" ? "allowed" : `${status} ${reason}`).toBe(verdict);
        expect((await door.row()).reason).toBe(reason ?? door.rows[0]?.reason ?? "no row");
      }
    },
  );

  test("ATTACKS 45: what is read inside TLS and in the clear gets one verdict", async () => {
    const requests: [request: string, verdict: RegExp][] = [
      ["GET / HTTP/1.1\r\n", /hello$/],
      ["POST / HTTP/1.1\r\nContent-Length: 1\r\n", /X-Deny-Reason: read-only\r\n/],
      ["DELETE / HTTP/1.1\r\n", /X-Deny-Reason: read-only\r\n/],
      ["GET / HTTP/1.1\r\nAuthorization: Bearer mine\r\n", /X-Deny-Reason: foreign-credential\r\n/],
      ["GET /?access_token=mine HTTP/1.1\r\n", /X-Deny-Reason: foreign-credential\r\n/],
      ["GET /a/info/refs?service=git-receive-pack HTTP/1.1\r\n", /X-Deny-Reason: read-only\r\n/],
      ["GET /?a=s3cret-Of-the-appliance HTTP/1.1\r\n", /X-Deny-Reason: secret-found\r\n/],
    ];
    const secrets = [{ name: "DEPLOY_KEY", value: "s3cret-Of-the-appliance" }];
    const inspected = await openInspected("ok.test", { secrets });
    const plain = await open({
      allow: ["ok.test port=$PORT inspect"],
      secrets,
      names: everywhere(["ok.test"]),
    });
    for (const [request, verdict] of requests) {
      const end = request.includes("Length") ? "\r\nx" : "\r\n";
      expect(await inspected.inside(`${request}Host: $HOST\r\n${end}`)).toMatch(verdict);
      const host = `ok.test:${plain.port}`;
      const absolute = request.replace(" /", ` http://${host}/`);
      expect(await answerTo(plain.door.socket, `${absolute}Host: ${host}\r\n${end}`)).toMatch(verdict);
    }
    expect(inspected.origin.connections).toBe(1);
    expect(plain.origin.connections).toBe(1);
  });
});
