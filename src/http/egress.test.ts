import { afterEach, expect, test } from "bun:test";
import WebSocket from "ws";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { until } from "../../test/until.ts";
import { createClient } from "../client.ts";
import type { EgressEntry } from "../domain/egress.ts";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import { isActive } from "../domain/task.ts";
import { createEgressPort } from "../runs/egress.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function serve() {
  const house = startAppServer();
  closers.push(() => house.close());
  const { store, ids, url, token } = house;
  const port = createEgressPort({
    store,
    now: ids.now,
    endpoints: () => [],
    forgeSecrets: () => [],
    log: { info() {}, warn() {}, error() {} },
  });
  closers.push(() => port.close());
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${url}/api${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text, json: JSON.parse(text === "" ? "null" : text) };
  };
  return {
    ...house,
    port,
    call,
    /** What the API refuses: status and words. */
    refusal: async (method: string, path: string, body?: unknown) => {
      const { status, json } = await call(method, path, body);
      return `${status} ${json.error.message} ${json.error.hint}`.trim();
    },
    run(title = "t"): { taskId: TaskId; sandboxId: SandboxId } {
      const taskId = house.submit({ title });
      house.play(taskId);
      const state = store.tasks.get(taskId)?.state;
      if (state === undefined || !isActive(state)) throw new Error("the task does not run");
      return { taskId, sandboxId: state.sandboxId };
    },
    client: createClient({
      url,
      token,
      openSocket: (address, headers) => new WebSocket(address, { headers }),
    }),
  };
}

const entry = (fields: Pick<EgressEntry, "taskId" | "sandboxId"> & Partial<EgressEntry>): EgressEntry => ({
  at: Date.now(),
  kind: "inspected",
  host: "registry.npmjs.org",
  port: 443,
  method: "GET",
  path: "/left-pad",
  address: "192.0.2.1",
  verdict: "allowed",
  reason: "registry.npmjs.org (default list)",
  status: 200,
  bytesUp: 100,
  bytesDown: 2000,
  ms: 5,
  ...fields,
});

test("the ledger is read by task, host and verdict, page by page, and followed", async () => {
  const { store, run, call, refusal } = serve();
  const one = run();
  const two = run();
  const { open } = store.egress.ledger;
  for (let i = 0; i < 3; i++) open(entry({ ...one, path: `/${i}` }))(entry(one));
  const refused = { verdict: "refused", reason: "host-not-allowed", host: "evil.example" } as const;
  open(entry({ ...two, ...refused }))(entry({ ...two, ...refused, bytesUp: 0, bytesDown: 0 }));
  await until("all are written", () => store.egress.lastId() === 4);
  const idsOf = async (query: string) =>
    (await call("GET", `/egress?${query}`)).json.map(({ id }: { id: number }) => id);
  expect(await idsOf("limit=2")).toEqual([4, 3]);
  expect(await idsOf("limit=2&before=3")).toEqual([2, 1]);
  expect(await idsOf("after=2")).toEqual([3, 4]);
  expect(await idsOf(`task=${one.taskId}`)).toEqual([3, 2, 1]);
  expect(await idsOf("verdict=refused")).toEqual([4]);
  expect(await idsOf("host=EVIL.example.")).toEqual([4]);
  expect(await idsOf(`since=${Date.now() + 60_000}`)).toEqual([]);
  expect((await call("GET", `/egress/stats?task=${two.taskId}`)).json).toEqual({
    total: { requests: 1, refused: 1, bytesUp: 0, bytesDown: 0 },
    hosts: [{ host: "evil.example", requests: 1, refused: 1, bytesUp: 0, bytesDown: 0 }],
    lost: 0,
  });
  expect(await idsOf("ids=4,1,99")).toEqual([1, 4]);
  expect(await refusal("GET", "/egress?ids=1&verdict=refused")).toContain(
    "400 `ids` names the entries one by one",
  );
  expect(await refusal("GET", "/egress?ids=1,,2")).toContain("400 ids:");
  expect(await refusal("GET", "/egress?before=3&after=1")).toContain("400 Both");
  expect(await refusal("GET", "/egress?verdict=maybe")).toContain("400 verdict:");
  expect(await refusal("GET", "/egress?limit=5000")).toContain("400 limit:");
  expect(await refusal("GET", "/egress?task=nope")).toContain("404 There is no task");
});

test("a request is granted through the API in effect at once, and whoever watches sees it come and go", async () => {
  const { port, run, call, refusal, client } = serve();
  await call("PATCH", "/environments/default", { access: "limited" });
  const { taskId, sandboxId } = run("build it");
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { requests } of client.watchAppliance(stop.signal))
      seen.push(requests.map(({ host }) => host).join());
  })();
  await until("it watches", () => seen.length > 0);
  port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed");
  await until("it comes", () => seen.includes("a.example"));
  expect((await call("GET", "/access-requests?state=pending")).json).toMatchObject([
    {
      id: 1,
      taskId,
      taskTitle: "build it",
      taskState: "running",
      environment: "default",
      host: "a.example",
      port: 443,
      reason: "host-not-allowed",
      state: "pending",
    },
  ]);
  const granted = await call("POST", "/access-requests/1", { decision: "environment" });
  expect(granted.json).toMatchObject({ state: "granted", scope: "environment", person: "ada" });
  expect((await call("GET", "/environments/default")).json.egress.allow).toEqual(["a.example"]);
  await until("it goes", () => seen.at(-1) === "");
  stop.abort();
  await watching;
  expect([seen[0], seen.at(-1)]).toEqual(["", ""]);
  expect(seen).toContain("a.example");
  expect((await call("GET", `/access-requests?task=${taskId}`)).json).toHaveLength(1);
  expect((await call("GET", "/access-requests?state=pending")).json).toEqual([]);
  for (const id of ["2", "x", "1e3", "-1", "99999999999999999999"])
    expect(await refusal("POST", `/access-requests/${id}`, { decision: "task" })).toContain(
      "404 There is no access request",
    );
  expect(await refusal("POST", "/access-requests/1", { decision: "forever" })).toContain("400 decision:");
});

test("a check says what would happen and why, and sends nothing", async () => {
  const { call, refusal } = serve();
  const check = async (url: string, method = "GET") =>
    (await call("POST", "/egress/check", { url, method, environment: "default" })).json;
  expect(await check("https://registry.npmjs.org/left-pad")).toMatchObject({
    allowed: false,
    code: "no-egress",
  });
  await call("PATCH", "/environments/default", { access: "limited" });
  const allowed = await check("https://registry.npmjs.org/left-pad", "get");
  expect(allowed).toMatchObject({ allowed: true, treatment: "inspect" });
  expect(allowed.steps.length).toBeGreaterThan(1);
  expect(await check("https://registry.npmjs.org/left-pad", "PUT")).toMatchObject({ code: "read-only" });
  expect(await check("https://evil.example/")).toMatchObject({ code: "host-not-allowed", grantable: true });
  expect(await refusal("POST", "/egress/check", { url: "gopher://x", environment: "default" })).toContain(
    '400 "gopher://x" is no URL that could be requested: it has to begin with http:// or https://',
  );
  expect(await refusal("POST", "/egress/check", { url: "https://x", environment: "prod" })).toContain(
    '404 There is no environment named "prod"',
  );
  expect(
    await refusal("POST", "/egress/check", { url: "https://x", method: "G ET", environment: "default" }),
  ).toContain("not a method");
});

test("the default list's groups are shown with what is inspected", async () => {
  const { json } = await serve().call("GET", "/egress/groups");
  expect(json.find(({ name }: { name: string }) => name === "Version Control").hosts).toContainEqual({
    host: "github.com",
    inspected: true,
  });
});

test("an environment's egress is edited in parts; what an edit leaves out stays", async () => {
  const { call, refusal } = serve();
  const edit = (body: unknown) => call("PATCH", "/environments/default", body);
  const limits = { uploadBytes: 1000, requestBytes: 500 };
  await edit({
    access: "limited",
    egress: { allow: [" API.example.com.  write", "b.example port=8443,443"], deny: ["*.zip"], limits },
  });
  const after = await edit({
    egress: {
      allow: { add: ["c.example"], remove: ["b.example port=443,8443"] },
      groupsOff: { add: ["version control"] },
      limits: { connections: 9 },
    },
  });
  expect(after.json).toMatchObject({
    access: "limited",
    egress: {
      allow: ["api.example.com write", "c.example"],
      deny: ["*.zip"],
      groupsOff: ["Version Control"],
      limits: { ...limits, connections: 9, requestsPerMinute: 6000, namesPerMinute: 120 },
    },
  });
  expect((await edit({ variables: { A: "1" } })).json.egress).toEqual(after.json.egress);
  expect(
    await refusal("PATCH", "/environments/default", { egress: { allow: { remove: ["x.example"] } } }),
  ).toBe(
    '404 "x.example" is not among the rules, so it cannot be removed. There are: api.example.com write, c.example.',
  );
});

test.each([
  ["a scheme", { allow: ["a.example", "https://npmjs.org/x"] }, "line 2", "npmjs.org"],
  ["a public suffix", { allow: ["*.co.uk"] }, "line 1", "co.uk"],
  ["a wildcard of a top-level domain", { allow: ["*.com"] }, "line 1", "com"],
  ["spaces", { allow: ["a.example b.example"] }, "line 1", ""],
  ["Unicode", { allow: ["bücher.example"] }, "line 1", "xn--bcher-kva.example"],
  ["a port as in a URL", { deny: ["a.example:443"] }, "line 1", "a.example"],
  ["an unknown group", { groupsOff: ["Gists"] }, "line 1", "Version Control"],
  ["a negative limit", { limits: { connections: 0 } }, "egress.limits.connections", ""],
])(
  "bad input: a rule with %s is refused with the line and the correction",
  async (_, egress, where, mended) => {
    const { refusal, store } = serve();
    for (const [method, path, body] of [
      ["POST", "/environments", { name: "new", egress }],
      ["PATCH", "/environments/default", { egress }],
    ] as const) {
      const said = await refusal(method, path, body);
      expect(said).toStartWith("400 egress.");
      expect(said).toContain(where);
      expect(said).toContain(mended);
    }
    expect(store.environments.list()).toHaveLength(1);
  },
);

test("every line that is wrong is told at once, by its place in what was sent", async () => {
  const { call, refusal, store } = serve();
  await call("PATCH", "/environments/default", { egress: { allow: ["a.example", "b.example"] } });
  const whole = { allow: ["*.com", "ok.example", "https://npmjs.org/x"], deny: ["a.example:443"] };
  const told = (list: string) => [
    `egress.allow${list}: line 1 ("*.com")`,
    `egress.allow${list}: line 3 ("https://npmjs.org/x")`,
    `egress.deny${list}: line 1 ("a.example:443")`,
  ];
  for (const [egress, list] of [
    [whole, ""],
    [{ allow: { add: whole.allow }, deny: { add: whole.deny } }, ".add"],
  ] as const) {
    const lines = (await refusal("PATCH", "/environments/default", { egress })).slice(4).split("\n");
    expect(lines).toHaveLength(3);
    for (const [index, start] of told(list).entries()) expect(lines[index]).toStartWith(`${start}: `);
  }
  const flood = await refusal("PATCH", "/environments/default", {
    egress: { deny: Array.from({ length: 900 }, (_, index) => `bad host ${index}`) },
  });
  expect(flood.split("\n")).toHaveLength(21);
  expect(flood).toContain("… and 880 more.");
  expect(store.environments.get("default")?.egress).toMatchObject({
    allow: ["a.example", "b.example"],
    deny: [],
  });
});

test("secrets go in and do not come out, and a credential names one of them", async () => {
  const { call, refusal, store } = serve();
  const credential = { host: "API.example.com", header: "Authorization", template: `Bearer \${KEY}` };
  const saved = await call("PATCH", "/environments/default", {
    secrets: { KEY: "s3cret-value", OLD: "0123456789" },
    egress: { credentials: [credential] },
  });
  expect(saved.text).not.toContain("s3cret-value");
  expect(saved.json).toMatchObject({
    secrets: ["KEY", "OLD"],
    egress: { credentials: [{ ...credential, host: "api.example.com" }] },
  });
  await call("PATCH", "/environments/default", { secrets: { OLD: null } });
  expect(store.environments.get("default")?.secrets).toEqual({ KEY: "s3cret-value" });
  expect(await refusal("PATCH", "/environments/default", { secrets: { KEY: null } })).toContain(
    'takes the secret "KEY", which this environment does not have',
  );
  const changed = await call("PATCH", "/environments/default", {
    egress: { credentials: { add: [{ ...credential, template: `Token \${KEY}` }] } },
  });
  expect(changed.json.egress.credentials).toHaveLength(1);
  const removed = await call("PATCH", "/environments/default", {
    egress: { credentials: { remove: ["api.example.com authorization"] } },
  });
  expect(removed.json.egress.credentials).toEqual([]);
});

test.each([
  ["the forge", { host: "api.github.com" }, "nothing is injected for github.com"],
  ["the model's vendor", { host: "api.anthropic.com" }, "nothing is injected for anthropic.com"],
  ["the model's host", { host: "gpu.lan" }, "that host serves the model"],
  ["a wildcard", { host: "*.example.com" }, "is not for one exact host"],
  ["a hop-by-hop header", { header: "Proxy-Authorization" }, "the proxy writes that header itself"],
  ["Host", { header: "host" }, "the proxy writes that header itself"],
  ["a header with a line break", { header: "X\r\nY" }, "names no legal header"],
  ["no secret", { template: "Bearer abc" }, "takes exactly one secret"],
  ["two secrets", { template: `\${KEY}\${KEY}` }, "takes exactly one secret"],
  ["an unknown secret", { template: `\${OTHER}` }, "It has: KEY"],
  ["a line break in the template", { template: `\${KEY}\r\nX: y` }, "characters that no header takes"],
])("bad input: a credential for %s is refused with the reason", async (_, wrong, said) => {
  const { call, refusal, store } = serve();
  await call("PUT", "/model", { kind: "endpoint", baseUrl: "https://gpu.lan/v1", secret: "sk-0123456789" });
  const credential = { host: "api.example.com", header: "X-Key", template: `\${KEY}`, ...wrong };
  expect(
    await refusal("PATCH", "/environments/default", {
      secrets: { KEY: "0123456789" },
      egress: { credentials: [credential] },
    }),
  ).toContain(said);
  expect(store.environments.get("default")?.secrets).toEqual({});
});

test.each([
  ["short", "1234567", "at least 8 characters"],
  ["with a line break", "01234567\n89", "printable ASCII"],
])("bad input: a secret that is %s is refused, and not repeated", async (_, value, said) => {
  const { call } = serve();
  const { status, text } = await call("PATCH", "/environments/default", { secrets: { KEY: value } });
  expect([status, text]).toEqual([400, expect.stringContaining(said)]);
  expect(text).not.toContain("1234567");
});
