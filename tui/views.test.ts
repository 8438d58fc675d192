import { expect, test } from "bun:test";
import type { AccessRequestJson, TaskJson } from "../src/client.ts";
import type { TaskEvent, TaskEventBody } from "../src/domain/event.ts";
import { cellText, fit, width, wrap } from "./cells.ts";
import { typeKey } from "./line-input.ts";
import { currentTask, type Model, select, selectRequest, takeTasks } from "./model.ts";
import { createTranscript } from "./transcript.ts";
import { draw } from "./views.ts";

function task(n: number, change: Partial<TaskJson> = {}): TaskJson {
  return {
    id: `tsk_0000000000000000000${n}`,
    title: `Task ${n}`,
    person: "ada",
    environment: "default",
    agent: "claude",
    model: "",
    mode: "act",
    held: false,
    sandbox: { state: "awake" },
    repositories: [{ name: "demo", baseBranch: "main", workBranch: "claude/x" }],
    pullRequest: "none",
    pullRequests: [],
    kept: [],
    state: "running",
    detail: "",
    createdAt: 0,
    updatedAt: 0,
    inputTokens: 1000,
    outputTokens: 500,
    costUsd: 0,
    unpricedRequests: 0,
    ...change,
  };
}

function request(id: number, change: Partial<AccessRequestJson> = {}): AccessRequestJson {
  return {
    id,
    taskId: task(1).id,
    taskTitle: "Task 1",
    taskState: "running",
    environment: "default",
    host: `host${id}.example`,
    port: 443,
    reason: "host-not-allowed",
    count: 1,
    firstAt: 0,
    lastAt: 0,
    state: "pending",
    ...change,
  };
}

function model(change: Partial<Model> = {}): Model {
  return {
    url: "http://127.0.0.1:7878",
    tasks: [],
    requests: [],
    status: {
      version: "1.2.3",
      engine: { ok: true, text: "podman 4.3.1" },
      model: { kind: "demo", baseUrl: "" },
      parallel: 4,
      active: 1,
      queued: 2,
      person: "ada",
    },
    connection: "up",
    page: { kind: "list" },
    selectedId: undefined,
    top: 0,
    filter: "",
    help: false,
    asking: undefined,
    message: undefined,
    ...change,
  };
}

const plain = (rows: string[]) => rows.map((row) => Bun.stripANSI(row));
const events = (...bodies: TaskEventBody[]): TaskEvent[] =>
  bodies.map((body, index) => ({ seq: index + 1, taskId: "t", at: 0, body }));

const hostile = "世界 ✅🎉 \x1b[2J{bold}\u202e\x07";

test.each([
  [20, 5],
  [80, 24],
  [160, 50],
])("every row fills a screen of %d by %d exactly, whatever the texts are", (columns, rows) => {
  const tasks = Array.from({ length: 60 }, (_, n) =>
    task(n, { title: `${hostile} ${"long ".repeat(n)}`, person: hostile, detail: hostile.repeat(20) }),
  );
  const [first = task(0)] = tasks;
  const transcript = createTranscript();
  transcript.add(events({ kind: "assistant_text", blockId: "b", text: hostile.repeat(30) }));
  const requests = Array.from({ length: 60 }, (_, id) =>
    request(id, { host: hostile.repeat(id), taskTitle: hostile, person: hostile, taskId: first.id }),
  );
  const page = { kind: "requests" as const, requests, selectedId: 40, top: 0 };
  for (const change of [
    { tasks },
    { tasks, requests },
    { tasks, requests, page },
    { tasks, requests, page: { ...page, requests: undefined } },
    { tasks, requests, page: { kind: "task" as const, task: first, transcript } },
    { tasks: [] },
    { tasks, help: true },
    { tasks, connection: "lost" as const },
    { tasks, status: undefined },
    { tasks, page: { kind: "task" as const, task: first, transcript } },
    { tasks, asking: { label: hostile.repeat(10), text: hostile.repeat(10) } },
    { tasks, message: { tone: "bad" as const, text: hostile.repeat(10) } },
  ]) {
    const screen = draw(model(change), columns, rows, 60_000);
    expect(screen).toHaveLength(rows);
    for (const row of plain(screen)) {
      expect(width(row)).toBe(columns);
      expect(row).not.toMatch(/\p{Cc}|\u202e/u);
    }
  }
});

test("the header says that the demo model answers, and that the server is gone", () => {
  expect(plain(draw(model(), 80, 24, 0))[0]).toContain("DEMO MODEL");
  expect(plain(draw(model({ connection: "lost" }), 80, 24, 0))[0]).toContain(
    "NO CONNECTION to http://127.0.0.1:7878",
  );
});

test("a list without tasks says how to submit one", () => {
  expect(plain(draw(model(), 80, 24, 0)).join("\n")).toContain("ccw-server task create");
});

test("the selection stays on its task while the list moves, and on the screen while it scrolls", () => {
  const tasks = Array.from({ length: 60 }, (_, n) => task(n + 10));
  const view = model({ tasks });
  select(view, 40);
  expect(currentTask(view)?.title).toBe("Task 50");
  expect(plain(draw(view, 80, 24, 0)).some((row) => row.includes("Task 50 "))).toBe(true);
  takeTasks(view, [task(99), ...tasks]);
  expect(currentTask(view)?.title).toBe("Task 50");
  select(view, Number.NEGATIVE_INFINITY);
  expect(currentTask(view)?.title).toBe("Task 99");
});

test("requests for access are on the screen wherever one is, by the end of the name, which says whose it is", () => {
  const asking = [request(1, { host: `${"x".repeat(100)}.evil.example` }), request(2)];
  const rows = plain(draw(model({ tasks: [task(1)], requests: asking }), 80, 24, 0));
  expect(rows.some((row) => row.includes(".evil.example:443 and 1 more: press r"))).toBe(true);
  expect(rows.some((row) => row.includes("! running"))).toBe(true);
});

test("what a person can decide is offered, and who decided is said", () => {
  const requests = [
    request(1),
    request(2, { taskState: "completed", state: "expired" }),
    request(3, { state: "granted", scope: "environment", person: "grace" }),
  ];
  const page = { kind: "requests" as const, requests, selectedId: undefined, top: 0 };
  const shown = () => plain(draw(model({ page }), 100, 24, 0));
  expect(shown().at(-1)).toContain("o once  t task  e environment  d deny");
  selectRequest(page, 1);
  expect(shown().at(-1)).toContain("select  e environment  enter its task");
  expect(shown().join("\n")).toContain("Nobody decided before the task ended.");
  selectRequest(page, 1);
  expect(shown().at(-1)).not.toContain("deny");
  expect(shown().join("\n")).toContain("grace allowed it for the environment.");
});

test("a filter looks at what a person sees of a task", () => {
  const view = model({ tasks: [task(1, { person: "grace" }), task(2, { state: "failed" })], filter: "FAIL" });
  const rows = plain(draw(view, 80, 24, 0)).join("\n");
  expect(rows).toContain("Task 2");
  expect(rows).not.toContain("Task 1");
});

test("keys are offered for what can be done", () => {
  const foot = (change: Partial<TaskJson>) =>
    plain(draw(model({ tasks: [task(1, change)] }), 80, 24, 0))
      .slice(-2)
      .join();
  expect(foot({ state: "waiting" })).toContain("a answer");
  expect(foot({ state: "running" })).not.toContain("a answer");
  expect(foot({ state: "running" })).toContain("c stop");
  expect(foot({ state: "completed" })).not.toContain("c stop");
});

test("a task that is open offers what its state allows, and says why it does not go on", () => {
  const screen = (change: Partial<TaskJson>) =>
    plain(
      draw(
        model({ page: { kind: "task", task: task(1, change), transcript: createTranscript() } }),
        100,
        24,
        0,
      ),
    );
  const foot = (change: Partial<TaskJson>) => screen(change).slice(-2).join();
  expect(foot({ state: "running" })).toMatch(/p prompt {2}P at once {2}i interrupt {2}w queue/);
  expect(foot({ state: "running" })).not.toContain("archive");
  expect(foot({ state: "idle" })).toContain("p prompt  w queue");
  expect(foot({ state: "completed", archivedAt: 1 })).toContain("x take back  D delete");
  expect(foot({ state: "idle" })).not.toContain("interrupt");
  expect(foot({ state: "completed" })).toContain("p prompt");
  const paused = {
    state: "paused" as const,
    paused: { why: "usage_limit" as const, reason: "Resets \u001b[2Jsoon.", hint: "", until: 3_600_000 },
  };
  expect(foot(paused)).toContain("u go on");
  expect(screen(paused).join("\n")).toContain("account is reached: Resets ␛[2Jsoon. It goes on in 1h.");
  expect(screen({ state: "idle", held: true }).join("\n")).toContain("its prompts are held");
});

test("a transcript keeps to its end until the person scrolls up, and says how much is below", () => {
  const transcript = createTranscript();
  const say = (n: number) => transcript.add(events({ kind: "notice", level: "info", text: `note ${n}` }));
  for (let n = 0; n < 50; n++) say(n);
  const shown = () => plain(transcript.window(40, 5)).map((row) => row.trim());
  expect(shown().at(-1)).toBe("! note 49");
  transcript.scroll(-10);
  expect(shown().at(-1)).toBe("! note 39");
  say(50);
  expect(shown().at(-1)).toBe("! note 39");
  expect(transcript.below()).toBe(11);
  transcript.scroll(Number.POSITIVE_INFINITY);
  say(51);
  expect(shown().at(-1)).toBe("! note 51");
  transcript.scroll(Number.NEGATIVE_INFINITY);
  expect(shown()[0]).toBe("! note 0");
});

test("a transcript of any length takes bounded memory, and says that its start is missing", () => {
  const transcript = createTranscript(100);
  for (let n = 0; n < 1000; n++) transcript.add(events({ kind: "notice", level: "info", text: `note ${n}` }));
  transcript.window(40, 5);
  transcript.scroll(Number.NEGATIVE_INFINITY);
  const [first, second] = plain(transcript.window(80, 5));
  expect(first).toContain("left out");
  expect(second).toBe("! note 900");
});

test("text is wrapped at words, keeps its indent, and a narrower window wraps it anew", () => {
  expect(wrap("  | aaa bbb ccc", 10).map((row) => row.trimEnd())).toEqual(["  | aaa", "  | bbb", "  | ccc"]);
  expect(wrap("世界世界世界", 5).every((row) => width(row) <= 5)).toBe(true);
  const transcript = createTranscript();
  transcript.add(events({ kind: "assistant_text", blockId: "b", text: "one two three four five" }));
  expect(transcript.window(80, 10)).toHaveLength(2);
  expect(transcript.window(10, 10).length).toBeGreaterThan(3);
});

test("a wide character is never cut in half", () => {
  for (let cells = 0; cells < 12; cells++) expect(width(fit("a世界b🎉c世", cells))).toBe(cells);
});

test("joined emoji fall apart into pictures of a known width", () => {
  expect(cellText("👩‍💻 ⚠️")).toBe("👩💻 ⚠");
});

test("a line is typed, mended, ended and left", () => {
  const key = (full: string, ch?: string) => ({ full, ch });
  expect(typeKey("a", key("b", "b"))).toEqual({ kind: "typing", text: "ab" });
  expect(typeKey("a🎉", key("backspace", "\x7f"))).toEqual({ kind: "typing", text: "a" });
  expect(typeKey("one two", key("C-w", "\x17"))).toEqual({ kind: "typing", text: "one " });
  expect(typeKey("one", key("C-u", "\x15"))).toEqual({ kind: "typing", text: "" });
  expect(typeKey("one", key("up"))).toEqual({ kind: "typing", text: "one" });
  expect(typeKey("one", key("enter", "\r"))).toEqual({ kind: "done" });
  expect(typeKey("one", key("escape"))).toEqual({ kind: "left" });
});

test("a task's pull requests stand above its transcript", () => {
  const pullRequests = [
    { id: "plr_1", repository: "demo", number: 3, state: "open" as const, draft: true, updatedAt: 0 },
    { id: "plr_2", repository: "docs", number: 4, state: "merged" as const, draft: false, updatedAt: 0 },
  ];
  const page = { kind: "task" as const, task: task(1, { pullRequests }), transcript: createTranscript() };
  const screen = draw(model({ page }), 80, 24, 0).map(Bun.stripANSI);
  expect(screen[2]).toContain("Pull requests: demo#3 draft  docs#4 merged");
  expect(draw(model({ page: { ...page, task: task(1) } }), 80, 24, 0).join()).not.toContain("Pull requests");
});

test("every page and its keys fit into 80 columns and 24 rows, whatever stands in them", () => {
  const hostile = `evil \x1b[2J ${"世".repeat(300)}\n\u202e`;
  const used = {
    ...{ requests: 3, inputTokens: 123_456, outputTokens: 9, cacheReadTokens: 1, cacheWrite5mTokens: 0 },
    ...{ cacheWrite1hTokens: 0, costUsd: 0.25, unpricedRequests: 1 },
  };
  const state = "completed" as const;
  const doomed = task(1, { title: hostile, state });
  const prompt = { id: "p", text: hostile, person: hostile, attachments: [{ name: hostile }], createdAt: 0 };
  const turn = {
    ...{ number: 2, at: 0, prompt: hostile, previous: 1, files: 3, kept: true, used },
  };
  const found = { task: { ...doomed, archived: true }, kind: "prompt" as const, seq: 4 };
  const rows = { at: 0, top: 0 };
  const pages: Model["page"][] = [
    { kind: "list" },
    { kind: "task", task: doomed, transcript: createTranscript() },
    { kind: "queue", task: doomed, prompts: Array.from({ length: 60 }, () => prompt), at: 59, top: 0 },
    {
      kind: "turns",
      task: doomed,
      turns: Array.from({ length: 60 }, () => turn),
      total: used,
      version: "",
      ...rows,
    },
    {
      ...{ kind: "diff", task: doomed, turn: 2, previous: 1, from: 1, wrapped: undefined, top: 0, shown: 0 },
      lines: [{ tone: "good", text: hostile }],
    },
    {
      ...{ kind: "search", text: hostile, next: 3, cutShort: false, behind: 0, ...rows },
      places: Array.from({ length: 60 }, () => ({ ...found, snippet: [{ text: hostile, hit: true }] })),
    },
  ];
  for (const page of pages) {
    for (const [columns, height] of [
      [80, 24],
      [40, 10],
      [200, 50],
    ] as const) {
      const screen = draw(model({ page, tasks: [doomed] }), columns, height, 0);
      expect(screen).toHaveLength(height);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a sequence that is not of the view's own styles
      expect(screen.join("\n").replace(/\x1b\[[0-9;]*m/g, "")).not.toMatch(/\x1b/);
      for (const row of screen) expect(width(row)).toBe(columns);
    }
  }
  const help = plain(draw(model({ help: true }), 80, 24, 0));
  expect(help.join()).toContain("draw the screen anew");
  expect(help.filter((row) => row.includes("…"))).toEqual([]);
});

test("a transcript is opened at a place, which is marked, and stays where the person scrolls", () => {
  const transcript = createTranscript();
  transcript.showAt(40);
  const body = (n: number) => ({ kind: "notice" as const, level: "info" as const, text: `note ${n}` });
  for (let seq = 1; seq <= 100; seq++) {
    transcript.add([{ taskId: task(1).id as TaskEvent["taskId"], seq, at: 0, body: body(seq) }]);
    transcript.window(80, 10);
  }
  const rows = transcript.window(80, 10);
  expect(rows.map(Bun.stripANSI)[2]).toContain("note 40");
  expect(rows[2]).toStartWith("\x1b[7m");
  expect(transcript.below()).toBeGreaterThan(0);
  transcript.scroll(Number.POSITIVE_INFINITY);
  expect(transcript.window(80, 10).map(Bun.stripANSI).at(-1)).toContain("note 100");
});
