import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "bun";
import type { Browser, Page } from "playwright-core";
import type { GuestEvent } from "../../src/domain/event.ts";
import type { TaskId } from "../../src/domain/ids.ts";
import { buildWeb } from "../../web/build.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { launchBrowser, picture, type Visit, visitPage } from "../fixtures/browser.ts";

/** The page in a real browser, against the real HTTP app; the test plays the sandboxes' part. One file, since all of it shares one appliance and one browser. */

const repositories = [{ name: "demo", baseBranch: "main", workBranch: "claude/work-abc123" }];

let assets: string;
let appliance: AppServer;
let browser: Browser;

beforeAll(async () => {
  assets = mkdtempSync(join(tmpdir(), "ccw-web-"));
  await buildWeb(assets);
  appliance = startAppServer({ assetsFolder: assets, branches: { demo: ["main", "release/1.0"] } });
  browser = await launchBrowser();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await appliance?.close();
  rmSync(assets, { recursive: true, force: true });
});

const visit = (work: (visit: Visit) => Promise<void>, width?: number) =>
  visitPage(browser, appliance, work, width);

const text = (blockId: string, words: string): GuestEvent => ({
  kind: "assistant_text",
  blockId,
  text: words,
});
const newest = () => {
  const [task] = appliance.store.tasks.list({ limit: 1 });
  if (task === undefined) throw new Error("No task was submitted.");
  return task;
};
const lines = async (page: Page) =>
  (await page.locator(".transcript .item.text").allInnerTexts()).map((line) => line.trim());

test("a task is submitted with the keyboard alone, and its transcript is seen live", async () => {
  await visit(async ({ page }) => {
    await page.keyboard.type("Explain <b>this</b>");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Control+Enter");
    await page.waitForURL(/\/tasks\/tsk_/);
    const task = newest();
    expect(task.repositories).toMatchObject([{ name: "demo", baseBranch: "main" }]);
    await page.getByText("Queued", { exact: false }).first().waitFor();

    const say = appliance.play(task.id);
    say(
      { kind: "assistant_delta", blockId: "1", text: "Look" },
      { kind: "assistant_delta", blockId: "1", text: "ing" },
    );
    await page.getByText("Looking", { exact: true }).waitFor();
    say(text("1", "Looked **well**."));
    await page.locator(".markdown strong", { hasText: "well" }).waitFor();
    say({ kind: "tool_use", toolUseId: "t", name: "Bash", input: { command: "ls -l" } });
    await page.locator(".item.tool", { hasText: "running…" }).waitFor();
    say({ kind: "tool_result", toolUseId: "t", isError: false, text: "total 0", omitted: 0 });
    await page.locator(".item.tool", { hasText: "total 0" }).waitFor();
    expect(await lines(page)).toEqual(["Looked well."]);
  });
}, 600_000);

test("after the connection was cut the transcript goes on with no hole and no double", async () => {
  const id = appliance.submit({ title: "cut", repositories });
  const say = appliance.play(id);
  await visit(async ({ page, complaints }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    say(text("0", "line 0"), text("1", "line 1"));
    await page.getByText("line 1").waitFor();
    for (let round = 1; round <= 3; round++) {
      const cut = appliance.stop().then(() => appliance.start());
      // A delta is added to what is there, so one that came twice would be seen.
      say({ kind: "assistant_delta", blockId: "deltas", text: `${round} ` });
      say(text(`${round * 2}`, `line ${round * 2}`));
      await cut;
      say(text(`${round * 2 + 1}`, `line ${round * 2 + 1}`));
      await page.getByText(`line ${round * 2 + 1}`).waitFor();
    }
    const [, , deltas, ...others] = await lines(page);
    expect(deltas).toBe("1 2 3");
    expect(others).toEqual(Array.from({ length: 6 }, (_, index) => `line ${index + 2}`));
    await page.getByText("Reconnecting…").waitFor({ state: "detached" });
    // The browser itself reports each refused connection; nothing else may complain.
    expect(
      complaints.filter((line) => !/WebSocket|ERR_CONNECTION|Failed to load resource/.test(line)),
    ).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("a question is answered with a choice, and with words of one's own", async () => {
  const id = appliance.submit({ title: "ask", repositories });
  const say = appliance.play(id);
  const question = (requestId: string): GuestEvent => ({
    kind: "question",
    requestId,
    tool: "AskUserQuestion",
    input: {
      questions: [
        { question: "Which way?", header: "Way", options: [{ label: "Left" }, { label: "Right" }] },
        // A name that every object has.
        ...(requestId === "q1" ? [{ question: "toString", header: "", options: [{ label: "Up" }] }] : []),
      ],
    },
  });
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    say(question("q1"));
    expect(await page.getByRole("button", { name: "Answer" }).isDisabled()).toBe(true);
    await page.getByLabel("Right").check();
    await page.getByLabel("Up").check();
    await page.getByRole("button", { name: "Answer" }).click();
    await page.getByText("ada answered.").waitFor();
    say({ kind: "question_closed", requestId: "q1" }, question("q2"));
    await page.getByLabel("Other", { exact: true }).check();
    await page.getByLabel("Your own answer to: Which way?").fill("straight on");
    await page.reload();
    await page.getByRole("button", { name: "Answer" }).click();
    await page.locator("strong", { hasText: "straight on" }).waitFor();
    say({ kind: "question_closed", requestId: "q2" }, question("q4"));
    await page.getByRole("button", { name: "Decline" }).click();
    await page.getByText("ada said no: The person declined to answer.").waitFor();
    say({ kind: "question_closed", requestId: "q4" });
    say({ kind: "question", requestId: "q3", tool: "Bash", input: { command: "rm -rf /" } });
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByText("said no: The person said no.").waitFor();
  });
  const answers = appliance.store.events.ofKinds(id, ["answered"]).map(({ body }) => body);
  expect(answers).toMatchObject([
    {
      requestId: "q1",
      answer: { behavior: "allow", updatedInput: { answers: { "Which way?": "Right", toString: "Up" } } },
    },
    { requestId: "q2", answer: { updatedInput: { answers: { "Which way?": "straight on" } } } },
    { requestId: "q4", answer: { behavior: "deny" } },
    { requestId: "q3", answer: { behavior: "deny" } },
  ]);
}, 600_000);

test("a prompt sent meanwhile waits in view until the agent takes it, and a task is stopped after a second word", async () => {
  const id = appliance.submit({ title: "more", repositories });
  const say = appliance.play(id);
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.getByLabel("Another prompt").fill("and the docs");
    await page.keyboard.press("Control+Enter");
    await page.locator(".queued", { hasText: "and the docs" }).waitFor();
    const [, second] = appliance.store.prompts.list(id);
    say({ kind: "turn_started", promptId: second?.id ?? "" });
    await page.locator(".item.prompt", { hasText: "and the docs" }).waitFor();
    await page.locator(".queued").waitFor({ state: "detached" });

    await page.getByRole("button", { name: "Interrupt" }).click();
    await page.getByText("ada interrupted the agent").waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    expect(appliance.store.events.last(id, "cancel_requested")).toBeUndefined();
    await page.getByRole("button", { name: "Yes, stop" }).click();
    await page.getByText("ada stopped the task").waitFor();
  });
}, 600_000);

test("the diff is shown after the push, and the summary says how to get at the work", async () => {
  const id = appliance.submit({
    title: "diff",
    repositories: [{ name: "demo", baseBranch: "main", workBranch: "claude/diff-1" }],
  });
  const say = appliance.play(id);
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.getByRole("tab", { name: "Diff" }).click();
    await page.getByText("nothing pushed yet").waitFor();
    appliance.setDiff(
      "diff --git a/src/a.ts b/src/a.ts\n--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,2 +1,2 @@\n-old line\n+new line\n same\n",
    );
    say({ kind: "pushed", repository: "demo", branch: "claude/diff-1", commit: "0123456789abcdef" });
    await page.locator("tr.added", { hasText: "new line" }).waitFor();
    expect(await page.locator("tr.removed").textContent()).toContain("old line");
    expect(await page.locator("tr.same .number").first().getAttribute("data-line")).toBe("2");

    finish(id);
    await page.keyboard.press("ArrowLeft");
    await page.getByText(`git fetch ${appliance.url}/git/demo.git claude/diff-1`).waitFor();
    // It can be taken up again.
    await page.getByRole("button", { name: "Continue" }).waitFor();
  });
}, 600_000);

test("work that its forge did not take is pushed from the page, to another branch where the own one has moved", async () => {
  const id = appliance.submit({ title: "Left behind", repositories });
  appliance.keep(id, {
    ...{ repository: "demo", branch: "claude/work-abc123", commit: "0123456789abcdef" },
    until: Date.now() + 86_400_000,
  });
  appliance.store.tasks.move(id, { kind: "cancelled", by: "ada" });
  appliance.moveBranch("claude/work-abc123");
  await visit(async ({ page, complaints }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.locator(".task-row", { hasText: "Left behind" }).getByText("Work not pushed").waitFor();
    await page.getByText("did not take the work", { exact: false }).waitFor();
    await picture(page, "kept-work");
    await page.getByRole("button", { name: "Push now" }).click();
    await page.getByText("was moved on its forge meanwhile", { exact: false }).waitFor();
    // The browser itself reports the refusal.
    complaints.length = 0;
    await page.getByLabel("Branch", { exact: true }).fill("claude/other");
    await page.getByRole("button", { name: "Push now" }).click();
    await page.getByText("ada had the kept work pushed to claude/other").waitFor();
    await page.getByRole("button", { name: "Push now" }).waitFor({ state: "detached" });
    await page.getByText("Work not pushed").waitFor({ state: "detached" });
  });
}, 600_000);

test("hostile words in every place are shown as text and do nothing", async () => {
  const hostile = `<img src=x onerror=alert(1)><script>alert(2)</script>\u001b[31mred\u001b]0;t\u0007\u202e[x](javascript:alert(3)) <a href="//evil.example">`;
  const id = appliance.submit({ title: `${hostile} title`, repositories });
  const say = appliance.play(id);
  appliance.setDiff(
    `diff --git "a/<img src=x onerror=alert(4)>\\342\\200\\256" "b/<img src=x onerror=alert(4)>\\342\\200\\256"\nnew file mode 100644\n--- /dev/null\n+++ "b/<img src=x onerror=alert(4)>\\342\\200\\256"\n@@ -0,0 +1 @@\n+${hostile}\n`,
  );
  say(
    text("1", `${hostile}\n\n\`\`\`${hostile}\n${hostile}\n\`\`\`\n- ${hostile}`),
    { kind: "thinking", blockId: "2", text: hostile },
    { kind: "tool_use", toolUseId: "1", name: "Bash", input: { command: hostile, description: hostile } },
    { kind: "tool_result", toolUseId: "1", isError: true, text: hostile, omitted: 1 },
    {
      kind: "tool_use",
      toolUseId: "2",
      name: "Edit",
      input: { file_path: hostile, old_string: "a", new_string: hostile },
    },
    { kind: "tool_use", toolUseId: "3", name: hostile.slice(0, 150), input: { [hostile]: hostile } },
    { kind: "step_started", step: "clone", detail: hostile },
    { kind: "step_output", step: "clone", text: hostile },
    { kind: "notice", level: "error", text: hostile },
    { kind: "unknown", raw: { type: hostile } },
    {
      kind: "question",
      requestId: "q",
      tool: "AskUserQuestion",
      input: { questions: [{ question: hostile, options: [{ label: hostile }] }] },
    },
    { kind: "pushed", repository: hostile.slice(0, 150), branch: hostile.slice(0, 250), commit: "<b>" },
  );
  appliance.store.events.append(id, {
    kind: "push_refused",
    repository: hostile,
    ref: hostile,
    reason: hostile,
  });
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.locator(".card.ask").waitFor();
    const shown = await page.locator("#app").textContent();
    expect(shown).toContain("<img src=x onerror=alert(1)>");
    expect(shown).toContain("⟦U+202E⟧");
    expect(["\u001b", "\u0007", "\u202e"].filter((character) => shown?.includes(character))).toEqual([]);
    expect(
      await page.locator("img, script:not([src='/app.js']), iframe, a[href^='javascript']").count(),
    ).toBe(0);
    expect(await page.locator("a[href*='evil']").count()).toBe(0);
    await page.getByRole("tab", { name: "Diff" }).click();
    // The branch that the hostile event names is another one, so this one is not pushed until this.
    say({ kind: "pushed", repository: "demo", branch: "claude/work-abc123", commit: "1" });
    await page.locator("summary", { hasText: "<img src=x onerror=alert(4)>⟦U+202E⟧" }).waitFor();
    expect(await page.locator("tr.added").textContent()).toContain("<script>alert(2)</script>red⟦U+202E⟧");
  });
}, 600_000);

test("what was typed survives a refused request, a reload and the way back", async () => {
  await visit(async ({ page, complaints }) => {
    await page.getByLabel("Prompt", { exact: true }).fill("   ");
    await page.getByRole("button", { name: "Submit task" }).click();
    await page.getByRole("alert").getByText("The prompt is empty", { exact: false }).waitFor();
    await page.getByLabel("Prompt", { exact: true }).fill("long thought");
    const branch = page.getByRole("combobox", { name: "Branch" });
    await branch.fill("rel");
    await page.getByRole("option", { name: "release/1.0" }).click();
    await page.getByLabel("Mode", { exact: true }).selectOption("plan");
    await page.reload();
    await page.waitForSelector(".composer");
    expect(await branch.inputValue()).toBe("release/1.0");
    expect(await page.getByLabel("Mode", { exact: true }).inputValue()).toBe("plan");
    expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("long thought");
    await page.getByRole("link", { name: "Settings" }).first().click();
    await page.getByRole("heading", { name: "Environments" }).waitFor();
    await page.goBack();
    expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("long thought");
    await page.getByRole("button", { name: "Fix a failing test" }).click();
    expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("demo: fix-test");
    expect(complaints.filter((line) => !line.includes("400"))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("settings: a model, an environment, a repository and a token", async () => {
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByLabel("a real endpoint").check();
    await page.getByLabel("Base URL").fill("http://models.example/");
    await page.getByLabel("Key", { exact: false }).last().fill("sk-secret");
    await page.getByRole("button", { name: "Save model" }).click();
    await page.getByText("set on this page").waitFor();
    await page.getByLabel("the demo model").check();
    await page.getByRole("button", { name: "Save model" }).click();
    await page.getByText("the demo model (scripted").waitFor();

    await page.getByRole("button", { name: "Add an environment" }).click();
    await page.getByLabel("Name", { exact: true }).fill("python");
    await page.getByLabel("Variables", { exact: false }).fill("A=1\nB='two words'");
    await page.getByRole("button", { name: "Add environment" }).click();
    await page.getByText("variables A, B").waitFor();
    expect(appliance.store.environments.get("python")?.variables).toEqual({ A: "1", B: "two words" });
    await page.getByRole("button", { name: "Edit python" }).click();
    await page.getByRole("checkbox", { name: "A" }).check();
    await page.getByLabel("Memory, GiB").fill("2");
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.getByText("variables B").waitFor();
    expect(appliance.store.environments.get("python")).toMatchObject({
      variables: { B: "two words" },
      limits: { memoryBytes: 2 * 1024 ** 3 },
    });

    await page.getByLabel("New repository").fill("team/site");
    await page.getByRole("button", { name: "Add repository" }).click();
    await page.getByText("team/site.git").waitFor();

    await page.getByLabel("New token").fill("laptop");
    await page.getByRole("button", { name: "Make token" }).click();
    await page.getByText("It is shown this once", { exact: false }).waitFor();
    const secret = (await page.locator(".note.good code").textContent()) ?? "";
    expect(appliance.store.tokens.find(secret)?.name).toBe("laptop");
    const row = page.locator(".row", { hasText: "laptop" });
    await row.getByRole("button", { name: "Revoke" }).click();
    await row.getByRole("button", { name: "Yes, revoke" }).click();
    await row.waitFor({ state: "detached" });
    expect(appliance.store.tokens.find(secret)).toBeUndefined();
  });
}, 600_000);

test("after signing out nothing of the page is left", async () => {
  await visit(async ({ page, complaints }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You are not signed in").waitFor();
    expect(await page.locator("#app").count()).toBe(0);
    // The page of a stranger is a 401, and has no favicon either.
    expect(complaints.filter((line) => !/401|404/.test(line))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("a phone sees every page without scrolling sideways", async () => {
  const id = appliance.submit({ title: "w".repeat(80), repositories });
  const say = appliance.play(id);
  say(
    text("1", `${"x".repeat(500)}\n\n\`\`\`\n${"y".repeat(500)}\n\`\`\``),
    { kind: "tool_use", toolUseId: "1", name: "Bash", input: { command: "z".repeat(500) } },
    { kind: "tool_result", toolUseId: "1", isError: false, text: "o".repeat(5000), omitted: 0 },
    {
      kind: "tool_use",
      toolUseId: "2",
      name: "Write",
      input: { file_path: "p".repeat(300), content: "c".repeat(500) },
    },
    { kind: "pushed", repository: "demo", branch: "claude/work-abc123", commit: "1" },
  );
  finish(id);
  await visit(async ({ page }) => {
    const sideways = () =>
      page.evaluate(() =>
        [...document.querySelectorAll("html, .body, .main")].map(
          (part) => part.scrollWidth - part.clientWidth,
        ),
      );
    expect(await sideways()).toEqual([0, 0, 0]);
    await page.locator(".task-row").first().click();
    await page.locator(".card.reviews .review").waitFor();
    expect(await sideways()).toEqual([0, 0, 0]);
    await page.getByRole("tab", { name: "Diff" }).click();
    await page.locator(".file").first().waitFor();
    expect(await sideways()).toEqual([0, 0, 0]);
    await page.getByRole("link", { name: "All tasks" }).click();
    await page.getByRole("link", { name: "Settings" }).first().click();
    await page.locator(".row").first().waitFor();
    expect(await sideways()).toEqual([0, 0, 0]);
  }, 390);
}, 600_000);

test("a transcript of 5,000 events is shown, and goes on while more comes", async () => {
  const id = appliance.submit({ title: "many", repositories });
  const say = appliance.play(id);
  const events = Array.from({ length: 2500 }, (_, n): GuestEvent[] => [
    { kind: "tool_use", toolUseId: `${n}`, name: "Bash", input: { command: `echo ${n}` } },
    { kind: "tool_result", toolUseId: `${n}`, isError: false, text: `${n}\n`.repeat(5), omitted: 0 },
  ]).flat();
  say(...events);
  await visit(async ({ page }) => {
    const started = performance.now();
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.getByText("echo 2499", { exact: true }).waitFor();
    const shown = performance.now() - started;
    console.log(`5,000 events shown after ${Math.round(shown)} ms, navigation and download included`);

    // 200 tools one by one, and how long the page is busy with one thing at most.
    await page.evaluate(() => {
      const longest = { ms: 0 };
      Object.assign(window, { longest });
      new PerformanceObserver((list) => {
        for (const task of list.getEntries()) longest.ms = Math.max(longest.ms, task.duration);
      }).observe({ type: "longtask" });
    });
    for (let n = 5000; n < 5200; n++) {
      say({ kind: "tool_use", toolUseId: `${n}`, name: "Bash", input: { command: `echo ${n}` } });
      await Bun.sleep(5);
    }
    await page.getByText("echo 5199", { exact: true }).waitFor();
    const longest = await page.evaluate(() => Reflect.get(Reflect.get(window, "longest"), "ms"));
    console.log(`longest task of the page while 200 tools came in: ${longest} ms`);
    await page.getByRole("button", { name: "Show earlier", exact: false }).click();
    expect(await page.locator(".item").count()).toBeGreaterThan(400);
  });
}, 600_000);

test("a part of the page that cannot be loaded is told, and trying again shows it", async () => {
  await visit(async ({ page, complaints }) => {
    const parts = /\/part-[^/]+\.js$/;
    const loaded: string[] = [];
    page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
    await page.route(parts, (route) => route.abort());
    await page.getByRole("link", { name: "Settings" }).first().click();
    await page.getByRole("alert").getByText("The code of the settings could not be loaded.").waitFor();
    await page.unroute(parts);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Environments" }).waitFor();
    const once = loaded.length;
    await page.getByRole("link", { name: "New task" }).first().click();
    await page.getByRole("link", { name: "Settings" }).first().click();
    await page.getByRole("heading", { name: "Environments" }).waitFor();
    expect(loaded.slice(once).filter((path) => parts.test(path))).toEqual([]);
    expect(complaints.filter((line) => !/ERR_FAILED/.test(line))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("the first load is small, and the page as a whole", () => {
  const zipped = (name: string) =>
    gzipSync(new Uint8Array(readFileSync(join(assets, name))), { level: 9 }).length;
  const sum = (names: Iterable<string>) => [...names].reduce((bytes, name) => bytes + zipped(name), 0);
  const code = readdirSync(assets).filter((name) => /\.(js|css)$/.test(name));
  // What the document names, and what that imports before it runs.
  const first = new Set(["app.css", "app.js"]);
  for (const name of first) {
    const { imports } = new Bun.Transpiler({ loader: "js" }).scan(
      name.endsWith(".js") ? readFileSync(join(assets, name), "utf8") : "",
    );
    for (const { kind, path } of imports) if (kind === "import-statement") first.add(basename(path));
  }
  console.log(`gzipped: ${sum(first)} bytes at first, ${sum(code)} in all`);
  expect(sum(first)).toBeLessThan(56 * 1024);
  // Pages and tabs that are fetched when they are opened.
  expect(sum(code)).toBeLessThan(128 * 1024);
  expect(code.length).toBeGreaterThan(first.size);
});

function finish(id: TaskId): void {
  const state = appliance.store.tasks.get(id)?.state;
  if (state === undefined || !("sandboxId" in state)) throw new Error("The task is not active.");
  const { sandboxId } = state;
  const summary = "All `done`.";
  appliance.store.tasks.move(id, { kind: "idle", sandboxId, summary, interrupted: false });
  appliance.store.tasks.move(id, { kind: "completed", summary });
}
