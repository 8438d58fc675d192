import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CcwError } from "../domain/errors.ts";
import type { LfsCall, LfsCaller, LfsEndpoint } from "../domain/lfs.ts";
import { answerLfs } from "../domain/lfs-answers.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { createLfsUpstream } from "./lfs-upstream.ts";
import { createUpstreamHttp } from "./upstream-http.ts";

/** A forge and an object store of this machine that answer whatever a test has them answer. */

const bytes = Buffer.from("0123456789");
const oid = createHash("sha256").update(bytes).digest("hex");
const real = "real-credential-of-the-forge";
let authorization = `Basic ${Buffer.from(`x:${real}`).toString("base64")}`;
const caller: LfsCaller = {
  right: { kind: "branch", branch: "claude/x", force: false, delete: false },
  ...{ holder: "sbx_1", base: "http://127.0.0.1:3128/git/forge.example/acme/widget.git/info/lfs" },
  signal: new AbortController().signal,
};

interface Seen {
  line: string;
  headers: IncomingMessage["headers"];
  body: string;
}
type Answer = (request: Seen, response: ServerResponse) => void;

let seen: Seen[] = [];
let atForge: Answer;
let atStore: Answer;
/** Answers before the body is there. */
let atForgeHead: ((response: ServerResponse) => void) | undefined;
let servers: Server[];
let forge: string;
let store: string;
let endpoint: LfsEndpoint;
let refusedTokens = 0;
let logged: string[] = [];

beforeAll(async () => {
  const serverOf = async (answer: Answer) => {
    const server = createServer((request, response) => {
      const one: Seen = { line: `${request.method} ${request.url}`, headers: request.headers, body: "" };
      seen.push(one);
      request.on("data", (chunk: Buffer) => {
        one.body += chunk.toString();
      });
      request.on("error", () => undefined);
      if (atForgeHead !== undefined) return atForgeHead(response);
      request.on("end", () => answer(one, response));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return server;
  };
  servers = [
    await serverOf((request, response) => atForge(request, response)),
    await serverOf((request, response) => atStore(request, response)),
  ];
  const [forgePort, storePort] = servers.map((server) => (server.address() as AddressInfo).port);
  forge = `http://127.0.0.1:${forgePort}`;
  store = `http://store.example:${storePort}`;
  const repository: RemoteRepository = {
    ...{ kind: "remote", name: "forge.example/acme/widget", forge: "work", path: "acme/widget" },
    ...{ defaultBranch: "main", cloneUrl: `${forge}/acme/widget.git`, webUrl: "", createdAt: 0 },
    push: { force: false, delete: false },
  };
  let tickets = 0;
  endpoint = createLfsUpstream({
    http: createUpstreamHttp({ idleMs: 5000 }),
    access: {
      authorizationFor: async () => authorization,
      refused: () => {
        refusedTokens += 1;
        authorization = `Basic ${Buffer.from(`x:${real}`).toString("base64")}`;
      },
    },
    log: {
      info() {},
      error() {},
      warn: (message, fields) => void logged.push(message + JSON.stringify(fields)),
    },
    now: Date.now,
    newTicket: () => String(++tickets).padStart(43, "t"),
    reach: async (url) => {
      if (url.hostname === "store.example") return "127.0.0.1";
      throw new CcwError("forbidden", `${url.host} is not reached: loopback.`);
    },
  }).endpointOf(repository);
});
beforeEach(() => {
  seen = [];
  logged = [];
  atForgeHead = undefined;
  refusedTokens = 0;
  atForge = (_, response) => response.writeHead(500).end();
  atStore = (_, response) => response.end(bytes);
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** As the door has it answered: refusals and failures become answers. */
async function serve(call: LfsCall, as: Partial<LfsCaller> = {}) {
  const asked = { ...caller, ...as };
  const answer = await answerLfs({
    http: { request: { kind: "locks", query: "" }, method: "GET", contentLength: 0, range: "", body: none() },
    caller: asked,
    endpoint: { serve: () => endpoint.serve(call, asked) },
    refused() {},
  });
  let text = "";
  try {
    for await (const chunk of answer.body) text += Buffer.from(chunk).toString();
  } catch (thrown) {
    text += `broken off: ${(thrown as Error).message}`;
  }
  return { status: answer.status, headers: answer.headers, text };
}
async function* none(): AsyncGenerator<Uint8Array> {
  // no bytes
}
async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  for (const piece of text.match(/.{1,3}/gs) ?? []) yield Buffer.from(piece);
}

const batchOf = (operation: "download" | "upload"): LfsCall => ({
  kind: "batch",
  batch: { operation, ref: "refs/heads/claude/x", objects: [{ oid, size: 10 }] },
});
const told =
  (actions: object, more: object = {}): Answer =>
  (_, response) =>
    response.end(JSON.stringify({ objects: [{ oid, size: 10, actions, ...more }] }));

/** Asks for the object; returns the ticket that stands in the answer's address. */
async function ticketFor(operation: "download" | "upload", actions: object, more: object = {}) {
  atForge = told(actions, more);
  const { text } = await serve(batchOf(operation));
  const [object] = JSON.parse(text).objects;
  return { object, text, ticket: /\/(\w{43})$/.exec(object.actions?.[operation]?.href ?? "")?.[1] };
}
const download = (ticket: string | undefined, range?: string): LfsCall => ({
  kind: "download",
  oid,
  ticket,
  range,
});
const upload = (ticket: string | undefined, text = "0123456789", contentLength = text.length): LfsCall => ({
  ...{ kind: "upload", oid, ticket, body: pieces(text), contentLength },
});

test("a batch is asked with the real credential and basic transfers, and answered with addresses of the door", async () => {
  const action = {
    href: `${store}/o?sig=s3cret`,
    header: { Authorization: "Bearer s3cret" },
    expires_in: 60,
  };
  const { object, text, ticket } = await ticketFor("download", { download: action, upload: action });
  expect(object).toEqual({
    ...{ oid, size: 10, authenticated: true },
    actions: { download: { href: `${caller.base}/objects/${oid}/${ticket}`, expires_in: 60 } },
  });
  for (const secret of ["s3cret", "store.example", real]) expect(text).not.toContain(secret);
  expect(seen[0]?.line).toBe("POST /acme/widget.git/info/lfs/objects/batch");
  expect(seen[0]?.headers.authorization).toBe(authorization);
  expect(JSON.parse(seen[0]?.body ?? "")).toEqual({
    ...{ operation: "download", transfers: ["basic"], hash_algo: "sha256" },
    ...{ ref: { name: "refs/heads/claude/x" }, objects: [{ oid, size: 10 }] },
  });

  expect(await serve(download(ticket))).toMatchObject({ status: 200, text: "0123456789" });
  expect(seen[1]?.line).toBe("GET /o?sig=s3cret");
  expect(seen[1]?.headers).toMatchObject({ authorization: "Bearer s3cret", host: new URL(store).host });
  expect((await serve(download(ticket), { holder: "sbx_2" })).status).toBe(404);
  expect((await serve(upload(ticket))).status).toBe(404);
  expect((await serve(download("x".repeat(43)))).status).toBe(404);
  expect(seen).toHaveLength(2);
});

test("the forge's credential goes to the forge's own address alone, and not where it says that it need not", async () => {
  for (const [origin, authenticated, header, sent] of [
    [store, false, {}, undefined],
    [forge, false, {}, "its own"],
    [forge, true, {}, undefined],
    [forge, false, { authorization: "Token of-the-action" }, "Token of-the-action"],
  ] as const) {
    const action = { href: `${origin}/o`, header };
    const { ticket } = await ticketFor("download", { download: action }, { authenticated });
    atForge = atStore;
    await serve(download(ticket));
    expect(seen.at(-1)?.headers.authorization).toBe(sent === "its own" ? authorization : sent);
  }
});

test("a redirect to another host takes nothing along, and one to inside is not followed", async () => {
  const action = { href: `${forge}/o`, header: { "X-Secret": "s3cret" } };
  const { ticket } = await ticketFor("download", { download: action });
  atForge = (_, response) => response.writeHead(302, { location: `${store}/there` }).end();
  expect((await serve(download(ticket))).text).toBe("0123456789");
  expect(seen.at(-1)?.line).toBe("GET /there");
  expect([seen.at(-1)?.headers.authorization, seen.at(-1)?.headers["x-secret"]]).toEqual([
    undefined,
    undefined,
  ]);
  const before = seen.length;
  for (const location of [
    "http://127.0.0.1:1/x",
    "file:///etc/passwd",
    `http://a:b@${new URL(store).host}/`,
    "",
  ]) {
    atForge = (_, response) => response.writeHead(302, { location }).end();
    expect((await serve(download(ticket))).status).toBeGreaterThanOrEqual(403);
  }
  atForge = (_, response) => response.writeHead(302, { location: `${forge}/o` }).end();
  expect((await serve(download(ticket))).status).toBe(502);
  expect(seen.slice(before).filter(({ line }) => line !== "GET /o")).toEqual([]);
});

for (const href of ["http://127.0.0.1:1/x", "http://[::1]/x", "http://169.254.169.254/latest"]) {
  test(`an object at ${href} is not fetched`, async () => {
    const { ticket } = await ticketFor("download", { download: { href } });
    expect(await serve(download(ticket))).toMatchObject({
      status: 403,
      text: expect.stringContaining("not reached"),
    });
  });
}
for (const href of [
  "file:///etc/passwd",
  "ftp://store.example/x",
  "/relative",
  "http://u:p@store.example/",
]) {
  test(`the address ${href} is not taken`, async () => {
    const { object, text } = await ticketFor("download", { download: { href } });
    expect([object.error.code, object.actions]).toEqual([502, undefined]);
    expect(text).not.toContain(href);
  });
}

test("a download is as long as it was said to be, and part of it the part that was asked for", async () => {
  const { ticket } = await ticketFor("download", { download: { href: `${store}/o` } });
  const answers = async (answer: Answer, range?: string) => {
    atStore = answer;
    const { status, text } = await serve(download(ticket, range));
    return `${status} ${text}`;
  };
  expect(await answers((_, response) => response.end("short"))).toStartWith("502 ");
  expect(await answers((_, response) => response.end("far too long for this"))).toStartWith("502 ");
  const unannounced = (text: string) => (_: Seen, response: ServerResponse) => {
    response.write(text);
    setTimeout(() => response.end(), 10);
  };
  expect(await answers(unannounced("short"))).toContain("broken off");
  expect(await answers(unannounced("0123456789x"))).toBe(
    "200 broken off: The object is not the 10 bytes that it should be.",
  );
  expect(await answers(unannounced("0123456789"))).toBe("200 0123456789");
  expect(
    await answers((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bytes)),
  ).toStartWith("502 ");
  const part =
    (range: string, text: string): Answer =>
    (_, response) =>
      response.writeHead(206, { "content-range": range }).end(text);
  expect(await answers(part("bytes 4-9/10", "456789"), "bytes=4-9")).toBe("206 456789");
  expect(seen.at(-1)?.headers.range).toBe("bytes=4-9");
  expect(await answers(part("bytes 4-9/999", "456789"), "bytes=4-9")).toStartWith("502 ");
  expect(await answers(part("bytes 4-9/10", "456789"))).toStartWith("502 ");
});

test("an upload that is not what its name says does not reach its end at the store", async () => {
  const verify = { href: `${store}/v` };
  const href = `${store}/put`;
  const header = {
    "Content-Type": "x/y",
    Host: "evil.example",
    "Content-Length": "1",
    "Transfer-Encoding": "x",
  };
  const { object, ticket } = await ticketFor("upload", { upload: { href, header }, verify });
  expect(Object.keys(object.actions)).toEqual(["upload", "verify"]);
  expect((await serve(upload(ticket))).status).toBe(200);
  const { headers, body } = seen.at(-1) ?? { headers: {}, body: "" };
  expect(body).toBe("0123456789");
  expect(headers).toMatchObject({ "content-length": "10", "content-type": "x/y", host: new URL(store).host });

  expect((await serve(upload(ticket, "01234567890"))).status).toBe(422);
  for (const [text, length] of [
    ["0123456780", 10],
    ["012345678", 10],
    ["0123456789x", 10],
  ] as const) {
    seen = [];
    const answered = await serve(upload(ticket, text, length));
    expect([answered.status, answered.text]).toEqual([422, expect.stringContaining("What was sent is not")]);
    await Bun.sleep(20);
    expect(seen.every((each) => each.body.length < 10)).toBe(true);
  }
  const ofVerify = object.actions.verify.href.split("/").at(-1);
  const call: LfsCall = { kind: "verify", ticket: ofVerify, object: { oid, size: 999 } };
  expect((await serve(call)).status).toBe(200);
  expect([seen.at(-1)?.line, JSON.parse(seen.at(-1)?.body ?? "")]).toEqual(["POST /v", { oid, size: 10 }]);
});

test("a store that does not wait for all of it has not taken it", async () => {
  const { ticket } = await ticketFor("upload", { upload: { href: `${forge}/put` } });
  atForgeHead = (response) => response.end();
  async function* slowly() {
    yield Buffer.from("012345");
    yield Buffer.from("67");
    // So many rounds of the event loop that the answer is here, however long each takes.
    for (let rounds = 0; rounds < 30; rounds++) await Bun.sleep(10);
    yield Buffer.from("89");
  }
  const call: LfsCall = { kind: "upload", oid, ticket, body: slowly(), contentLength: 10 };
  expect(await serve(call)).toMatchObject({ status: 502, text: expect.stringContaining("did not wait") });
});

test("a store's own words are not shown", async () => {
  const { ticket } = await ticketFor("download", { download: { href: `${store}/o?sig=s3cret` } });
  atStore = ({ line }, response) => response.writeHead(403).end(`SignatureDoesNotMatch ${line}`);
  const { status, text } = await serve(download(ticket));
  expect([status, text]).toEqual([502, expect.stringContaining("did not hand out")]);
  expect(text + logged.join()).not.toContain("s3cret");
});

test("a token that has run out is renewed once", async () => {
  authorization = "Basic b2xkOm9sZA==";
  atForge = ({ headers }, response) =>
    headers.authorization === authorization && authorization !== "Basic b2xkOm9sZA=="
      ? void response.end('{"objects":[]}')
      : void response.writeHead(401).end();
  expect((await serve(batchOf("download"))).status).toBe(200);
  expect(refusedTokens).toBe(1);
  expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Basic b2xkOm9sZA==", authorization]);
});

for (const [what, answer, status, words] of [
  ["401", [401, "{}"], 403, "does not accept the appliance's credential"],
  ["403", [403, '{"message":"no\\u001b[31m LFS for you"}'], 403, "no LFS for you"],
  ["404", [404, "<html>"], 404, "has no repository"],
  ["507", [507, '{"message":"over its quota"}'], 507, "over its quota"],
  ["429", [429, "{}"], 429, "too many requests"],
  ["500", [500, ""], 502, "could not answer"],
  ["a page", [200, "<html>sign in</html>"], 502, "did not answer as Git LFS has it"],
  ["half an answer", [200, '{"objects":[{"oid":'], 502, "did not answer as Git LFS has it"],
  ["another transfer", [200, '{"transfer":"tus","objects":[]}'], 502, "transfer"],
  [
    "headers that split",
    [
      200,
      `{"objects":[{"oid":"${oid}","size":1,"actions":{"download":{"href":"http://store.example/","header":{"a":"b\\r\\nc: d"}}}}]}`,
    ],
    502,
    "header",
  ],
] as const) {
  test(`a forge that answers a batch with ${what} is told in words`, async () => {
    atForge = (_, response) => response.writeHead(answer[0], { "retry-after": "7" }).end(answer[1]);
    const answered = await serve(batchOf("upload"));
    expect([answered.status, JSON.parse(answered.text).message]).toEqual([
      status,
      expect.stringContaining(words),
    ]);
    if (status === 429) expect(answered.headers["retry-after"]).toBe("7");
  });
}

test("a forge that gives the credential back in its words is not quoted", async () => {
  const echo = ({ headers }: Seen) => `You sent ${headers.authorization}, that is ${real}`;
  atForge = (request, response) => response.writeHead(403).end(JSON.stringify({ message: echo(request) }));
  const whole = await serve(batchOf("upload"));
  atForge = (request, response) =>
    response.end(
      JSON.stringify({ objects: [{ oid, size: 10, error: { code: 403, message: echo(request) } }] }),
    );
  const each = await serve(batchOf("upload"));
  for (const { text } of [whole, each]) {
    expect(text).not.toContain(real);
    expect(text).not.toContain(authorization.slice("Basic ".length));
  }
});

test("the API is followed within the forge, and not to another host", async () => {
  atForge = ({ line }, response) =>
    line.includes("/renamed/")
      ? void response.end('{"objects":[]}')
      : void response.writeHead(307, { location: "/acme/renamed/info/lfs/objects/batch" }).end();
  expect((await serve(batchOf("download"))).status).toBe(200);
  atForge = (_, response) => response.writeHead(307, { location: `${store}/x` }).end();
  seen = [];
  expect(await serve(batchOf("download"))).toMatchObject({
    status: 502,
    text: expect.stringContaining("does not follow"),
  });
  expect(seen).toHaveLength(1);
});

test("objects that nobody asked for are left out", async () => {
  atForge = (_, response) => response.end(JSON.stringify({ objects: [{ oid: "b".repeat(64), size: 1 }] }));
  expect(JSON.parse((await serve(batchOf("download"))).text).objects).toEqual([]);
});

test("locks are passed on without what is not known of them", async () => {
  const lock = { id: "1", path: "a", locked_at: "x", owner: { name: "Bob" } };
  atForge = (_, response) => response.end(JSON.stringify({ locks: [{ ...lock, secret: real }] }));
  const { text } = await serve({ kind: "list_locks", query: "path=a" });
  expect(JSON.parse(text)).toEqual({ locks: [lock] });
  expect(seen[0]?.line).toBe("GET /acme/widget.git/info/lfs/locks?path=a");
});

test("an answer without end is not read on", async () => {
  atForge = (_, response) => {
    const more = () => void (response.writable && response.write(Buffer.alloc(1 << 20, 32), more));
    more();
  };
  expect((await serve(batchOf("download"))).status).toBe(413);
});
