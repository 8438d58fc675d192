import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { newId } from "../../src/domain/ids.ts";
import type { SendOutcome } from "../../src/domain/notification.ts";
import { buildWeb } from "../../web/build.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { launchBrowser, picture, type Visit, visitPage } from "../fixtures/browser.ts";
import { until } from "../until.ts";

/** Notifications on the settings page, in a real browser, against the real HTTP app. */

let assets: string;
let appliance: AppServer;
let browser: Browser;
let answer: SendOutcome = { kind: "sent", status: 200 };

beforeAll(async () => {
  assets = mkdtempSync(join(tmpdir(), "ccw-web-"));
  await buildWeb(assets);
  appliance = startAppServer({ assetsFolder: assets, send: async () => answer });
  browser = await launchBrowser();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await appliance?.close();
  rmSync(assets, { recursive: true, force: true });
});

const visit = (work: (visit: Visit) => Promise<void>, width?: number) =>
  visitPage(browser, appliance, work, width);

const channelOf = () => appliance.store.notifications.channels(appliance.store.people.ensure("ada").id)[0];

const failing = (title: string) => {
  const { store, ids } = appliance;
  const id = appliance.submit({ title });
  store.tasks.move(id, { kind: "starting", sandboxId: newId("SandboxId", ids) });
  store.tasks.move(id, { kind: "failed", reason: "The clone failed.", hint: "" });
  return id;
};

test("a channel is added, tried, narrowed and removed; its secret is shown once; the log says what was sent", async () => {
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/settings`);
    const section = page.getByRole("region", { name: "Notifications" });
    await section.getByLabel("Kind of channel").selectOption("webhook");
    await section.getByLabel("Its address").fill("https://hooks.example/a-very-long-and-secret-address");
    await section.getByRole("button", { name: "Add channel" }).click();
    await section.getByText("shown this once").waitFor();
    const secret = await section.locator("code").first().textContent();
    expect(secret).toStartWith("whsec_");

    await section.getByRole("button", { name: "Send a test" }).click();
    await section.getByText("The test was taken.").waitFor();
    answer = { kind: "again", status: 503, error: "It answers 503." };
    failing('<img src=x onerror="alert(1)"> \u202eelif');
    await section.getByText("What was sent").click();
    await section.getByRole("button", { name: "Look again" }).click();
    await section.getByText("It answers 503.").waitFor();
    await section.scrollIntoViewIfNeeded();
    await picture(page, "notifications");

    await section.getByRole("checkbox", { name: "Paused", exact: true }).uncheck();
    await until("it is kept", () => channelOf()?.kinds.includes("paused") === false);
    await section.getByRole("button", { name: "Switch off" }).click();
    await section.getByText("Off", { exact: true }).waitFor();
    expect(channelOf()?.on).toBe(false);
    await page.reload();
    await section.getByText("https://hooks.example/").waitFor();
    expect(await page.content()).not.toContain(secret);
    await section.getByRole("button", { name: "Remove" }).click();
    await section.getByRole("button", { name: "Yes, remove" }).click();
    await section.getByText("https://hooks.example/").waitFor({ state: "detached" });
  });
}, 600_000);

test("on a phone nothing of it goes off the side", async () => {
  appliance.store.notifications.addChannel(
    appliance.store.people.ensure("ada").id,
    { kind: "ntfy", url: "https://ntfy.example/a-topic-with-quite-a-long-name", token: "" },
    ["done", "failed", "question"],
  );
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByRole("button", { name: "Send a test" }).first().scrollIntoViewIfNeeded();
    await picture(page, "notifications-phone");
    const wide = await page.evaluate(
      () =>
        [...document.querySelectorAll("html, .body, .main")].filter(
          (part) => part.scrollWidth > part.clientWidth,
        ).length,
    );
    expect(wide).toBe(0);
  }, 390);
}, 600_000);

test("a browser that was asked to shows what happens to the person's tasks while nobody looks at the page", async () => {
  await visit(async ({ page }) => {
    await page.context().grantPermissions(["notifications"], { origin: appliance.url });
    await page.addInitScript(() => {
      const shown: string[] = [];
      Object.assign(window, { shown });
      class Recorded extends EventTarget {
        static permission = "granted";
        static requestPermission = async () => "granted";
        constructor(title: string) {
          super();
          shown.push(title);
        }
      }
      Object.assign(window, { Notification: Recorded });
    });
    await page.goto(`${appliance.url}/settings`);
    await page.getByRole("button", { name: "Show in this browser" }).click();
    await page.getByText("shows notifications while").waitFor();
    await page.reload();
    await page.getByText("shows notifications while").waitFor();
    const shown = () => page.evaluate(() => (window as unknown as { shown: string[] }).shown);
    const seen = appliance.submit({ title: "Seen" });
    await page.getByText("Seen").first().waitFor();
    appliance.store.tasks.move(seen, { kind: "failed", reason: "r", hint: "" });
    await Bun.sleep(600);
    expect(await shown()).toEqual([]);
    const hidden = appliance.submit({ title: "Hidden" });
    const others = appliance.submit({ title: "Others", person: "bob" });
    await page.getByText("Hidden").first().waitFor();
    await page.evaluate(() => Object.defineProperty(document, "hidden", { value: true }));
    for (const id of [hidden, others])
      appliance.store.tasks.move(id, { kind: "failed", reason: "r", hint: "" });
    await until("it is shown", async () => (await shown()).length > 0);
    await Bun.sleep(600);
    expect(await shown()).toEqual(["Failed: Hidden"]);
  });
}, 600_000);
