import { afterEach, describe, expect, test } from "bun:test";
import { deflateRawSync, gzipSync } from "node:zlib";
import { answerTo, everywhere, open, openInspected } from "./attacks.fixture.ts";
import { type Behaviour, closeEgress, get } from "./egress.fixture.ts";

afterEach(closeEgress);

const value = "Bearer inj3cted-Credential/of+this==";
const credentials = [{ host: "ok.test", header: "Authorization", value }];

/** Answers with what `say` makes of the request's head. */
const echo =
  (say: (head: string) => string): Behaviour =>
  (socket, bytes) =>
    void socket.write(Buffer.from(say(bytes.toString("latin1")), "latin1"));
const inBody = (body: string, ...headers: string[]) =>
  `${["HTTP/1.1 200 OK", ...headers, `Content-Length: ${body.length + 5}`].join("\r\n")}\r\n\r\n${body}hello`;

describe("ATTACKS 41", () => {
  const request = "GET / HTTP/1.1\r\nHost: $HOST\r\n\r\n";

  test("ATTACKS 41: a credential goes to its host over TLS, and to no other host, name below it, or plain HTTP", async () => {
    const inspected = await openInspected("ok.test", { credentials });
    expect(await inspected.inside(request)).toContain("hello");
    expect(inspected.origin.received).toContain(`\r\nAuthorization: ${value}\r\n`);
    for (const host of ["other.test", "below.ok.test", "notok.test"]) {
      const other = await openInspected(host, { credentials });
      expect(await other.inside(request)).toContain("hello");
      expect(other.origin.received).not.toContain("inj3cted");
    }
    const plain = await open({ credentials });
    expect(await answerTo(plain.door.socket, get(`http://ok.test:${plain.port}/`))).toContain("hello");
    expect(plain.origin.received).not.toContain("inj3cted");
  });

  test("ATTACKS 41: a credential is added whatever the rule says of inspecting, and the port", async () => {
    for (const rule of ["ok.test port=$PORT", "ok.test port=$PORT no-inspect"]) {
      const inspected = await openInspected("ok.test", { credentials, allow: [rule] });
      expect(await inspected.inside(request)).toContain("hello");
      expect(inspected.origin.received).toContain(`\r\nAuthorization: ${value}\r\n`);
    }
  });

  test("ATTACKS 41: a redirect is the sandbox's to follow, without the credential", async () => {
    const other = await open({ names: everywhere(["wild.test", "a.wild.test"]) });
    const location = `http://a.wild.test:${other.port}/taken`;
    const redirect = echo(
      () => `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 5\r\n\r\nhello`,
    );
    const { inside, origin } = await openInspected("ok.test", { credentials }, redirect);
    const answer = await inside(request);
    expect(answer).toContain(`Location: ${location}`);
    expect(origin.connections).toBe(1);
    expect(other.origin.connections).toBe(0);
    expect(await answerTo(other.door.socket, get(location))).toContain("hello");
    expect(other.origin.received).not.toContain("inj3cted");
  });

  test.each<[string, (head: string) => string]>([
    ["in the body", (head) => inBody(head)],
    ["in a header", () => inBody("", `X-Echo: ${value}`)],
    ["in a redirect", () => inBody("", `Location: /?t=${encodeURIComponent(value)}`)],
    ["in a cookie", () => inBody("", `Set-Cookie: t=${value}`)],
    ["as JSON", (head) => inBody(JSON.stringify({ head: JSON.stringify({ head }) }))],
    ["percent-encoded", (head) => inBody(encodeURIComponent(head))],
    ["in base64", (head) => inBody(Buffer.from(head).toString("base64"))],
    ["in base64url", (head) => inBody(Buffer.from(head).toString("base64url"))],
    ["in hexadecimal", (head) => inBody(Buffer.from(head).toString("hex"))],
    [
      "in chunks of one byte",
      (head) =>
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${[...head].map((c) => `1\r\n${c}\r\n`).join("")}5\r\nhello\r\n0\r\n\r\n`,
    ],
    ["until the connection closes", (head) => `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${head}hello`],
    ["in an error", (head) => inBody(head).replace("200 OK", "401 Unauthorized")],
    ["in the reason phrase", () => inBody("").replace("OK", value)],
    ["as its token alone", () => inBody(JSON.stringify({ token: value.slice("Bearer ".length) }))],
    ["as its token alone, in base64", () => inBody(Buffer.from(value.slice(7)).toString("base64"))],
    ["in an interim answer", () => `HTTP/1.1 103 Early Hints\r\nLink: <${value}>\r\n\r\n${inBody("")}`],
  ])("ATTACKS 41: an echo shows no credential: %s", async (_how, say) => {
    const { inside, origin, door } = await openInspected("ok.test", { credentials }, echo(say));
    const answer = await inside(request);
    expect(origin.received).toContain(value);
    expect(answer).toContain("hello");
    const forms = [
      answer,
      decodeURIComponent(answer.replace(/%(?![0-9a-f]{2})/gi, "%25")),
      answer.replace(/\r\n1\r\n/g, ""),
    ];
    for (const run of answer.match(/[A-Za-z0-9+/_-]{40,}/g) ?? []) {
      forms.push(Buffer.from(run, "base64").toString("latin1"), Buffer.from(run, "hex").toString("latin1"));
    }
    for (const form of forms) expect(form).not.toMatch(/inj3cted|Credential\/of/);
    expect(JSON.stringify([door.rows, door.lines])).not.toContain("inj3cted");
  });

  test.each([
    [
      "a user's password, decoded",
      `Basic ${Buffer.from("me:inj3cted-password").toString("base64")}`,
      "inj3cted-password",
    ],
    ["a secret in a template of its own", 'Key token="inj3cted-secret"; v=1', "inj3cted-secret"],
  ])("ATTACKS 41: an echo shows no part of a credential: %s", async (_what, value, part) => {
    const own = [{ host: "ok.test", header: "X-Key", value }];
    const secrets = [{ name: "secret KEY", value: "inj3cted-secret" }];
    const setting = { credentials: own, secrets };
    const { inside, origin } = await openInspected(
      "ok.test",
      setting,
      echo(() => inBody(`it is ${part}, `)),
    );
    expect(await inside(request)).toContain(`it is ${"*".repeat(part.length)}, hello`);
    expect(origin.received).toContain(`X-Key: ${value}\r\n`);
  });

  test.each([
    ["gzip", gzipSync],
    ["deflate", deflateRawSync],
  ] as const)(
    "ATTACKS 41: a compressed answer, in which nothing can be found, is 502: %s",
    async (coding, compress) => {
      const behave = echo((head) => inBody(compress(head).toString("latin1"), `Content-Encoding: ${coding}`));
      const { inside, origin } = await openInspected("ok.test", { credentials }, behave);
      const answer = await inside(`GET / HTTP/1.1\r\nHost: $HOST\r\nAccept-Encoding: ${coding}\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 502 [\s\S]*Reason: bad-answer/);
      expect(origin.received.toLowerCase()).not.toContain("accept-encoding");
    },
  );
});
