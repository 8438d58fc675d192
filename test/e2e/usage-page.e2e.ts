import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { PromptId, SandboxId, TaskId } from "../../src/domain/ids.ts";
import { buildWeb } from "../../web/build.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { launchBrowser, picture, type Visit, visitPage } from "../fixtures/browser.ts";

/** Usage and budgets on the page, in a real browser, against the real HTTP app. */

let assets: string;
let appliance: AppServer;
let browser: Browser;
let taskId: TaskId;

const today = new Date();
const dayBefore = (days: number) => new Date(today.getTime() - days * 86_400_000).toISOString().slice(0, 10);

beforeAll(async () => {
  assets = mkdtempSync(join(tmpdir(), "ccw-web-"));
  await buildWeb(assets);
  appliance = startAppServer({ assetsFolder: assets });
  browser = await launchBrowser();
  taskId = appliance.submit({ title: "<b>Build</b> it" });
  const use = (id: TaskId, days: number, costNano: number | undefined, model = "claude-opus-4-8") =>
    appliance.store.usage.record(
      {
        taskId: id,
        sandboxId: "sbx_1" as SandboxId,
        promptId: `prm_${days % 3}` as PromptId,
        at: today.getTime(),
        model,
        status: 200,
        ...{ inputTokens: 1200, outputTokens: 3400, cacheReadTokens: 560_000, webSearches: 0 },
        ...{ cacheWriteTokens: 7800, cacheWriteHourTokens: 0, costNano, firstByteMs: 1, totalMs: 1 },
      },
      dayBefore(days),
    );
  for (let days = 0; days < 25; days += days % 4 === 1 ? 2 : 1) use(taskId, days, 1e9 + 3e8 * (days % 7));
  use(taskId, 0, undefined, "qwen3-coder");
  use(appliance.submit({ title: "Another one", person: "bob" }), 2, 4e9);
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await appliance?.close();
  rmSync(assets, { recursive: true, force: true });
});

const visit = (work: (visit: Visit) => Promise<void>, width?: number) =>
  visitPage(browser, appliance, work, width);

const sideways = (page: Page) =>
  page.evaluate(
    () =>
      [...document.querySelectorAll("html, .body, .main")].filter(
        (part) => part.scrollWidth > part.clientWidth,
      ).length,
  );

test("usage is seen by day with its bars, by person, and taken along as CSV", async () => {
  await visit(async ({ page }) => {
    await page.getByRole("link", { name: "Usage" }).click();
    await page.getByRole("img", { name: /^Cost of each day/ }).waitFor();
    expect(await page.locator(".day-bars rect").count()).toBe(25);
    await picture(page, "usage-by-day");
    await page.getByLabel("Sum up by").selectOption("task");
    await page.getByRole("rowheader", { name: "<b>Build</b> it" }).waitFor();
    await page.getByLabel("Sum up by").selectOption("model");
    const qwen = page.getByRole("row", { name: /qwen3-coder/ });
    await qwen.waitFor();
    expect(await qwen.getByRole("cell").first().textContent()).toBe("no price");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "CSV" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("usage-by-model.csv");
  });
});

test("on a phone nothing stands out sideways", async () => {
  await visit(async ({ page }) => {
    await page.getByRole("link", { name: "Usage" }).click();
    await page.getByRole("table").waitFor();
    await picture(page, "usage-phone");
    expect(await sideways(page)).toBe(0);
  }, 390);
});

test("a task's turns and cost are seen, and its budget is set", async () => {
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${taskId}`);
    await page.getByRole("tab", { name: "Usage" }).click();
    await page.getByRole("row", { name: /Turn 3/ }).waitFor();
    await page.getByLabel("US dollars").fill("25.5");
    await page.getByRole("button", { name: "Set the budget" }).click();
    await page.getByRole("button", { name: "As its environment says" }).waitFor();
    expect(appliance.store.usage.budgetOf(taskId)).toEqual({ usd: 25.5 });
    await picture(page, "task-usage");
    await page.getByRole("button", { name: "As its environment says" }).click();
    await page.getByText("These are the limits of its environment.").waitFor();
    expect(appliance.store.usage.budgetOf(taskId)).toEqual({});
  });
});

test("a usage limit of the account stands above everything, until when, and can be tried before", async () => {
  appliance.usageLimits.reached(Date.now() + 3_600_000);
  await visit(async ({ page }) => {
    const banner = page.getByText("The usage limit of the model account is reached.");
    await banner.waitFor();
    await picture(page, "usage-limit");
    await page.getByRole("button", { name: "Ask it now" }).click();
    await banner.waitFor({ state: "detached" });
    expect(appliance.usageLimits.modelAvailableAt()).toBeUndefined();
  });
});
