import { afterEach, beforeEach, expect, test } from "bun:test";
import { type AppServer, startAppServer } from "../../test/fixtures/app-server.ts";
import { createClient } from "../client.ts";
import { maxPayloadBytes } from "../domain/schedule.ts";

let house: AppServer;
beforeEach(() => {
  house = startAppServer();
});
afterEach(() => house.close());

const clientOf = ({ url, token }: AppServer) =>
  createClient({
    ...{ url, token },
    openSocket: () => {
      throw new Error("no live connection is needed here");
    },
  });
const task = { prompt: "Update the dependencies", repositories: [{ name: "demo" }] };
const daily = { kind: "cron", expression: "0 3 * * *", zone: "Europe/Berlin" } as const;

async function withTrigger() {
  const { read, api } = clientOf(house);
  const { id } = await read(api.schedules.$post({ json: { name: "hook", time: { kind: "never" }, task } }));
  const trigger = await read(api.schedules[":id"].trigger.$post({ param: { id } }));
  const call = (headers: Record<string, string>, body: BodyInit = "", url = trigger.url) =>
    fetch(url, { method: "POST", headers, body });
  return { id, trigger, call, bearer: { authorization: `Bearer ${trigger.token}` } };
}

test("a schedule is made, shown with its next times, changed, paused, resumed, run and removed", async () => {
  const { read, api } = clientOf(house);
  const made = await read(api.schedules.$post({ json: { name: "nightly", time: daily, task } }));
  expect(made).toMatchObject({ person: "ada", missed: "skip", overlap: "skip", enabled: true });
  expect(made.next).toHaveLength(5);
  const param = { id: made.id };
  const paused = await read(api.schedules[":id"].$patch({ param, json: { enabled: false } }));
  expect(paused).toMatchObject({ enabled: false, next: [], missed: "skip" });
  const resumed = await read(api.schedules[":id"].$patch({ param, json: { enabled: true, missed: "run" } }));
  expect(resumed.next).toEqual(made.next);
  const run = await read(api.schedules[":id"].run.$post({ param }));
  const shown = await read(api.schedules[":id"].$get({ param }));
  expect(shown.runs).toMatchObject([
    { cause: "person", kind: "task", task: { id: run.id, state: "queued" } },
  ]);
  await read(api.schedules[":id"].$delete({ param }));
  expect(await read(api.schedules.$get())).toEqual([]);
  expect(house.store.tasks.stateOf(run.id as never)).toEqual({ kind: "queued" });
});

test("what cannot be is refused in words, before anything is kept", async () => {
  const { read, api } = clientOf(house);
  const refused = (change: object) =>
    read(api.schedules.$post({ json: { name: "x", time: daily, task, ...change } }));
  await expect(refused({ time: { ...daily, expression: "61 * * * *" } })).rejects.toThrow("cron pattern");
  await expect(refused({ time: { ...daily, zone: "Mars/Phobos" } })).rejects.toThrow("not a time zone");
  await expect(refused({ time: { kind: "once", at: 1 } })).rejects.toThrow("passed already");
  await expect(refused({ name: "a\nb" })).rejects.toThrow("letters, digits");
  await expect(refused({ task: { ...task, prompt: " " } })).rejects.toThrow("The prompt is empty");
  expect(await read(api.schedules.$get())).toEqual([]);
});

test("a trigger's token starts its task and opens nothing else; the database holds no token", async () => {
  const { id, trigger, call, bearer } = await withTrigger();
  expect(trigger.url).toBe(`${house.url}/triggers/${id}`);
  const started = await call({ ...bearer, "content-type": "application/json" }, '{"build":7}');
  expect(started.status).toBe(202);
  const made = (await started.json()) as { id: string; state: string; url: string };
  expect(made).toMatchObject({ state: "queued", url: `${house.url}/tasks/${made.id}` });
  expect(house.store.prompts.list(made.id as never)[0]?.text).toContain('{"build":7}');
  expect((await fetch(`${house.url}/api/tasks`, { headers: bearer })).status).toBe(401);
  expect(house.store.schedules.triggerHash(id as never)).not.toContain(trigger.token.slice(5));
  const shown = await fetch(`${house.url}/api/schedules/${id}`, {
    headers: { authorization: `Bearer ${house.token}` },
  });
  expect(await shown.text()).not.toContain(trigger.token.slice(5, 20));
});

test("without the token a trigger looks like an address that does not exist", async () => {
  const { id, call, bearer } = await withTrigger();
  const answers = [
    await call({}),
    await call({ authorization: "Bearer ccwt_wrong" }),
    await call({ authorization: `Bearer ${house.token}` }),
    await call({ ...bearer }, "", `${house.url}/triggers/sch_00000000000000000000`),
    await call({ ...bearer }, "", `${house.url}/triggers/x`),
  ];
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
  expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
  const { read, api } = clientOf(house);
  await read(api.schedules[":id"].trigger.$delete({ param: { id } }));
  expect((await call(bearer)).status).toBe(404);
});

test("a payload has 64 KiB of text, and an idempotency key one task", async () => {
  const { call, bearer } = await withTrigger();
  expect((await call(bearer, "x".repeat(maxPayloadBytes))).status).toBe(202);
  expect((await call(bearer, "x".repeat(maxPayloadBytes + 1))).status).toBe(413);
  expect((await call({}, "x".repeat(maxPayloadBytes + 1))).status).toBe(404);
  expect((await call(bearer, new Uint8Array([0xff, 0xfe]))).status).toBe(400);
  const keyed = { ...bearer, "idempotency-key": "build 7" };
  const [one, other] = [await call(keyed), await call(keyed)];
  expect(await one.json()).toEqual(await other.json());
  expect((await call({ ...bearer, "idempotency-key": "k".repeat(256) })).status).toBe(400);
});

test("several attempts are submitted, listed as such, and one is kept", async () => {
  const { read, api } = clientOf(house);
  const group = await read(api.groups.$post({ json: { ...task, attempts: 3 } }));
  expect(group.tasks.map(({ attempt }) => attempt)).toEqual(
    [1, 2, 3].map((number) => ({ groupId: group.id, number, of: 3 })),
  );
  const taskId = group.tasks[1]?.id ?? "";
  const kept = await read(api.groups[":id"].keep.$post({ param: { id: group.id }, json: { taskId } }));
  expect(kept.kept).toBe(taskId);
  expect(kept.tasks.map(({ state }) => state)).toEqual(["cancelled", "queued", "cancelled"]);
  await expect(read(api.groups[":id"].$get({ param: { id: "grp_x" } }))).rejects.toThrow(
    "There is no comparison",
  );
  for (const attempts of [1, 9])
    await expect(read(api.groups.$post({ json: { ...task, attempts } }))).rejects.toThrow("attempts");
});
