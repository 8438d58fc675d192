import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { buildWeb } from "../../web/build.ts";
import { type AppServer, startAppServer } from "../fixtures/app-server.ts";
import { launchBrowser, picture, type Visit, visitPage } from "../fixtures/browser.ts";
import { type GithubStandIn, startGithub } from "../fixtures/forge/github.ts";

/** Forges on the page, in a real browser, against the real HTTP app and a stand-in for GitHub. */

const many = Array.from({ length: 300 }, (_, n) => `team-${n % 7}/service-${n}`);

let assets: string;
let github: GithubStandIn;
let appliance: AppServer;
let browser: Browser;

beforeAll(async () => {
  assets = mkdtempSync(join(tmpdir(), "ccw-web-"));
  await buildWeb(assets);
  github = await startGithub();
  await github.addRepository("acme/widget", { people: { ada: "admin" } });
  await github.addRepository("acme/gadget", { people: { ada: "read" } });
  const branches = Object.fromEntries(many.map((name) => [name, ["main"]]));
  branches["team-0/service-7"] = ["main", ...Array.from({ length: 400 }, (_, n) => `topic/change-${n}`)];
  appliance = startAppServer({ assetsFolder: assets, forgeAuthority: github.authority, branches });
  browser = await launchBrowser();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await appliance?.close();
  await github?.close();
  rmSync(assets, { recursive: true, force: true });
});

const visit = (work: (visit: Visit) => Promise<void>, width?: number) =>
  visitPage(browser, appliance, work, width);

const sideways = (page: Page) =>
  page.evaluate(
    () =>
      [...document.querySelectorAll("html, .body, .main, dialog")].filter(
        (part) => part.scrollWidth > part.clientWidth,
      ).length,
  );

test("one of hundreds of repositories, and one of hundreds of branches, is chosen with the keyboard alone", async () => {
  await visit(async ({ page }) => {
    const repository = page.getByRole("combobox", { name: "Repository" });
    await repository.focus();
    await page.keyboard.type("servi 7");
    await page.keyboard.press("Escape");
    expect(await repository.inputValue()).toBe("team-0/service-0");
    await page.keyboard.type("0/service-7");
    await page.getByRole("listbox").waitFor();
    await picture(page, "choose-repository");
    await page.keyboard.press("Enter");
    expect(await repository.inputValue()).toBe("team-0/service-7");
    await page.keyboard.press("Tab");
    await page.keyboard.type("change-39");
    await page.getByRole("option", { name: "topic/change-399" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await page.getByRole("combobox", { name: "Branch" }).inputValue()).toBe("topic/change-390");
    await page.getByLabel("Prompt", { exact: true }).fill("Change it");
    await repository.focus();
    await page.keyboard.press("Control+Enter");
    await page.waitForURL(/\/tasks\/tsk_/);
  });
  expect(appliance.store.tasks.list({ limit: 1 })[0]?.repositories).toMatchObject([
    { name: "team-0/service-7", baseBranch: "topic/change-390" },
  ]);
}, 600_000);

test("a forge is connected, tested, searched and forgotten in the settings", async () => {
  const token = github.addToken("ada", ["repo"]);
  await visit(async ({ page, complaints }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByText("No forge is connected yet.").waitFor();
    await page.getByRole("heading", { name: "Forges" }).scrollIntoViewIfNeeded();
    await picture(page, "settings-empty");
    await page.getByLabel("Forge's name").fill("work");
    await page.getByLabel("Its address").fill(github.url);
    await page.getByLabel("Forge's token").fill("ghp_wrong");
    await page.getByRole("button", { name: "Connect forge" }).click();
    await page.locator("section", { hasText: "Forges" }).getByRole("alert").waitFor();
    await picture(page, "settings-refused");
    await page.getByLabel("Forge's token").fill(token);
    await page.getByRole("button", { name: "Connect forge" }).click();
    const row = page.locator(".row", { hasText: github.url });
    await row.getByRole("button", { name: "Test" }).click();
    await page.getByText("work answers and knows the credential as ada.").waitFor();
    await picture(page, "settings-connected");

    await page.getByLabel("Repository on work").fill("widg");
    await page.getByRole("button", { name: "Add acme/widget" }).click();
    await page.getByRole("button", { name: "Added acme/widget" }).waitFor();
    await picture(page, "settings-added");
    expect(appliance.store.repositories.list().filter(({ kind }) => kind === "remote")).toHaveLength(1);
    await row.getByRole("button", { name: "Remove" }).click();
    await row.getByRole("button", { name: "Yes, forget it" }).click();
    await page.locator("section", { hasText: "Forges" }).getByRole("alert").waitFor();
    await picture(page, "settings-kept");
    expect(complaints.filter((line) => !/40[0-9]/.test(line))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

for (const width of [1280, 390]) {
  test(`a repository of a forge is added and chosen where the task is written, at ${width} px`, async () => {
    await visit(async ({ page, complaints }) => {
      await page.getByLabel("Prompt", { exact: true }).fill("Mend the gadget");
      const repository = page.getByRole("combobox", { name: "Repository" });
      await repository.focus();
      await page.keyboard.type("gad");
      await picture(page, `none-fits-${width}`);
      await page.getByRole("option", { name: "Add a repository from a forge…" }).waitFor();
      github.fail({ path: /./, fault: { status: 401, message: "Bad credentials" } });
      // The last of the list, whatever fits.
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("Enter");
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("alert").waitFor();
      await picture(page, `forge-refuses-${width}`);
      await dialog.getByRole("button", { name: "Try again" }).press("Enter");
      await dialog.getByText("acme/gadget").waitFor();
      await picture(page, `forge-search-${width}`);
      expect(await sideways(page)).toBe(0);
      await dialog.getByRole("button", { name: /^(Add|Choose) acme.gadget$/ }).press("Enter");
      await dialog.waitFor({ state: "detached" });
      const { host } = new URL(github.url);
      await page.waitForFunction(
        (name) => Reflect.get(document.querySelector("[name=repository]") ?? {}, "value") === name,
        `${host}/acme/gadget`,
      );
      await page.getByRole("combobox", { name: "Branch" }).click();
      await page.getByRole("option", { name: "main" }).waitFor();
      await picture(page, `chosen-${width}`);
      expect(await sideways(page)).toBe(0);
      expect(await page.getByLabel("Prompt", { exact: true }).inputValue()).toBe("Mend the gadget");
      expect(complaints.filter((line) => !/403/.test(line))).toEqual([]);
      complaints.length = 0;
    }, width);
  }, 600_000);
}

test("where the forge does not say its branches, that is told, and a branch's name is typed", async () => {
  await visit(async ({ page, complaints }) => {
    const repository = page.getByRole("combobox", { name: "Repository" });
    await repository.fill("acme/gadget");
    await page.keyboard.press("Enter");
    github.fail({ path: /\/branches/, fault: { status: 401, message: "Bad credentials" } });
    const branch = page.getByRole("combobox", { name: "Branch" });
    await branch.fill("feature/of-mine");
    await page.getByText("Type the branch's name, or look again.", { exact: false }).waitFor();
    await picture(page, "branches-unknown");
    await page.keyboard.press("Enter");
    expect(await branch.inputValue()).toBe("feature/of-mine");
    complaints.length = 0;
  });
}, 600_000);

test("the page that makes a GitHub App says what it will do, and names the forge", async () => {
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByLabel("Forge's name").fill("app");
    await page.getByLabel("Its address").fill(github.url);
    await page.getByRole("button", { name: "Make a GitHub App instead" }).click();
    await page.getByRole("button", { name: `Go on to ${new URL(github.url).host}` }).waitFor();
    await picture(page, "app-manifest");
  }, 390);
}, 600_000);
