import { afterEach, expect, test } from "bun:test";
import WebSocket from "ws";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { until } from "../../test/until.ts";
import { createClient } from "../client.ts";
import { CcwError } from "../domain/errors.ts";
import type { TaskEvent } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function serve() {
  const house = startAppServer({ branches: { demo: ["main", "next"], empty: [] } });
  closers.push(() => house.close());
  const { url, token, store } = house;
  return {
    ...house,
    person: store.people.ensure("ada").id,
    client: createClient({
      url,
      token,
      openSocket: (address, headers) => new WebSocket(address, { headers }),
    }),
  };
}

type House = ReturnType<typeof serve>;
const call = (
  { url, token }: House,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) =>
  fetch(`${url}${path}`, {
    method,
    redirect: "manual",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
const errorOf = async (response: Response) => ({
  status: response.status,
  ...((await response.json()) as { error: { message: string; hint: string } }).error,
});

/** Every route of the app, read from the app itself, so that a new one cannot be forgotten here. */
const routesOf = ({ app }: House) => [
  ...new Set(
    app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`),
  ),
];
/** A trigger has a token of its own, and looks like no route at all without it: schedules.test.ts. */
const open = ["GET /api/health", "GET /sign-in", "GET /*", "POST /webhooks/:forge", "POST /triggers/:id"];
/** These take a ticket for one purpose instead, and give nothing without: teleport.test.ts, handover.test.ts. */
const byTicket = /^[A-Z]+ \/(teleport|handover)\//;

test("ATTACKS 66: no route answers without a token but health and signing in", async () => {
  const house = serve();
  const routes = routesOf(house).filter((route) => !open.includes(route) && !byTicket.test(route));
  expect(routes.length).toBeGreaterThan(20);
  for (const route of [
    ...routes,
    "GET /",
    "GET /tasks/x",
    "GET /git/demo.git/info/refs?service=git-upload-pack",
  ]) {
    const [method = "", path = ""] = route.split(" ");
    for (const authorization of [undefined, "Bearer wrong", "Bearer ", "Basic d3Jvbmc6d3Jvbmc="]) {
      const response = await fetch(`${house.url}${path.replace(/[:{]\w+}?/g, "x")}`, {
        method,
        ...(authorization && { headers: { authorization } }),
      });
      expect([route, authorization, response.status]).toEqual([route, authorization, 401]);
    }
  }
  expect((await fetch(`${house.url}/api/health`)).status).toBe(200);
});

test("ATTACKS 66: a link, a session or a revoked token is no API token", async () => {
  const house = serve();
  const { store, person, url } = house;
  const link = store.tokens.create({ kind: "link", name: "l", person });
  const session = store.tokens.create({ kind: "session", name: "s", person });
  const gone = store.tokens.create({ kind: "api", name: "g", person });
  const id = store.tokens.list().find(({ name }) => name === "g")?.id;
  expect((await call(house, "DELETE", `/api/tokens/${id}`)).status).toBe(204);
  for (const secret of [link, session, gone]) {
    expect((await fetch(`${url}/api/tasks`, { headers: { authorization: `Bearer ${secret}` } })).status).toBe(
      401,
    );
  }
  expect(
    (
      await fetch(`${url}/api/tasks`, {
        headers: { cookie: `ccw_session_${new URL(url).port}=${house.token}` },
      })
    ).status,
  ).toBe(401);
});

test("a sign-in link gives one session, and says what to do when it is used again", async () => {
  const house = serve();
  const { url } = (await (await call(house, "POST", "/api/links", {})).json()) as { url: string };
  const first = await fetch(url, { redirect: "manual" });
  expect([first.status, first.headers.get("location")]).toEqual([302, "/"]);
  const cookie = first.headers.get("set-cookie") ?? "";
  expect(cookie).toMatch(/HttpOnly/);
  expect(cookie).toMatch(/SameSite=Lax/);
  const second = await fetch(url, { redirect: "manual" });
  expect(second.status).toBe(401);
  expect(await second.text()).toContain("`ccw-server link`");
  const page = await fetch(`${house.url}/tasks/x`, { headers: { cookie: cookie.split(";")[0] ?? "" } });
  expect(await page.text()).toContain("<title>ccw</title>");
});

test("looking at a sign-in link without opening it does not use it up", async () => {
  const house = serve();
  const { url } = (await (await call(house, "POST", "/api/links", {})).json()) as { url: string };
  const look = await fetch(url, { method: "HEAD", redirect: "manual" });
  expect(look.headers.get("set-cookie")).toBeNull();
  const opened = await fetch(url, { redirect: "manual" });
  expect(opened.headers.get("set-cookie")).toContain(`ccw_session_${new URL(house.url).port}=`);
});

test("a revoked token's live connection ends at once, and nobody else's does", async () => {
  const house = serve();
  const { store, person, url, token } = house;
  const secret = store.tokens.create({ kind: "api", name: "leaver", person });
  const watch = (bearer: string) => {
    const socket = new WebSocket(`${url}/api/live`, { headers: { authorization: `Bearer ${bearer}` } });
    closers.push(() => socket.terminate());
    return new Promise<{ closed: Promise<number>; socket: WebSocket }>((resolve) =>
      socket.once("message", () =>
        resolve({ socket, closed: new Promise((done) => socket.once("close", (code) => done(code))) }),
      ),
    );
  };
  const [leaver, stays] = [await watch(secret), await watch(token)];
  const id = store.tokens.list().find(({ name }) => name === "leaver")?.id;
  expect((await call(house, "DELETE", `/api/tokens/${id}`)).status).toBe(204);
  expect(await leaver.closed).toBe(1008);
  expect(stays.socket.readyState).toBe(WebSocket.OPEN);
});

test("ATTACKS 67: a page of another site can change nothing with a person's cookie, nor watch", async () => {
  const { store, person, url, client } = serve();
  const cookie = `ccw_session_${new URL(url).port}=${store.tokens.create({ kind: "session", name: "s", person })}`;
  const task = await client.read(client.api.tasks.$post({ json: { prompt: "x" } }));
  const cancel = (headers: Record<string, string>) =>
    fetch(`${url}/api/tasks/${task.id}/cancel`, { method: "POST", headers: { cookie, ...headers } });
  for (const headers of [
    {},
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: `${url}.evil.example` },
    { origin: "http://127.0.0.1:1" },
  ]) {
    expect((await cancel(headers)).status).toBe(403);
  }
  const live = (origin: string) =>
    fetch(`${url}/api/live`, {
      headers: {
        cookie,
        origin,
        upgrade: "websocket",
        connection: "upgrade",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
      },
    });
  expect((await live("https://evil.example")).status).toBe(403);
  expect((await cancel({ origin: url })).status).toBe(204);
});

test("ATTACKS 67: a rebound name is refused, our own names and addresses are not", async () => {
  const house = serve();
  for (const [host, status] of [
    ["evil.example", 403],
    ["evil.example:7080", 403],
    ["127.0.0.1.evil.example", 403],
    ["", 403],
    ["ccw.lan", 200],
    ["localhost:9", 200],
    ["[::1]:9", 200],
    ["192.168.1.9:9", 200],
  ] as const) {
    expect([host, (await call(house, "GET", "/api/status", undefined, { host })).status]).toEqual([
      host,
      status,
    ]);
  }
});

test("ATTACKS 67: nothing may frame the page or run script from elsewhere", async () => {
  const house = serve();
  for (const path of ["/api/health", "/api/tasks", "/nothing", "/"]) {
    const { headers } = await fetch(`${house.url}${path}`);
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  }
});

test.each([
  [
    "an unknown repository",
    { prompt: "x", repositories: [{ name: "nope" }] },
    404,
    'no repository named "nope"',
    "demo, empty",
  ],
  [
    "an unknown branch",
    { prompt: "x", repositories: [{ name: "demo", baseBranch: "gone" }] },
    404,
    "no branch gone",
    "main, next",
  ],
  [
    "a branch with spaces",
    { prompt: "x", repositories: [{ name: "demo", baseBranch: "a b" }] },
    400,
    '"a b" is not a branch name',
    "no spaces",
  ],
  [
    "a branch with ..",
    { prompt: "x", repositories: [{ name: "demo", baseBranch: "a/../b" }] },
    400,
    "is not a branch name",
    "..",
  ],
  [
    "a repository with no commits",
    { prompt: "x", repositories: [{ name: "empty" }] },
    400,
    "has no commits yet",
    "Push a first commit",
  ],
  [
    "a repository named twice",
    { prompt: "x", repositories: [{ name: "demo" }, { name: "demo" }] },
    400,
    "named twice",
    "once",
  ],
  ["an empty prompt", { prompt: " \n\t " }, 400, "The prompt is empty", ""],
  ["no prompt", {}, 400, "prompt", ""],
  ["a prompt of 2 MiB", { prompt: "x".repeat(2 * 1024 * 1024) }, 400, "over 1 MiB", ""],
  ["a prompt of 10 MB", { prompt: "x".repeat(10_000_000) }, 413, "A prompt has at most 1 MiB", "attach it"],
  [
    "an unknown environment",
    { prompt: "x", environment: "prod" },
    404,
    'no environment named "prod"',
    "default",
  ],
  ["an unknown agent", { prompt: "x", agent: "hal" }, 400, 'no agent named "hal"', "claude"],
  ["no JSON", "{", 400, "JSON", ""],
])("bad input: %s is refused in words, and nothing is queued", async (_, body, status, message, hint) => {
  const house = serve();
  const error = await errorOf(await call(house, "POST", "/api/tasks", body));
  expect(error.status).toBe(status);
  expect(error.message).toContain(message);
  expect(error.hint).toContain(hint);
  expect(house.store.tasks.list({ limit: 1 })).toEqual([]);
});

test.each(["A", "../x", "a/b/c", "x.git", "-x", "a b", "ünï", "", "x..y", "a/", "con\u0000"])(
  "bad input: a repository cannot be named %j",
  async (name) => {
    const house = serve();
    const error = await errorOf(await call(house, "POST", "/api/repositories", { name }));
    expect(error.status).toBe(400);
    expect(error.message).toContain("cannot be a repository's name");
  },
);

test("a defect is answered without its insides, and logged whole", async () => {
  const house = serve();
  house.store.close();
  const error = await errorOf(await call(house, "GET", "/api/tasks"));
  expect([error.status, error.message]).toEqual([500, "Internal error."]);
  expect(house.logged.join()).toContain("closed");
});

test("an environment's values go in and do not come out", async () => {
  const house = serve();
  const { client } = house;
  await client.read(
    client.api.environments.$post({
      json: { name: "prod", variables: { KEY: "s3cret" }, limits: { memoryBytes: 1024 ** 3 } },
    }),
  );
  await client.read(
    client.api.environments[":name"].$patch({
      param: { name: "prod" },
      json: { variables: { B: "1" }, limits: { cpus: 1 } },
    }),
  );
  const text = await (await call(house, "GET", "/api/environments/prod")).text();
  expect(text).not.toContain("s3cret");
  expect(JSON.parse(text)).toMatchObject({
    variables: ["B", "KEY"],
    limits: { memoryBytes: 1024 ** 3, cpus: 1 },
  });
  expect(house.store.environments.get("prod")?.variables).toEqual({ KEY: "s3cret", B: "1" });
  const error = await errorOf(
    await call(house, "PATCH", "/api/environments/prod", { variables: { "1X": "a" } }),
  );
  expect(error).toMatchObject({ status: 400, message: expect.stringContaining("starts with no digit") });
});

test("a model key goes in and does not come out", async () => {
  const house = serve();
  const set = await call(house, "PUT", "/api/model", {
    kind: "endpoint",
    baseUrl: "https://gpu.lan/v1x/",
    secret: "sk-secret",
  });
  const text = await set.text();
  expect(text).not.toContain("sk-secret");
  expect(JSON.parse(text).model).toEqual({
    kind: "endpoint",
    baseUrl: "https://gpu.lan/v1x",
    source: "page",
  });
  expect(
    (
      await errorOf(
        await call(house, "PUT", "/api/model", { kind: "endpoint", baseUrl: "ftp://x", secret: "k" }),
      )
    ).status,
  ).toBe(400);
});

test("the live transcript goes on from the cursor after the connection broke: no hole, no double", async () => {
  const { store, client, url, token } = serve();
  const task = await client.read(client.api.tasks.$post({ json: { prompt: "x" } }));
  const id = task.id as TaskId;
  const note = (text: string) => store.events.append(id, { kind: "appliance_notice", level: "info", text });
  const stop = new AbortController();
  const seen: TaskEvent[] = [];
  const sockets: WebSocket[] = [];
  const flaky = createClient({
    url,
    token,
    openSocket(address, headers) {
      const socket = new WebSocket(address, { headers });
      sockets.push(socket);
      return socket;
    },
  });
  const reading = (async () => {
    for await (const events of flaky.followTask(id, 0, stop.signal)) seen.push(...events);
  })();
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 40; i++) note(`${round}.${i}`);
    const connected = sockets.length;
    await Bun.sleep(30);
    sockets.at(-1)?.terminate();
    await until("it connects again", () => sockets.length > connected);
  }
  await until("all was seen", () => seen.length >= 202);
  stop.abort();
  await reading;
  expect(sockets.length).toBeGreaterThan(2);
  expect(seen).toEqual(store.events.after(id, 0, 1000));
});

test("the client turns an answer's error into the one that the server meant", async () => {
  const { client } = serve();
  const failing = client.read(client.api.tasks[":id"].$get({ param: { id: "tsk_01m7yp7pv16snxpyyfyh" } }));
  await expect(failing).rejects.toBeInstanceOf(CcwError);
  await expect(failing).rejects.toMatchObject({
    code: "not_found",
    hint: "`ccw-server task list` shows the tasks.",
  });
});

test("the API describes itself", async () => {
  const house = serve();
  const description = (await (await call(house, "GET", "/api/openapi.json")).json()) as {
    paths: Record<string, unknown>;
  };
  expect(Object.keys(description.paths)).toEqual(
    expect.arrayContaining(["/tasks", "/tasks/{id}/events", "/environments/{name}", "/model"]),
  );
});

test("a person sets the address that stands in commits; what is no address is told", async () => {
  const house = serve();
  expect(await (await call(house, "GET", "/api/me")).json()).toEqual({ name: "ada", email: "" });
  const set = await call(house, "PUT", "/api/me", { email: "ada@example.org" });
  expect(await set.json()).toEqual({ name: "ada", email: "ada@example.org" });
  expect(await (await call(house, "GET", "/api/me")).json()).toEqual({
    name: "ada",
    email: "ada@example.org",
  });
  const wrong = await call(house, "PUT", "/api/me", { email: "ada@" });
  expect(wrong.status).toBe(400);
  expect(JSON.stringify(await wrong.json())).toContain("not an e-mail address");
  expect((await call(house, "PUT", "/api/me", { email: "" })).status).toBe(200);
});

test("the page's files are compressed for who takes that, asked for anew, and nobody's who is signed out", async () => {
  const house = serve();
  const get = (headers: Record<string, string>) => call(house, "GET", "/tasks/x", undefined, headers);
  const answer = await get({ "accept-encoding": "gzip" });
  expect(answer.headers.get("cache-control")).toBe("no-cache");
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(await answer.text()).toContain("<title>ccw</title>");
  const known = { "accept-encoding": "gzip", "if-none-match": answer.headers.get("etag") ?? "" };
  expect((await get(known)).status).toBe(304);
  expect((await get({ ...known, authorization: "Bearer wrong" })).status).toBe(401);
});

test("an unknown address is a page with a way back in a browser, and JSON for a program and below /api", async () => {
  const house = serve();
  const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
  for (const authorization of [`Bearer ${house.token}`, ""]) {
    const response = await fetch(`${house.url}/nowhere/<b>at all`, { headers: { accept, authorization } });
    expect([response.status, response.headers.get("content-type")]).toEqual([
      404,
      "text/html; charset=UTF-8",
    ]);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    const text = await response.text();
    expect(text).toContain("There is nothing at this address");
    expect(text).toContain('<a href="/">');
    expect(text).not.toContain("at all");
  }
  for (const [path, headers] of [
    ["/nowhere", { accept: "*/*" }],
    ["/api/nowhere", { accept }],
  ] as const) {
    const told = await errorOf(await call(house, "GET", path, undefined, headers));
    expect(told).toMatchObject({ status: 404, message: "There is nothing at this address." });
  }
});
