import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { Webhook } from "standardwebhooks";
import { z } from "zod";
import { loadConfig } from "./config.ts";
import { isId } from "./domain/ids.ts";
import type { NotificationMessage } from "./domain/notification.ts";
import { channelSettingsSchema } from "./domain/notification-channel.ts";
import { readAuthorities } from "./gateway/egress/authorities.ts";
import { testCertificate, testKey } from "./gateway/model/tls.fixture.ts";
import { openNotifications } from "./open-notifications.ts";

/** Real receivers on loopback; signatures, JSON and mail are read by other people's implementations. */
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const taskId = "tsk_01234567890123456789";
const message: NotificationMessage = {
  id: "msg_0123456789abcdef",
  kind: "failed",
  at: 1_800_000_000_000,
  person: "ada",
  title: 'Grüße "an"\r\nBcc: eve@example.com\r\n\r\nalle 🎉',
  reason: "The clone failed.",
  taskId: isId("TaskId", taskId) ? taskId : undefined,
  url: `http://ccw.lan:7080/tasks/${taskId}`,
};
const secret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
const never = new AbortController().signal;

/** As ccw.toml says it. */
function ways(toml = '[notifications]\nallowed_ranges = ["127.0.0.1"]\n', ownPort = 0) {
  const folder = mkdtempSync(join(tmpdir(), "ccw-ways-"));
  writeFileSync(join(folder, "ccw.toml"), toml);
  const config = loadConfig({ data: folder }, {});
  const opened = openNotifications({
    config,
    authorities: readAuthorities(config.egress.caFile).trusted,
    ownPort: () => ownPort,
    now: Date.now,
  });
  closers.push(() => {
    opened.close();
    rmSync(folder, { recursive: true });
  });
  const send = (settings: unknown, about: Partial<NotificationMessage> = {}) =>
    opened.send(channelSettingsSchema.parse(settings), { ...message, ...about }, never);
  const judge = (settings: unknown) => opened.judge(channelSettingsSchema.parse(settings));
  return Object.assign(send, { judge });
}

function receive(answer: (request: Request) => Response | Promise<Response> = () => new Response("ok")) {
  const requests: { method: string; path: string; headers: Record<string, string>; body: string }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      requests.push({
        method: request.method,
        path: new URL(request.url).pathname,
        headers: request.headers.toJSON(),
        body: await request.text(),
      });
      return answer(request);
    },
  });
  closers.push(() => server.stop(true));
  return { requests, url: `http://127.0.0.1:${server.port}`, port: server.port ?? 0 };
}

test("a webhook is signed so that an independent implementation of the specification takes it", async () => {
  const { requests, url } = receive();
  const send = ways();
  expect(await send({ kind: "webhook", url: `${url}/hook?a=1`, secret })).toEqual({
    kind: "sent",
    status: 200,
  });
  const [request] = requests;
  expect(request?.method).toBe("POST");
  expect(request?.headers).toMatchObject({ "content-type": "application/json", "webhook-id": message.id });
  const read = new Webhook(secret).verify(request?.body ?? "", request?.headers ?? {});
  expect(read).toEqual({
    type: "task.failed",
    timestamp: new Date(message.at).toISOString(),
    data: {
      headline: 'Failed: Grüße "an" Bcc: eve@example.com alle 🎉',
      title: 'Grüße "an" Bcc: eve@example.com alle 🎉',
      ...{ reason: message.reason, person: "ada", taskId, url: message.url },
    },
  });
  const other = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;
  expect(() => new Webhook(other).verify(request?.body ?? "", request?.headers ?? {})).toThrow();
});

test("what a receiver answers decides: taken, again, again later, or never", async () => {
  const send = ways();
  const answered = async (status: number, headers: Record<string, string> = {}) => {
    const { url } = receive(() => new Response("no", { status, headers }));
    return send({ kind: "webhook", url, secret });
  };
  expect(await answered(204)).toEqual({ kind: "sent", status: 204 });
  expect(await answered(500)).toMatchObject({ kind: "again", status: 500 });
  expect(await answered(429, { "retry-after": "120" })).toMatchObject({ kind: "again", afterMs: 120_000 });
  expect(await answered(410)).toMatchObject({ kind: "refused", off: true });
});

test("a redirect is not followed, and an answer without end is not read", async () => {
  const inner = receive();
  const { url } = receive(() => Response.redirect(`${inner.url}/secret`, 307));
  const send = ways();
  expect(await send({ kind: "webhook", url, secret })).toMatchObject({ kind: "again", status: 307 });
  expect(inner.requests).toEqual([]);
  const endless = receive(
    () => new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1024 ** 2)) })),
  );
  const before = process.memoryUsage.rss();
  expect(await send({ kind: "webhook", url: endless.url, secret })).toMatchObject({ kind: "sent" });
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 ** 2);
});

test("addresses that the operator has not allowed are not reached, whatever names them", async () => {
  const { url, port, requests } = receive();
  const send = ways("");
  for (const address of [
    url,
    `http://localhost:${port}/`,
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1/",
    "http://[::ffff:127.0.0.1]/",
  ]) {
    const outcome = await send({ kind: "webhook", url: address, secret });
    expect(outcome).toMatchObject({ kind: "again", status: 0 });
    expect(outcome.kind === "again" && outcome.error).toMatch(/allowed_ranges/);
    await expect(send.judge({ kind: "ntfy", url: new URL("/topic", address).href })).rejects.toMatchObject({
      code: "forbidden",
      hint: expect.stringContaining("allowed_ranges"),
    });
  }
  // The appliance itself stays out of reach, even where loopback is allowed.
  const own = ways(undefined, port);
  expect(await own({ kind: "webhook", url, secret })).toMatchObject({ kind: "again", status: 0 });
  await expect(own.judge({ kind: "webhook", url, secret })).rejects.toMatchObject({ code: "forbidden" });
  expect(requests).toEqual([]);
});

test("an address that is allowed, a name that nobody knows now, and a mailbox pass before anything is sent", async () => {
  const { url, requests } = receive();
  const { judge } = ways();
  await judge({ kind: "webhook", url, secret });
  // Longer than a name's part may be: no server is asked for it.
  await judge({ kind: "webhook", url: `https://${"x".repeat(64)}.invalid/`, secret });
  await judge({ kind: "email", address: "ada@example.com" });
  expect(requests).toEqual([]);
});

/** `publishMessage` of ntfy's server, by the documentation's table "Publish as JSON". */
const ntfyPublish = z.strictObject({
  topic: z.string().regex(/^[-_A-Za-z0-9]{1,64}$/),
  message: z.string().max(4096).optional(),
  title: z.string().optional(),
  tags: z.array(z.string()).optional(),
  priority: z.number().int().min(1).max(5).optional(),
  actions: z.array(z.unknown()).optional(),
  click: z.url().optional(),
  attach: z.url().optional(),
  markdown: z.boolean().optional(),
  icon: z.url().optional(),
  filename: z.string().optional(),
  delay: z.string().optional(),
  email: z.string().optional(),
  call: z.string().optional(),
});

test("ntfy gets JSON as its documentation has it, at the root of its server, with the token", async () => {
  const { url, requests } = receive();
  const send = ways();
  expect(await send({ kind: "ntfy", url: `${url}/my_topic`, token: "tk_secret" })).toMatchObject({
    kind: "sent",
  });
  await send({ kind: "ntfy", url: `${url}/below/topic`, token: "" }, { reason: "", kind: "done" });
  expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual(["POST /", "POST /below/"]);
  expect(requests.map(({ headers }) => headers["authorization"])).toEqual(["Bearer tk_secret", undefined]);
  expect(requests.map(({ body }) => ntfyPublish.parse(JSON.parse(body)))).toMatchObject([
    {
      topic: "my_topic",
      title: 'Failed: Grüße "an" Bcc: eve@example.com alle 🎉',
      message: "The clone failed.",
      ...{ priority: 4, tags: ["x"], click: message.url },
    },
    { topic: "topic", message: message.url, priority: 3 },
  ]);
});

interface Mail {
  from: string;
  to: string[];
  text: string;
  secure: boolean;
  user: unknown;
}

async function mailServer(options: ConstructorParameters<typeof SMTPServer>[0] = {}) {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    ...{ key: testKey, cert: testCertificate, logger: false, disableReverseLookup: true },
    onAuth: ({ username, password }, _session, done) =>
      username === "ccw" && password === "pass word"
        ? done(null, { user: username })
        : done(new Error("Invalid username or password")),
    onData(stream, { envelope, secure, user }, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        mails.push({
          from: envelope.mailFrom === false ? "" : (envelope.mailFrom?.address ?? ""),
          to: envelope.rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
          ...{ secure, user },
        });
        done();
      });
    },
    ...options,
  });
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  return { mails, port };
}

function smtpToml(port: number, more: string, trusted = true): string {
  const folder = mkdtempSync(join(tmpdir(), "ccw-ca-"));
  closers.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "ca.pem"), testCertificate);
  const egress = trusted ? `[egress]\nca_file = "${join(folder, "ca.pem")}"\n` : "";
  return `${egress}[smtp]\nhost = "localhost"\nport = ${port}\nfrom = "Agents <ccw@example.com>"\n${more}`;
}
const login = 'user = "ccw"\npassword = "pass word"\n';
const toAda = { kind: "email", address: "ada@example.com" };

test("mail goes out over STARTTLS with a login, in plain text, and a hostile title adds no header", async () => {
  const { mails, port } = await mailServer();
  const send = ways(smtpToml(port, login));
  expect(await send(toAda)).toEqual({ kind: "sent", status: 250 });
  const [mail] = mails;
  expect(mail).toMatchObject({ from: "ccw@example.com", to: ["ada@example.com"], secure: true, user: "ccw" });
  const [head = "", ...parts] = (mail?.text ?? "").split("\r\n\r\n");
  const names = head.split(/\r\n(?![ \t])/).map((line) => line.split(":")[0]?.toLowerCase());
  expect(names.sort()).toEqual([
    ...["auto-submitted", "content-transfer-encoding", "content-type", "date", "from", "message-id"],
    ...["mime-version", "subject", "to"],
  ]);
  expect(head).toContain("Message-ID: <msg_0123456789abcdef@ccw-server.invalid>");
  expect(head).toContain("Content-Type: text/plain");
  expect(parts[0]).toBe(`The clone failed.\r\n${message.url}`);
});

test("mail goes out over TLS from the first byte, and without any where the operator says so", async () => {
  const tls = await mailServer({ secure: true });
  expect(await ways(smtpToml(tls.port, `security = "tls"\n${login}`))(toAda)).toMatchObject({ kind: "sent" });
  expect(tls.mails[0]?.secure).toBe(true);
  const open = await mailServer({ authOptional: true, disabledCommands: ["STARTTLS", "AUTH"] });
  expect(await ways(smtpToml(open.port, 'security = "none"\n'))(toAda)).toMatchObject({ kind: "sent" });
  expect(open.mails[0]?.secure).toBe(false);
});

test("no password goes to a server without TLS, or with a certificate that nobody trusts", async () => {
  const plain = await mailServer({ disabledCommands: ["STARTTLS"], allowInsecureAuth: true });
  expect(await ways(smtpToml(plain.port, login))(toAda)).toMatchObject({ kind: "again" });
  const stranger = await mailServer();
  const outcome = await ways(smtpToml(stranger.port, login, false))(toAda);
  expect(outcome).toMatchObject({ kind: "again" });
  expect([...plain.mails, ...stranger.mails]).toEqual([]);
});

test("a mailbox that is not there is refused for good; a login that fails and a server that is away are not", async () => {
  const { port } = await mailServer({
    onRcptTo: (_address, _session, done) =>
      done(Object.assign(new Error("No such user"), { responseCode: 550 })),
  });
  expect(await ways(smtpToml(port, login))(toAda)).toMatchObject({
    kind: "refused",
    status: 550,
    off: false,
  });
  const wrong = 'user = "ccw"\npassword = "wrong-one"\n';
  const refused = await ways(smtpToml(port, wrong))(toAda);
  expect(refused).toMatchObject({ kind: "again", status: 535 });
  expect(JSON.stringify(refused)).not.toContain("wrong-one");
  expect(await ways(smtpToml(1, login))(toAda)).toMatchObject({ kind: "again", status: 0 });
  expect(await ways("")(toAda)).toMatchObject({ kind: "again", error: expect.stringContaining("[smtp]") });
});

test("addresses and settings that could be misread are refused", () => {
  for (const settings of [
    { kind: "email", address: "ada@example.com\r\nBcc: eve@example.com" },
    { kind: "email", address: "ada@example.com, eve@example.com" },
    { kind: "webhook", url: "file:///etc/passwd", secret },
    { kind: "webhook", url: "http://user:password@hooks.example/", secret },
    { kind: "webhook", url: "https://hooks.example/", secret: "short" },
    { kind: "ntfy", url: "https://ntfy.example/" },
    { kind: "ntfy", url: "https://ntfy.example/topic", token: "a\r\nx: y" },
  ]) {
    expect([settings, channelSettingsSchema.safeParse(settings).success]).toEqual([settings, false]);
  }
});
