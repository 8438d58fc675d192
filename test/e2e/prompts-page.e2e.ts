import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { SandboxId, TaskId } from "../../src/domain/ids.ts";
import { buildWeb } from "../../web/build.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { launchBrowser, picture, type Visit, visitPage } from "../fixtures/browser.ts";
import { until } from "../until.ts";

/** The queue of prompts, steering and attachments in a real browser; the test plays the sandboxes' part. */

let assets: string;
let appliance: AppServer;
let browser: Browser;
let shot: string;

beforeAll(async () => {
  assets = mkdtempSync(join(tmpdir(), "ccw-web-"));
  await buildWeb(assets);
  appliance = startAppServer({ assetsFolder: assets });
  browser = await launchBrowser();
  shot = join(assets, "shot.png");
  const page = await browser.newPage({ viewport: { width: 320, height: 200 } });
  page.setDefaultTimeout(90_000);
  await page.setContent("<body style='background:linear-gradient(45deg,teal,gold)'><h1>It looks so</h1>");
  await page.screenshot({ path: shot });
  await page.close();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await appliance?.close();
  rmSync(assets, { recursive: true, force: true });
});

const repositories = [{ name: "demo", baseBranch: "main", workBranch: "claude/work-abc123" }];
const visit = (work: (visit: Visit) => Promise<void>, width?: number) =>
  visitPage(browser, appliance, work, width);

function begin(title: string) {
  const id = appliance.submit({ title, repositories });
  const say = appliance.play(id);
  return { id, say, sandboxId: sandboxOf(id) };
}
function sandboxOf(id: TaskId): SandboxId {
  const sandbox = appliance.store.sandboxes.current(id);
  if (sandbox === undefined) throw new Error("The task has no sandbox.");
  return sandbox.id;
}
const open = (page: Page, id: TaskId) => page.goto(`${appliance.url}/tasks/${id}`);
const queueOn = async (page: Page) =>
  (await page.locator(".queued-text").allInnerTexts()).map((text) => text.replace(/^ada /, "").trim());
const queueOf = (id: TaskId) =>
  appliance.store.prompts.list(id).flatMap(({ state, text }) => (state === "queued" ? [text] : []));
async function shows(page: Page, wanted: string[]): Promise<void> {
  for (let i = 0; i < 1200; i++) {
    if (Bun.deepEquals(await queueOn(page), wanted)) return;
    await Bun.sleep(25);
  }
  expect(await queueOn(page)).toEqual(wanted);
}

test("prompts are queued, edited in place, moved by keys and by dragging, sent now and taken back", async () => {
  const { id, say } = begin("queue");
  await visit(async ({ page }) => {
    await open(page, id);
    for (const text of ["first", "second", "third <img src=x onerror=alert(1)>"]) {
      await page.getByLabel("Another prompt").fill(text);
      await page.keyboard.press("Control+Enter");
      await page.locator(".queued", { hasText: text }).waitFor();
      expect(await page.getByLabel("Another prompt").inputValue()).toBe("");
    }
    const third = "third <img src=x onerror=alert(1)>";
    await shows(page, ["first", "second", third]);
    await picture(page, "queue");

    await page.getByRole("button", { name: "Move prompt 3 up" }).focus();
    await page.keyboard.press("Enter");
    await shows(page, ["first", third, "second"]);
    await page
      .locator(".queued", { hasText: "second" })
      .dragTo(page.locator(".queued", { hasText: "first" }));
    await shows(page, ["second", "first", third]);

    await page.getByRole("button", { name: "Edit prompt 2" }).click();
    await page.getByLabel("Prompt 2").fill("first, and better");
    await page.keyboard.press("Control+Enter");
    await shows(page, ["second", "first, and better", third]);
    await page.getByRole("button", { name: "Edit prompt 1" }).click();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Take prompt 3 back" }).click();
    await shows(page, ["second", "first, and better"]);
    expect(queueOf(id)).toEqual(["second", "first, and better"]);

    await page.locator(".queued", { hasText: "better" }).getByRole("button", { name: "Send now" }).click();
    await page.getByText("sent a prompt at once", { exact: false }).waitFor();
    await page.getByLabel("Another prompt").fill("stop that");
    await page.locator(".prompt-box").getByRole("button", { name: "Send now" }).click();
    await page.locator(".queued", { hasText: "stop that" }).waitFor();
    expect(appliance.store.events.ofKinds(id, ["prompt_sent_now"])).toHaveLength(2);

    // What the agent reads in the middle of its turn stands in the transcript from there on.
    const [sent] = appliance.store.prompts.list(id).filter(({ text }) => text === "stop that");
    say({ kind: "prompt_taken", promptId: sent?.id ?? "" });
    await page.locator(".item.prompt", { hasText: "stop that" }).waitFor();
  });
}, 600_000);

test("what is typed while a prompt is being sent, or another one changed, is not lost", async () => {
  const { id } = begin("typing on");
  await visit(async ({ page }) => {
    await open(page, id);
    const answers: (() => void)[] = [];
    await page.route("**/prompts", async (route) => {
      if (answers.length < 2) await new Promise<void>((resolve) => answers.push(resolve));
      await route.continue();
    });
    const box = page.getByLabel("Another prompt");
    const typed = async (more: (text: string) => string) => {
      const before = answers.length;
      await page.keyboard.press("Control+Enter");
      await page.getByRole("button", { name: "Sending…" }).waitFor();
      await box.fill(more(await box.inputValue()));
      await until("it is held", () => answers.length > before);
      answers.at(-1)?.();
      await page.getByRole("button", { name: "Queue" }).waitFor();
      return box.inputValue();
    };
    await box.fill("first");
    expect(await typed((text) => `${text} and more`)).toBe("and more");
    expect(await typed(() => "another one")).toBe("another one");
    await shows(page, ["first", "and more"]);
    await page.getByRole("button", { name: "Edit prompt 1" }).click();
    await page.getByLabel("Prompt 1").fill("first, changed");
    expect(await page.getByRole("button", { name: "Edit prompt 2" }).isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Leave it" }).click();
    expect(await page.getByRole("button", { name: "Edit prompt 2" }).isDisabled()).toBe(false);
  });
}, 600_000);

test("words that were being changed are not lost when the agent takes the prompt meanwhile", async () => {
  const { id, say } = begin("taken");
  await visit(async ({ page }) => {
    await open(page, id);
    await page.getByLabel("Another prompt").fill("do it");
    await page.keyboard.press("Control+Enter");
    await page.getByRole("button", { name: "Edit prompt 1" }).click();
    await page.getByLabel("Prompt 1").fill("do it with care");
    const [, waiting] = appliance.store.prompts.list(id);
    say({ kind: "turn_started", promptId: waiting?.id ?? "" });
    await page.getByText("has been taken", { exact: false }).waitFor();
    await page.getByRole("button", { name: "Make it a new prompt" }).click();
    expect(await page.getByLabel("Another prompt").inputValue()).toBe("do it with care");
  });
}, 600_000);

test("an interrupted task holds its queue and says so; a word lets it go on", async () => {
  const { id, sandboxId } = begin("held");
  const { tasks } = appliance.store;
  await visit(async ({ page }) => {
    await open(page, id);
    await page.getByLabel("Another prompt").fill("later");
    await page.keyboard.press("Control+Enter");
    await page.getByRole("button", { name: "Interrupt" }).click();
    await page.getByText("ada interrupted the agent").waitFor();
    tasks.update(id, { held: true });
    tasks.move(id, { kind: "idle", sandboxId, summary: "", interrupted: true });
    await page.getByText("1 prompt waits for your word.", { exact: false }).waitFor();
    await page.locator(".task .state", { hasText: "Interrupted" }).waitFor();
    await picture(page, "held");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.locator(".hold").waitFor({ state: "detached" });
    expect(tasks.get(id)?.held).toBe(false);
  });
}, 600_000);

test("a paused task says why and until when, and a finished one is continued", async () => {
  const { id } = begin("paused");
  const { tasks } = appliance.store;
  await visit(async ({ page }) => {
    tasks.move(id, {
      ...{ kind: "paused", why: "usage_limit", hint: "It goes on by itself." },
      ...{ reason: "Limit <b>5h</b>.", until: Date.now() + 3_600_000 },
    });
    await open(page, id);
    await page.locator(".hold", { hasText: "Limit <b>5h</b>." }).waitFor();
    await page.getByText(/It goes on by itself (at|on) /).waitFor();
    await picture(page, "paused");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("ada let the task go on").waitFor();
    expect(tasks.get(id)?.state.kind).toBe("queued");

    const done = begin("done");
    const summary = "All **done**.";
    tasks.move(done.id, { kind: "idle", sandboxId: done.sandboxId, summary, interrupted: false });
    tasks.move(done.id, { kind: "completed", summary });
    await open(page, done.id);
    await page.getByLabel("Another prompt").fill("one more thing");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("Queued", { exact: false }).first().waitFor();
    expect(queueOf(done.id)).toEqual(["one more thing"]);
  });
}, 600_000);

test("model and mode are changed in mid-task; a plan is read as text and approved, or sent back with a word", async () => {
  const { id, say } = begin("plan");
  await visit(async ({ page }) => {
    await open(page, id);
    await page.getByLabel("Mode", { exact: true }).selectOption("plan");
    await page.getByText("changed the mode", { exact: false }).waitFor();
    await page.getByLabel("Model").selectOption("another…");
    await page.getByLabel("Name of the model").fill("claude-next-1");
    await page.keyboard.press("Enter");
    await page.getByText("changed the model to claude-next-1", { exact: false }).waitFor();
    expect(appliance.store.tasks.get(id)).toMatchObject({ mode: "plan", model: "claude-next-1" });

    const plan = "# The plan\n\n1. Look\n2. **Mend**\n\n<script>alert(1)</script>";
    say({ kind: "question", requestId: "p1", tool: "ExitPlanMode", input: { plan } });
    await page.locator(".card.ask strong", { hasText: "Mend" }).waitFor();
    await picture(page, "plan");
    await page.getByLabel("What to change in the plan, told to the agent").fill("smaller");
    await page.getByRole("button", { name: "Keep planning" }).click();
    await page.getByText("said no: smaller", { exact: false }).waitFor();
    say({ kind: "question", requestId: "p2", tool: "ExitPlanMode", input: { plan } });
    await page.getByRole("button", { name: "Approve the plan" }).click();
    await page.getByText("ada allowed it.").waitFor();
  });
  expect(appliance.store.events.ofKinds(id, ["answered"]).map(({ body }) => body)).toMatchObject([
    { requestId: "p1", answer: { behavior: "deny", message: "smaller" } },
    { requestId: "p2", answer: { behavior: "allow" } },
  ]);
}, 600_000);

test("files are attached by button, by pasting and by dropping, seen small, and left out again", async () => {
  const { id } = begin("files");
  const notes = join(assets, "no<b>tes.txt");
  writeFileSync(notes, "some notes");
  const png = readFileSync(shot).toString("base64");
  await visit(async ({ page }) => {
    await open(page, id);
    await page.getByLabel("Files to attach").setInputFiles([shot, notes]);
    await page.locator(".prompt-box img.thumb").waitFor();
    await page.locator(".prompt-box .chip", { hasText: "no<b>tes.txt, 10B" }).waitFor();
    for (const kind of ["paste", "drop"]) {
      await page.locator(".prompt-box").evaluate(
        (form, { kind, png }) => {
          const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
          const init = { bubbles: true, cancelable: true };
          form.dispatchEvent(
            kind === "paste"
              ? new ClipboardEvent(kind, { ...init, clipboardData: data })
              : new DragEvent(kind, { ...init, dataTransfer: data }),
          );
        },
        { kind, png },
      );
      await page.getByAltText(`${kind}.png`).waitFor();
    }
    await page.getByLabel("Do not attach drop.png").click();
    const width = await page
      .getByAltText("shot.png")
      .evaluate((image) => (image instanceof HTMLImageElement ? image.naturalWidth : 0));
    expect(width).toBe(320);
    await picture(page, "files");
    await page.getByLabel("Another prompt").fill("it looks like this");
    await page.keyboard.press("Control+Enter");
    await page.locator(".queued", { hasText: "it looks like this" }).waitFor();
    expect(await page.locator(".prompt-box .thumb").count()).toBe(0);
    const sent = appliance.store.prompts.list(id).at(-1);
    expect(sent?.attachments.map(({ name }) => name)).toEqual(["shot.png", "no<b>tes.txt", "paste.png"]);
  });
}, 600_000);

test("an upload shows how far it is, and is given up when it is taken away", async () => {
  const { id } = begin("slow");
  await visit(async ({ page }) => {
    await open(page, id);
    const network = await page.context().newCDPSession(page);
    const speed = { offline: false, latency: 0, downloadThroughput: -1 };
    await network.send("Network.emulateNetworkConditions", { ...speed, uploadThroughput: 100 * 1024 });
    const buffer = Buffer.alloc(4 * 1024 ** 2, "x");
    await page.getByLabel("Files to attach").setInputFiles([{ name: "slow.bin", mimeType: "", buffer }]);
    const bar = page.getByRole("progressbar");
    const far = async () => Number(await bar.getAttribute("value"));
    await bar.waitFor();
    await until("a part of it is there", async () => (await far()) > 0.1);
    expect(await page.getByRole("button", { name: "Queue", exact: true }).isDisabled()).toBe(true);
    await picture(page, "uploading");
    await page.getByLabel("Do not attach slow.bin").click();
    await bar.waitFor({ state: "detached" });
    expect(await page.locator(".note.bad").count()).toBe(0);
    await network.send("Network.emulateNetworkConditions", { ...speed, uploadThroughput: -1 });
  });
}, 600_000);

test("a file that is too large says so, and what was typed stays", async () => {
  const { id } = begin("large");
  const large = join(assets, "large.bin");
  writeFileSync(large, new Uint8Array(1024 * 1024 + 1));
  await visit(async ({ page, complaints }) => {
    await open(page, id);
    await page.getByLabel("Another prompt").fill("look at this");
    await page.getByLabel("Files to attach").setInputFiles([large]);
    await page.getByText("large.bin was not attached.", { exact: false }).waitFor();
    expect(await page.getByLabel("Another prompt").inputValue()).toBe("look at this");
    expect(complaints.filter((line) => !/413/.test(line))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("a task is submitted with a file, a model and a mode", async () => {
  await visit(async ({ page }) => {
    await page.getByLabel("Prompt", { exact: true }).fill("as in the picture");
    await page.getByLabel("Files to attach").setInputFiles([shot]);
    await page.locator(".composer img.thumb").waitFor();
    await page.getByLabel("Model").selectOption("opus");
    await page.getByLabel("Mode", { exact: true }).selectOption("plan");
    await picture(page, "composer");
    await page.getByRole("button", { name: "Submit task" }).click();
    await page.waitForURL(/\/tasks\/tsk_/);
    await page.locator(".bubble img.thumb").waitFor();
    await picture(page, "bubble");
  });
  const [task] = appliance.store.tasks.list({ limit: 1 });
  expect(task).toMatchObject({ model: "opus", mode: "plan" });
}, 600_000);

test("all of it fits a phone, and every button can be reached by keys", async () => {
  const { id } = begin("phone");
  await visit(async ({ page }) => {
    await open(page, id);
    for (const text of ["a prompt with rather many words in it, so many that they do not fit", "short"]) {
      await page.getByLabel("Another prompt").fill(text);
      await page.getByRole("button", { name: "Queue", exact: true }).click();
      await page.locator(".queued", { hasText: text }).waitFor();
    }
    await picture(page, "queue-phone");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wide).toBeLessThanOrEqual(0);
    await page.getByText("More", { exact: true }).click();
    const menu = await page.locator(".menu-body").boundingBox();
    expect(menu?.x).toBeGreaterThanOrEqual(0);
    expect((menu?.x ?? 0) + (menu?.width ?? 0)).toBeLessThanOrEqual(375);
    await picture(page, "menu-phone");
    await page.keyboard.press("Escape");
    const reached = new Set<string>();
    await page.getByLabel("Another prompt").focus();
    for (let i = 0; i < 30; i++) {
      await page.keyboard.press("Shift+Tab");
      reached.add(
        await page.evaluate(
          () =>
            document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "",
        ),
      );
    }
    for (const name of ["Move prompt 1 down", "Edit prompt 1", "Take prompt 2 back", "Send now", "Interrupt"])
      expect([...reached]).toContain(name);
  }, 375);
}, 600_000);
