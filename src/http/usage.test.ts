import { afterEach, expect, test } from "bun:test";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { beginCli } from "../cli/wiring.fixture.ts";
import type { PromptId, SandboxId, TaskId } from "../domain/ids.ts";
import type { ModelRequest } from "../domain/model.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The API and the command line over one store. */
function serve() {
  const house = startAppServer();
  closers.push(() => house.close());
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${house.url}/api${path}`, {
      method,
      headers: { authorization: `Bearer ${house.token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return {
    ...house,
    call,
    json: async (path: string) => JSON.parse((await call("GET", path)).text),
    run: (...argv: string[]) => beginCli(house.dataFolder, argv).ended,
    use(taskId: TaskId, day: string, change: Partial<ModelRequest> = {}) {
      const request: ModelRequest = {
        taskId,
        sandboxId: "sbx_1" as SandboxId,
        promptId: "prm_1" as PromptId,
        at: 1,
        model: "claude-opus-4-8",
        status: 200,
        ...{ inputTokens: 1000, outputTokens: 200, cacheReadTokens: 30_000, webSearches: 0 },
        ...{ cacheWriteTokens: 400, cacheWriteHourTokens: 300, costNano: 1_234_567_891 },
        ...{ firstByteMs: 1, totalMs: 1 },
        ...change,
      };
      house.store.usage.record(request, day);
    },
  };
}

test("usage is summed up by what is asked for, within days, and says whose days they are", async () => {
  const { submit, use, json, call } = serve();
  const one = submit({ title: "build it" });
  const other = submit({ title: "=HYPERLINK(1)", person: "bob" });
  use(one, "2026-11-20");
  use(one, "2026-11-21", { costNano: undefined });
  use(other, "2026-11-21", { costNano: 5e9 });
  expect(await json("/usage")).toMatchObject({
    by: "day",
    timeZone: "UTC",
    total: { requests: 3, unpricedRequests: 1, costUsd: 6.234567891 },
    rows: [
      { key: "2026-11-20", requests: 1, cacheWrite5mTokens: 100, cacheWrite1hTokens: 300 },
      { key: "2026-11-21", requests: 2 },
    ],
  });
  expect((await json("/usage?by=person&from=2026-11-21&to=2026-11-21")).rows).toMatchObject([
    { name: "bob", costUsd: 5 },
    { name: "ada", costUsd: 0, unpricedRequests: 1 },
  ]);
  for (const wrong of ["by=moon", "from=yesterday", "from=2026-11-22&to=2026-11-21"])
    expect((await call("GET", `/usage?${wrong}`)).status).toBe(400);

  const csv = await call("GET", "/usage.csv?by=task");
  expect(csv.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(csv.text.split("\r\n")).toEqual([
    "task,title,requests,input_tokens,output_tokens,cache_read_tokens,cache_write_5m_tokens,cache_write_1h_tokens,web_searches,cost_usd,unpriced_requests",
    `${other},"'=HYPERLINK(1)",1,1000,200,30000,100,300,0,5.000000000,0`,
    `${one},"build it",2,2000,400,60000,200,600,0,1.234567891,1`,
    "",
  ]);
});

test("the command line shows usage as a table and as CSV, and never 0 for what had no price", async () => {
  const { submit, use, run } = serve();
  const id = submit({ title: "build it" });
  use(id, "2026-11-20");
  use(id, "2026-11-21", { model: "qwen", costNano: undefined });
  const table = await run("usage", "--by", "model");
  expect(table.out).toMatch(/^MODEL +REQUESTS +IN +OUT +CACHE READ +CACHE WRITE +COST\n/);
  expect(table.out).toMatch(/^claude-opus-4-8 +1 +1\.0k +200 +30\.0k +400 +\$1\.23$/m);
  expect(table.out).toMatch(/^qwen .* no price$/m);
  expect(table.out).toMatch(/^total .* \$1\.23 and 1 without a price$/m);
  expect((await run("usage", "--csv", "--to", "2026-11-20")).out).toEndWith(",1.234567891,0\r\n");
  expect((await run("usage", "--from", "today")).code).toBe(2);
  expect((await run("usage", "--from", "2026-02-30")).err).toContain("That is no day.");
  const shown = await run("task", "show", id);
  expect(shown.out).toMatch(/^Cost +\$1\.23 and 1 without a price$/m);
});

test("a task's usage stands by turn, and its budget is set and taken back", async () => {
  const { submit, use, run, json, call, store } = serve();
  const id = submit({ title: "build it" });
  use(id, "2026-11-20", { promptId: undefined, costNano: 1e9 });
  use(id, "2026-11-20");
  expect(await json(`/tasks/${id}/usage`)).toMatchObject({
    total: { requests: 2 },
    turns: [{ requests: 1, costUsd: 1 }, { promptId: "prm_1" }],
    models: [{ key: "claude-opus-4-8" }],
    budget: { turns: 0, tokens: 0, usd: 0, own: [] },
  });
  const set = await run("task", "budget", id, "--usd", "12.5", "--turns", "3");
  expect(set.out).toMatch(/^Budget +\$12\.50, 3 turns$/m);
  expect(set.out).toMatch(/^Turn 1 +1\.0k in/m);
  expect(store.usage.budgetOf(id)).toEqual({ usd: 12.5, turns: 3 });
  expect(store.events.last(id, "appliance_notice")?.body).toMatchObject({
    text: "ada set the budget of this task: $12.5, any number of tokens, 3 turns.",
  });
  await run("task", "budget", id, "--usd", "env");
  expect(store.usage.budgetOf(id)).toEqual({ turns: 3 });
  for (const wrong of [{ usd: -1 }, { turns: 1.5 }, { tokens: "many" }])
    expect((await call("PUT", `/tasks/${id}/budget`, wrong)).status).toBe(400);
  expect((await run("task", "budget", id, "--usd", "-3")).code).toBe(2);
});

test("an environment's limits of turns, tokens and money are set like the others", async () => {
  const { run, store } = serve();
  expect((await run("env", "edit", "default", "--usd", "2.5", "--tokens", "1000000")).code).toBe(0);
  expect(store.environments.get("default")?.limits).toMatchObject({ usd: 2.5, tokens: 1_000_000, turns: 0 });
  expect((await run("env", "show", "default")).out).toMatch(/^Task budget +\$2\.50, 1\.0M tokens$/m);
});

test("a usage limit shows in the status until a person has the model asked again", async () => {
  const { usageLimits, json, call } = serve();
  expect((await json("/status")).model.limitedUntil).toBeUndefined();
  const until = Date.now() + 3_600_000;
  usageLimits.reached(until);
  expect((await json("/status")).model.limitedUntil).toBe(until);
  expect((await call("POST", "/model/retry")).status).toBe(204);
  expect((await json("/status")).model.limitedUntil).toBeUndefined();
});
