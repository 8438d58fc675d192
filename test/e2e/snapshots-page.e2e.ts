import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { newId, type TaskId } from "../../src/domain/ids.ts";
import { createSnapshotWorld, type SnapshotWorld } from "../../src/forge/snapshots.fixture.ts";
import { buildWeb } from "../../web/build.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { launchBrowser, picture, type Visit, visitPage } from "../fixtures/browser.ts";
import { until } from "../until.ts";

/** A task's turns on the page, in a real browser, against the real HTTP app and real git. */

let assets: string;
let world: SnapshotWorld;
let appliance: AppServer;
let browser: Browser;

beforeAll(async () => {
  assets = mkdtempSync(join(tmpdir(), "ccw-web-"));
  await buildWeb(assets);
  world = await createSnapshotWorld({ "README.md": "hello\n", "src/basket.js": "let sum = 0;\n" });
  appliance = startAppServer({ assetsFolder: assets, snapshots: world.snapshots });
  browser = await launchBrowser();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await appliance?.close();
  await world?.close();
  rmSync(assets, { recursive: true, force: true });
});

const visit = (work: (visit: Visit) => Promise<void>, width?: number) =>
  visitPage(browser, appliance, work, width);

/** A completed task with three turns. */
async function work(): Promise<TaskId> {
  const repositories = [{ name: "demo", baseBranch: "main", workBranch: "claude/work" }];
  const id = appliance.submit({ title: "Round the basket's sum", repositories });
  const say = appliance.play(id);
  const prompts = ["Round the sum", "<b>Test</b> it, too\nand more", "A very long prompt, ".repeat(12)];
  for (const [turn, text] of prompts.entries()) {
    const promptId = newId("PromptId", appliance.ids);
    if (turn > 0) {
      const person = appliance.store.people.ensure("ada");
      appliance.store.prompts.add({ id: promptId, taskId: id, person, text });
    }
    const prompt = appliance.store.prompts.list(id).at(-1);
    if (prompt === undefined) throw new Error("no prompt");
    appliance.store.prompts.mark(prompt.id, "taken");
    const files = { "src/basket.js": `let sum = ${turn + 1};\n`, [`notes-${turn}.txt`]: "kept\n" };
    const taken = await world.take(id, files);
    const session = await world.takeSession(id, `turn ${turn}\n`);
    const repositories = [taken];
    appliance.store.snapshots.add({ taskId: id, promptId: prompt.id, repositories, session });
    say({ kind: "snapshot", promptId: prompt.id, repositories, session, ms: 3 });
  }
  const state = appliance.store.tasks.get(id)?.state;
  if (state === undefined || !("sandboxId" in state)) throw new Error("The task is not active.");
  const { sandboxId } = state;
  appliance.store.tasks.move(id, { kind: "idle", sandboxId, summary: "All done.", interrupted: false });
  appliance.store.tasks.move(id, { kind: "completed", summary: "All done." });
  return id;
}

test("turns are compared, downloaded, rolled back to after a second word, and forked", async () => {
  const id = await work();
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.getByRole("tab", { name: "Turns" }).click();
    const rows = page.locator(".turn");
    await rows.nth(2).waitFor();
    expect(await rows.nth(0).textContent()).toContain("Turn 3");
    expect(await rows.nth(1).textContent()).toContain("<b>Test</b> it, too");
    expect(await rows.nth(2).textContent()).toContain("2 files changed");
    await picture(page, "turns");

    await rows.nth(1).getByRole("button", { name: "Diff" }).click();
    await rows.nth(1).getByText("let sum = 2;").waitFor();
    await picture(page, "turn-diff");
    await rows.nth(1).getByRole("combobox").selectOption("base");
    await rows.nth(1).getByText("let sum = 0;").waitFor();
    await rows.nth(0).getByRole("button", { name: "Diff" }).click();
    await rows.nth(0).getByRole("combobox").selectOption("turn 1");
    await rows.nth(0).getByText("let sum = 1;").waitFor();

    const download = page.waitForEvent("download");
    await rows.nth(2).getByRole("link", { name: "Download turn 1 as zip" }).click();
    expect((await download).suggestedFilename()).toBe(`demo-${id.slice(-6)}-turn-1.zip`);

    await rows.nth(2).getByRole("button", { name: "Roll back" }).click();
    expect(appliance.store.tasks.get(id)?.restore).toBeUndefined();
    await rows.nth(2).getByRole("button", { name: "Roll back" }).click();
    await page.waitForFunction(() => document.querySelector(".turn .confirm") === null);
    await until("it is rolled back", () => appliance.store.tasks.get(id)?.restore !== undefined);
    expect(appliance.store.tasks.get(id)?.restore).toEqual({ taskId: id, turn: 1 });

    await rows.nth(2).getByRole("button", { name: "Fork" }).click();
    await rows.nth(2).getByRole("textbox").fill("Try it with cents");
    await picture(page, "turn-fork");
    await rows.nth(2).locator("form button[type=submit]").click();
    await page.getByRole("heading", { name: "Try it with cents" }).waitFor();
    await page.getByText("forked it from another task, as that was after turn 1").waitFor();
  });
});

test("on a phone nothing is cut off", async () => {
  const id = await work();
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.getByRole("tab", { name: "Turns" }).click();
    await page.locator(".turn").nth(2).waitFor();
    await picture(page, "turns-phone");
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(
      0,
    );
  }, 375);
});
