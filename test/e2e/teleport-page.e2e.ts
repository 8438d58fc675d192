import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { buildWeb } from "../../web/build.ts";
import { launchBrowser, picture, visitPage } from "../fixtures/browser.ts";
import { createTeleportWorld, type TeleportWorld } from "../fixtures/teleport-world.ts";

/** The page's two commands, in a real browser, and that they are what a shell understands. */

let assets: string;
let world: TeleportWorld;
let browser: Browser;

beforeAll(async () => {
  assets = mkdtempSync(join(tmpdir(), "ccw-web-"));
  await buildWeb(assets);
  world = await createTeleportWorld({ assetsFolder: assets });
  browser = await launchBrowser();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await world?.close();
  rmSync(assets, { recursive: true, force: true });
});

test("Open in CLI gives a command to copy, which brings the task", async () => {
  await visitPage(browser, world.server, async ({ page }) => {
    await page.goto(`${world.server.url}/tasks/${world.taskId}`);
    await page.getByRole("button", { name: "Open in CLI" }).click();
    const panel = page.getByRole("region", { name: "Open in CLI" });
    const command = (await panel.locator("code").textContent()) ?? "";
    expect(command).toMatch(/^curl -fsSL 'http:\/\/[^']+\/teleport\/ccwt_[\w-]{40}' \| sh$/);
    expect(await panel.textContent()).toContain("Good for 10 more minutes");
    await panel.getByRole("button", { name: "Copy the command" }).click();
    await panel.getByText("Copied").waitFor();
    await picture(page, "teleport");
    const eve = await world.person();
    expect(await eve.run(command)).toMatchObject({ code: 0 });
    await page.getByText("took the task along").waitFor();
  });
}, 600_000);

test("From a terminal gives the command of a hand-over, on a phone, too", async () => {
  await visitPage(
    browser,
    world.server,
    async ({ page }) => {
      await page.goto(world.server.url);
      await page.getByRole("button", { name: "From a terminal" }).click();
      const panel = page.getByRole("region", { name: "Hand over" });
      expect(await panel.locator("code").textContent()).toMatch(/\/handover\/ccwt_[\w-]{40}' \| sh$/);
      await picture(page, "handover");
      const right = await panel.evaluate((element) => element.getBoundingClientRect().right);
      expect(right).toBeLessThanOrEqual(390);
      expect(await panel.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    },
    390,
  );
}, 600_000);
