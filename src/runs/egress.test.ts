import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { decideConnection } from "../domain/egress-policy.ts";
import { type EnvironmentInput, environmentSchema } from "../domain/environment.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { ModelEndpoint } from "../domain/model.ts";
import type { Log } from "../domain/ports.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { decideAccess } from "./access-requests.ts";
import { createEgressPort } from "./egress.ts";
import { ids, submit } from "./house.fixture.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

const modelKey = "sk-ant-0123456789";
const endpoint: ModelEndpoint = {
  kind: "endpoint",
  baseUrl: "https://gpu.lan/v1",
  credential: { header: "authorization", value: `Bearer ${modelKey}` },
};

const host = (text: string) => ({ kind: "name", text }) as const;

const forgeSecrets = [{ name: "the credential of the forge work", value: "ghp_0123456789abcdef" }];

/** A port over a real store, with a clock that a test moves. */
function createPort(environment: Partial<EnvironmentInput> = {}) {
  let clock = Date.now();
  const source: IdSource = { ...ids, now: () => clock };
  const store = openStore(":memory:", createSeal(new Uint8Array(32)), source);
  const logged: string[] = [];
  const log: Log = { info() {}, warn() {}, error: (text) => logged.push(text) };
  const port = createEgressPort({
    store,
    log,
    now: source.now,
    endpoints: () => [endpoint],
    forgeSecrets: () => forgeSecrets,
  });
  closers.push(
    () => store.close(),
    () => port.close(),
  );
  const save = (fields: Partial<EnvironmentInput>) =>
    store.environments.save(environmentSchema.parse({ name: "default", ...fields }));
  save(environment);
  const ada = store.people.ensure("ada");
  return {
    store,
    port,
    logged,
    save,
    /** Whether a connection would be let through, and how. */
    verdict(sandboxId: SandboxId, name: string, number = 443): string {
      const policy = port.egressOf(sandboxId)?.policy;
      if (policy === undefined) return "no policy";
      const decision = decideConnection(policy, host(name), number);
      return decision.allowed ? `${decision.treatment}${decision.once ? " once" : ""}` : decision.code;
    },
    pass: (ms: number) => {
      clock += ms;
    },
    decide: (id: number, decision: Parameters<typeof decideAccess>[3]) =>
      decideAccess({ store, now: source.now }, ada, id, decision),
    /** A task with a sandbox that works for it. */
    run(variables: Record<string, string> = {}): { taskId: TaskId; sandboxId: SandboxId } {
      const taskId = submit(store, { variables });
      const sandboxId = newId("SandboxId", source);
      store.tasks.move(taskId, { kind: "starting", sandboxId });
      store.sandboxes.create(sandboxId, taskId);
      store.tasks.move(taskId, { kind: "running", sandboxId });
      return { taskId, sandboxId };
    },
    eventsOf: (taskId: TaskId) =>
      store.events
        .ofKinds(taskId, [
          "access_requested",
          "access_granted",
          "access_denied",
          "access_expired",
          "appliance_notice",
        ])
        .map(({ body }) => body),
  };
}

const limits = {
  uploadBytes: 1024 ** 3,
  requestBytes: 256 * 1024 ** 2,
  requestsPerMinute: 6000,
  connections: 256,
  namesPerMinute: 120,
};

test("a sandbox that is unknown or whose task has ended reaches nothing", () => {
  const { port, store, run } = createPort({ access: "full" });
  expect(port.egressOf(newId("SandboxId", ids))).toBeUndefined();
  const { taskId, sandboxId } = run();
  expect(port.egressOf(sandboxId)?.policy.access).toBe("full");
  let told = 0;
  port.onChange(() => told++);
  store.tasks.move(taskId, { kind: "cancelled", by: "ada" });
  expect(port.egressOf(sandboxId)).toBeUndefined();
  expect(told).toBe(1);
  expect(port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed")).toBe("not-asked");
});

test("the environment's egress is read as it is now, not as it was submitted", () => {
  const { port, run, save } = createPort({ access: "none" });
  const { sandboxId } = run();
  expect(port.egressOf(sandboxId)).toMatchObject({ policy: { access: "none" }, limits });
  const seen: (string | undefined)[] = [];
  port.onChange(() => seen.push(port.egressOf(sandboxId)?.policy.access));
  save({ access: "limited", egress: { limits: { connections: 7 } } });
  expect(seen).toEqual(["limited"]);
  expect(port.egressOf(sandboxId)?.limits).toEqual({ ...limits, connections: 7 });
});

test("a rule that is added or removed counts for the next connection of a running task", () => {
  const { run, save, verdict } = createPort({ access: "limited" });
  const { sandboxId } = run();
  expect(verdict(sandboxId, "internal.example")).toBe("host-not-allowed");
  save({ access: "limited", egress: { allow: ["internal.example"] } });
  expect(verdict(sandboxId, "internal.example")).toBe("pass");
  save({ access: "limited", egress: { allow: ["internal.example"], deny: ["*.example"] } });
  expect(verdict(sandboxId, "internal.example")).toBe("host-denied");
});

test("a grant counts within the same tick, and whoever holds connections is told", () => {
  const { port, run, decide, verdict } = createPort({ access: "limited" });
  const { sandboxId } = run();
  const other = run();
  const ask = (name: string) => port.requestAccess(sandboxId, name, 443, "host-not-allowed");
  for (const name of ["a.example", "b.example", "c.example"]) ask(name);
  const seen: string[] = [];
  port.onChange(() => seen.push(["a", "b", "c"].map((name) => verdict(sandboxId, `${name}.example`)).join()));
  decide(1, "once");
  decide(2, "task");
  decide(3, "environment");
  expect(seen).toEqual([
    "pass once,host-not-allowed,host-not-allowed",
    "pass once,pass,host-not-allowed",
    "pass once,pass,pass",
  ]);
  expect(["a", "b", "c"].map((name) => verdict(other.sandboxId, `${name}.example`))).toEqual([
    "host-not-allowed",
    "host-not-allowed",
    "pass",
  ]);
  decide(2, "deny");
  expect(verdict(sandboxId, "b.example")).toBe("host-not-allowed");
});

test("a host that gets a credential is inspected, since nothing can be added to what is not read", () => {
  const { run, verdict } = createPort({
    access: "custom",
    secrets: { KEY: "0123456789" },
    egress: {
      allow: ["api.example port=443,8443", "plain.example"],
      credentials: [
        { host: "api.example", header: "X-Key", template: `\${KEY}` },
        { host: "[2001:db8::1]", header: "X-Key", template: `\${KEY}` },
        { host: "off.example", header: "X-Key", template: `\${KEY}` },
      ],
    },
  });
  const { sandboxId } = run();
  expect(verdict(sandboxId, "api.example")).toBe("inspect");
  expect(verdict(sandboxId, "api.example", 8443)).toBe("inspect");
  expect(verdict(sandboxId, "plain.example")).toBe("pass");
  expect(verdict(sandboxId, "off.example")).toBe("host-not-allowed");
});

test("a rule that this version cannot read lets nothing through, and is logged once", () => {
  const { port, store, run, logged } = createPort({ access: "full" });
  const { sandboxId } = run();
  const environment = store.environments.get("default");
  if (environment === undefined) throw new Error("no environment");
  store.environments.save({ ...environment, egress: { ...environment.egress, deny: ["https://x"] } });
  for (let i = 0; i < 100; i++) {
    expect(port.egressOf(sandboxId)).toBeUndefined();
    store.wakes.wake("tasks");
  }
  expect(logged).toHaveLength(1);
});

test("where the environment is gone, nothing is allowed", () => {
  const { port, store } = createPort({ access: "full" });
  const taskId = submit(store, { name: "gone", access: "full" });
  const sandboxId = newId("SandboxId", ids);
  store.tasks.move(taskId, { kind: "starting", sandboxId });
  store.sandboxes.create(sandboxId, taskId);
  expect(port.egressOf(sandboxId)?.policy.access).toBe("none");
});

test("an unchanged policy is the same object: nothing is made anew for a request", () => {
  const { port, run } = createPort({ access: "limited" });
  const { sandboxId } = run();
  const first = port.egressOf(sandboxId);
  expect(port.egressOf(sandboxId)).toBe(first);
});

test("secrets are the appliance's own, the environment's secrets, and variables that are named like one", () => {
  const { port, run } = createPort({ access: "limited", secrets: { JIRA: "jira-secret-value" } });
  const { sandboxId } = run({
    NPM_TOKEN: "npm_0123456789",
    DB_PASSWORD: "hunter2hunter2",
    DEBUG: "verbose-output",
    API_KEY: "short",
    SSH_PRIVATE_KEY: "npm_0123456789",
  });
  expect(port.egressOf(sandboxId)?.secrets).toEqual([
    { name: "the model's key", value: modelKey },
    ...forgeSecrets,
    { name: "secret JIRA", value: "jira-secret-value" },
    { name: "environment variable NPM_TOKEN", value: "npm_0123456789" },
    { name: "environment variable DB_PASSWORD", value: "hunter2hunter2" },
  ]);
});

test("a credential is made from its secret, and never for the host of the model or of a forge", () => {
  const { port, run, store } = createPort({
    access: "limited",
    secrets: { A: "a-$&-secret", B: "b-secret-value" },
    egress: {
      credentials: [
        { host: "api.example.com", header: "Authorization", template: `Bearer \${A}` },
        { host: "gpu.lan", header: "X-Key", template: `\${B}` },
        { host: "git.lan", header: "Authorization", template: `Bearer \${B}` },
      ],
    },
  });
  const { sandboxId } = run();
  const credentials = () => port.egressOf(sandboxId)?.credentials.map(({ host }) => host);
  expect(credentials()).toEqual(["api.example.com", "git.lan"]);
  const at = { url: "https://git.lan:8443", apiUrl: "https://git.lan:8443/api/v1" };
  store.forges.save({ name: "work", kind: "gitea", ...at }, { kind: "none" });
  expect(port.egressOf(sandboxId)?.credentials).toEqual([
    { host: "api.example.com", header: "Authorization", value: "Bearer a-$&-secret" },
  ]);
});

test("a refused host is asked about once, however often it is refused", async () => {
  const { port, store, run, eventsOf } = createPort({ access: "limited" });
  const { taskId, sandboxId } = run();
  let woken = 0;
  store.wakes.on("tasks", () => woken++);
  for (let i = 0; i < 5; i++)
    expect(port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed")).toBe("asked");
  expect(woken).toBe(1);
  expect(eventsOf(taskId)).toEqual([
    { kind: "access_requested", requestId: 1, host: "a.example", port: 443, reason: "host-not-allowed" },
  ]);
  await until("all are counted", () => store.access.list({ limit: 9 })[0]?.count === 5);
  expect(store.access.list({ limit: 9 })).toMatchObject([{ count: 5, state: { kind: "pending" } }]);
});

test("a task asks for at most 200 hosts at once", () => {
  const { port, store, run } = createPort({ access: "limited" });
  const { sandboxId } = run();
  const states = Array.from({ length: 201 }, (_, i) =>
    port.requestAccess(sandboxId, `h${i}.example`, 443, "host-not-allowed"),
  );
  expect(states.filter((state) => state === "asked")).toHaveLength(200);
  expect(states.at(-1)).toBe("not-asked");
  expect(store.access.list({ limit: 999 })).toHaveLength(200);
});

test("a sandbox that asks for ever new hosts does not hide what another one waits for", () => {
  const { store, port, run } = createPort({ access: "limited" });
  const [quiet, loud] = [run().sandboxId, run().sandboxId];
  port.requestAccess(quiet, "wanted.example", 443, "host-not-allowed");
  for (let i = 0; i < 100; i++) port.requestAccess(loud, `h${i}.example`, 443, "host-not-allowed");
  const waiting = store.access.waiting(20, 1000).map(({ host }) => host);
  expect(waiting).toHaveLength(21);
  expect(waiting.slice(0, 2)).toEqual(["h99.example", "h98.example"]);
  expect(waiting.at(-1)).toBe("wanted.example");
});

test("a denied host is not asked about again in this task, at any port; another task may ask", () => {
  const { port, run, decide, eventsOf } = createPort({ access: "limited" });
  const { taskId, sandboxId } = run();
  const other = run();
  port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed");
  expect(decide(1, "deny").state).toMatchObject({ kind: "denied", person: "ada" });
  expect(port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed")).toBe("denied");
  expect(port.requestAccess(sandboxId, "a.example", 8443, "port-not-allowed")).toBe("denied");
  expect(port.requestAccess(other.sandboxId, "a.example", 443, "host-not-allowed")).toBe("asked");
  expect(eventsOf(taskId).map(({ kind }) => kind)).toEqual(["access_requested", "access_denied"]);
});

test("a grant for once is one connection within the hour; then it is asked about again", () => {
  const { port, store, run, decide, pass, eventsOf, verdict } = createPort({ access: "limited" });
  const { taskId, sandboxId } = run();
  port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed");
  decide(1, "once");
  expect(verdict(sandboxId, "a.example")).toBe("pass once");
  expect(port.takeOnce(sandboxId, "b.example", 443)).toBe(false);
  let told = 0;
  port.onChange(() => told++);
  expect(port.takeOnce(sandboxId, "a.example", 443)).toBe(true);
  expect(port.takeOnce(sandboxId, "a.example", 443)).toBe(false);
  expect(told).toBe(0);
  expect(verdict(sandboxId, "a.example")).toBe("host-not-allowed");
  expect(port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed")).toBe("asked");
  decide(1, "once");
  expect(verdict(sandboxId, "a.example")).toBe("pass once");
  pass(3600_000);
  expect(verdict(sandboxId, "a.example")).toBe("host-not-allowed");
  expect(port.takeOnce(sandboxId, "a.example", 443)).toBe(false);
  expect(port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed")).toBe("asked");
  expect(store.access.get(1)?.state).toEqual({ kind: "pending" });
  expect(eventsOf(taskId).map(({ kind }) => kind)).toEqual([
    "access_requested",
    "access_granted",
    "access_requested",
    "access_granted",
    "access_requested",
  ]);
});

test("a grant for the environment adds the rule, for every task that wants the same", () => {
  const { port, store, run, decide, eventsOf } = createPort({ access: "limited" });
  const [one, two] = [run(), run()];
  for (const { sandboxId } of [one, two]) {
    port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed");
    port.requestAccess(sandboxId, "a.example", 8443, "port-not-allowed");
  }
  decide(1, "environment");
  decide(2, "environment");
  expect(store.environments.get("default")?.egress.allow).toEqual(["a.example", "a.example port=8443"]);
  expect(eventsOf(two.taskId).filter(({ kind }) => kind === "access_granted")).toMatchObject([
    { host: "a.example", port: 443, scope: "environment", person: "ada" },
    { host: "a.example", port: 8443, scope: "environment", person: "ada" },
  ]);
  expect(() => decide(1, "deny")).toThrow("was allowed for the environment default, not for this task alone");
});

test("a grant that would have no effect is refused with what would have one", () => {
  const { port, store, run, decide, save } = createPort({ access: "limited" });
  const { taskId, sandboxId } = run();
  port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed");
  save({ access: "none" });
  expect(() => decide(1, "environment")).toThrow("allows no egress at all");
  expect(() => decide(99, "task")).toThrow("no access request 99");
  store.tasks.move(taskId, { kind: "cancelled", by: "ada" });
  expect(() => decide(1, "once")).toThrow("is cancelled, so a grant for it would have no effect");
  expect(() => decide(1, "deny")).toThrow("is cancelled, so denying it would have no effect");
  expect(store.access.get(1)?.state.kind).toBe("expired");
});

test("with a task its open requests end, before its last event; the environment can still be given leave", () => {
  const { port, store, run, decide, eventsOf } = createPort({ access: "limited" });
  const { taskId, sandboxId } = run();
  const other = run();
  for (const name of ["a.example", "b.example", "c.example"])
    port.requestAccess(sandboxId, name, 443, "host-not-allowed");
  port.requestAccess(other.sandboxId, "c.example", 443, "host-not-allowed");
  decide(1, "task");
  store.tasks.move(taskId, { kind: "failed", reason: "no", hint: "" });
  expect(store.access.list({ taskId, limit: 9 }).map(({ state }) => state.kind)).toEqual([
    "expired",
    "expired",
    "granted",
  ]);
  expect(store.access.waiting(20, 100).map(({ taskId: of }) => of)).toEqual([other.taskId]);
  expect(eventsOf(taskId).filter(({ kind }) => kind === "access_expired")).toMatchObject([
    { requestId: 2, host: "b.example", port: 443 },
    { requestId: 3, host: "c.example", port: 443 },
  ]);
  expect(store.events.after(taskId, 0, 100).at(-1)?.body).toMatchObject({ kind: "state", state: "failed" });

  expect(() => decide(3, "task")).toThrow("is failed, so a grant for it would have no effect");
  expect(decide(3, "environment").state).toMatchObject({ kind: "granted", scope: "environment" });
  expect(store.environments.get("default")?.egress.allow).toEqual(["c.example"]);
  // The other task, which asks for the same and goes on, has it with that.
  expect(store.access.waiting(20, 100)).toEqual([]);
});

test("a task that is queued again keeps what it asks for", () => {
  const { store } = createPort({ access: "limited" });
  const taskId = submit(store);
  store.tasks.move(taskId, { kind: "starting", sandboxId: newId("SandboxId", ids) });
  store.access.ask({ taskId, host: "a.example", port: 443, reason: "host-not-allowed" });
  store.tasks.move(taskId, { kind: "queued" });
  expect(store.access.get(1)?.state.kind).toBe("pending");
});

test("a notice is shown once", () => {
  const { port, run, eventsOf } = createPort();
  const { taskId, sandboxId } = run();
  port.notice(sandboxId, "The upload budget is spent.");
  port.notice(sandboxId, "The upload budget is spent.");
  for (let i = 0; i < 300; i++) port.notice(sandboxId, `notice ${i}`);
  expect(eventsOf(taskId)).toHaveLength(200);
});

test("a listener that fails does not make a decision fail", () => {
  const { port, run, decide, logged } = createPort({ access: "limited" });
  const { sandboxId } = run();
  port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed");
  let told = 0;
  port.onChange(() => {
    throw new Error("defect");
  });
  port.onChange(() => told++);
  decide(1, "task");
  expect([told, logged]).toEqual([1, ["a change of egress could not be told"]]);
});

test("a database that fails lets nothing through and throws nothing into the traffic", () => {
  const { port, store, run, logged } = createPort({ access: "full" });
  const { sandboxId } = run();
  store.close();
  expect(port.egressOf(sandboxId)).toBeUndefined();
  expect(port.requestAccess(sandboxId, "a.example", 443, "host-not-allowed")).toBe("not-asked");
  expect(port.takeOnce(sandboxId, "a.example", 443)).toBe(false);
  port.notice(sandboxId, "x");
  expect(port.uploaded(sandboxId)).toBe(Number.POSITIVE_INFINITY);
  expect(logged).toHaveLength(4);
});
