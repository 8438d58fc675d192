import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Locator } from "playwright-core";
import type { GuestEvent } from "../../src/domain/event.ts";
import type { TaskId } from "../../src/domain/ids.ts";
import type { AppServer } from "../fixtures/app-server.ts";
import { picture } from "../fixtures/browser.ts";
import { openPageWorld, type PageWorld } from "../fixtures/page-world.ts";

/** Search, archive, deletion and downloads on the page, in a real browser, against the real HTTP app. */

let world: PageWorld;
let appliance: AppServer;

beforeAll(async () => {
  world = await openPageWorld();
  appliance = world.appliance;
}, 600_000);

afterAll(() => world?.close());

const visit: PageWorld["visit"] = (work, width) => world.visit(work, width);
let block = 0;
const says = (text: string): GuestEvent => ({ kind: "assistant_text", blockId: `b${++block}`, text });

/** A task that has said this, and rests. */
function done(title: string, ...events: GuestEvent[]): TaskId {
  const { store } = appliance;
  const id = appliance.submit({ title });
  appliance.play(id)(...events);
  const sandboxId = store.sandboxes.current(id)?.id;
  if (sandboxId === undefined) throw new Error("It has no sandbox.");
  store.tasks.move(id, { kind: "idle", sandboxId, summary: "All done.", interrupted: false });
  store.tasks.move(id, { kind: "completed", summary: "All done." });
  while (store.search.indexPortion());
  return id;
}

const isSeen = (part: Pick<Locator, "evaluate">) =>
  part.evaluate((node) => {
    const { top, bottom, left, width } = node.getBoundingClientRect();
    const there = document.elementFromPoint(left + width / 2, (top + bottom) / 2);
    return top >= 0 && bottom <= innerHeight && node.contains(there);
  });

const hostile = `<img src=x onerror=alert(1)> \u202egnp.exe \u001b[31m`;

for (const width of [1280, 390]) {
  test(`a search leads to the place in a long transcript, ${width} wide`, async () => {
    const long = Array.from({ length: 900 }, (_, index) => says(`step ${index}`));
    long[200] = says(`Here the zebra${width} crossing fails: ${hostile}`);
    const id = done(`Look at ${hostile}`, ...long);
    await visit(async ({ page }) => {
      await page.locator(".composer h1, .composer").first().waitFor();
      await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
      await page.keyboard.press("/");
      await page.keyboard.type(`zebra${width} cross`);
      const place = page.locator(".found .place");
      await place.first().waitFor();
      expect(await place.locator("mark").allTextContents()).toEqual([`zebra${width}`, "cross"]);
      expect(await isSeen(place.first())).toBe(true);
      await picture(page, `search-${width}`);
      await place.first().click();
      await page.waitForURL(/\/at\/\d+$/);
      expect(page.url()).toContain(`/tasks/${id}/at/`);
      // Its mark goes after a while: the part itself is held, and not looked for again.
      const part = await page.waitForSelector(".found-here");
      expect(await part.textContent()).toContain(`zebra${width}`);
      await page.waitForTimeout(200);
      expect(await isSeen(part)).toBe(true);
      await picture(page, `place-${width}`);
    }, width);
  });
}

test("on a phone the search stands above the form, which stays as it was filled in", async () => {
  done("Feed the okapi");
  await visit(async ({ page }) => {
    const search = page.getByRole("searchbox");
    const prompt = page.locator(".composer textarea");
    await prompt.fill("Half a thought");
    expect(await isSeen(search)).toBe(true);
    await picture(page, "home-390");
    await search.fill("okapi");
    const found = page.locator(".found .task-row");
    await found.waitFor();
    expect(await isSeen(found)).toBe(true);
    await picture(page, "home-found-390");
    await search.fill("");
    await found.waitFor({ state: "detached" });
    expect(await isSeen(search)).toBe(true);
    expect(await prompt.inputValue()).toBe("Half a thought");
  }, 390);
});

test("a long transcript shows its end first, and then all of it", async () => {
  const id = done("A long one", ...Array.from({ length: 1500 }, (_, index) => says(`step ${index}`)));
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.getByText("step 1499", { exact: true }).waitFor();
    await page.getByText(/Show earlier \(1,\d{3} parts\)/).waitFor();
  });
});

test("a task is archived, taken back, deleted and restored", async () => {
  const id = done("Tidy up the shelf");
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.locator(".menu > summary").click();
    await page.getByRole("button", { name: "Archive", exact: true }).waitFor();
    await picture(page, "menu");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: /HTML/ }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^ccw-task-\w{6}\.html$/);
    await page.getByRole("button", { name: "Archive", exact: true }).click();
    await page.locator(".menu > summary", { hasText: "Archived" }).waitFor();
    const row = page.locator(".side .task-row", { hasText: "Tidy up the shelf" });
    await row.waitFor({ state: "detached" });
    const shelf = page.getByLabel("Which tasks");
    await shelf.selectOption("archived");
    await row.waitFor();
    await page.getByRole("button", { name: /^Take back/ }).click();
    await row.waitFor({ state: "detached" });
    await shelf.selectOption("current");
    await row.waitFor();

    await page.getByRole("button", { name: "Delete…" }).click();
    expect(appliance.store.tasks.get(id)).toBeDefined();
    await page.getByRole("button", { name: "Yes, delete" }).click();
    await page.waitForURL(`${appliance.url}/`);
    await row.waitFor({ state: "detached" });
    await shelf.selectOption("deleted");
    await page.getByRole("button", { name: "Restore" }).waitFor();
    await picture(page, "deleted");
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByText("No deleted task is left.").waitFor();
    await shelf.selectOption("current");
    await row.waitFor();
  });
});

test("an exported page is readable by itself, light and dark, and runs nothing", async () => {
  const id = done(
    `Export ${hostile}`,
    says(`# Not rendered\n<script>document.title = "owned"</script>${hostile}`),
    { kind: "tool_use", toolUseId: "t", name: "Bash", input: { command: "rg -n 'x' src" } },
    {
      kind: "tool_result",
      toolUseId: "t",
      isError: false,
      text: "</pre></details><script>alert(3)</script>",
      omitted: 12,
    },
  );
  const response = await fetch(`${appliance.url}/api/tasks/${id}/export?format=html`, {
    headers: { authorization: `Bearer ${appliance.token}` },
  });
  const html = await response.text();
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await world.browser.newContext({
      colorScheme,
      offline: true,
      viewport: { width: 800, height: 700 },
    });
    context.setDefaultTimeout(90_000);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("dialog", (dialog) => void dialog.dismiss().then(() => complaints.push("dialog")));
    page.on("request", (request) => complaints.push(request.url()));
    await page.setContent(html);
    expect(await page.locator("script, img, style:not(head style)").count()).toBe(0);
    expect(await page.title()).not.toBe("owned");
    await page.locator("details.tool summary").click();
    await picture(page, `export-${colorScheme}`);
    expect(complaints).toEqual([]);
    await context.close();
  }
});
