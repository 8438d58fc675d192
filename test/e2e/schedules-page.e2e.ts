import { afterAll, beforeAll, expect, test } from "bun:test";
import { createAgents } from "../../src/domain/agents.ts";
import { newGroupSchema } from "../../src/domain/group.ts";
import { submitGroup } from "../../src/runs/groups.ts";
import type { AppServer } from "../fixtures/app-server.ts";
import { picture } from "../fixtures/browser.ts";
import { openPageWorld, type PageWorld } from "../fixtures/page-world.ts";

/** Schedules and attempts on the page, in a real browser, against the real HTTP app. */

let world: PageWorld;
let appliance: AppServer;

beforeAll(async () => {
  world = await openPageWorld();
  appliance = world.appliance;
}, 600_000);

afterAll(() => world?.close());

const visit: PageWorld["visit"] = (work, width) => world.visit(work, width);

test("a schedule is made with its next times in view, run by hand, paused, given a trigger and removed", async () => {
  await visit(async ({ page, complaints }) => {
    await page.getByRole("link", { name: "Schedules" }).click();
    await page.getByRole("button", { name: "New schedule" }).click();
    await page.getByLabel("Name").fill("nightly");
    await page.getByLabel("Prompt").fill("Update the dependencies");
    await page.getByLabel("Cron pattern").fill("0 3 * * *");
    await page.getByLabel("Time zone").fill("Asia/Tokyo");
    await page.getByText("Next, here:").waitFor();
    await picture(page, "schedule-form");
    await page.getByRole("button", { name: "Make schedule" }).click();
    const row = page.locator(".schedules > li", { hasText: "nightly" });
    await row.getByText("0 3 * * * · Asia/Tokyo").waitFor();
    await row.getByText("03:00 in Asia/Tokyo").first().waitFor();
    await row.getByRole("button", { name: "Run now" }).click();
    await row.getByRole("link", { name: "Update the dependencies" }).waitFor();
    await row.getByRole("button", { name: "Make a trigger" }).click();
    const command = await row.locator(".copyable code").textContent();
    const [, token = "", url = ""] = command?.match(/Bearer (\S+)'.* (http\S+)$/) ?? [];
    const answer = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: "x",
    });
    expect(answer.status).toBe(202);
    await row.getByText("by its trigger").waitFor();
    await picture(page, "schedule-detail");
    await row.getByRole("button", { name: "Pause" }).click();
    await row.getByText("Paused", { exact: true }).waitFor();
    await row.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Cron pattern").fill("61 * * * *");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".note.bad", { hasText: "is not a cron pattern" }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await row.getByRole("button", { name: "Remove" }).click();
    await row.getByRole("button", { name: "Yes, remove" }).click();
    await page.getByText("There are none yet.").waitFor();
    // The browser itself reports the patterns that were refused.
    expect(complaints.every((line) => line.includes("status of 400"))).toBe(true);
    complaints.length = 0;
  });
}, 600_000);

test("a schedule's files, repositories, agent and mode are given and changed, and each run has them", async () => {
  const { store } = appliance;
  const added = await fetch(new URL("api/repositories", appliance.url), {
    method: "POST",
    headers: { authorization: `Bearer ${appliance.token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "docs" }),
  });
  expect(added.status).toBe(201);
  await visit(async ({ page }) => {
    await page.getByRole("link", { name: "Schedules" }).click();
    await page.getByRole("button", { name: "New schedule" }).click();
    await page.getByLabel("Name", { exact: true }).fill("weekly");
    await page.getByLabel("Prompt").fill("Look at the list");
    await page.getByLabel("When").selectOption("never");
    const file = (name: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from(`in ${name}`) });
    await page.getByLabel("Files to attach").setInputFiles([file("list.txt"), file("old.txt")]);
    await page.getByRole("link", { name: "old.txt" }).waitFor();
    await page.getByRole("button", { name: "Add a repository" }).click();
    await page.getByLabel("Branch of docs").fill("main");
    await page.getByLabel("Agent").selectOption("codex");
    await page.getByLabel("Mode", { exact: true }).selectOption("plan");
    await page.getByRole("button", { name: "Make schedule" }).scrollIntoViewIfNeeded();
    await picture(page, "schedule-form-full");
    await page.getByRole("button", { name: "Make schedule" }).click();
    const row = page.locator(".schedules > li", { hasText: "weekly" });
    await row.getByText("demo, docs (main) · environment default · codex · plans first").waitFor();
    await row.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Do not attach old.txt").click();
    await page.getByLabel("Leave out demo").click();
    await page.getByRole("button", { name: "Save" }).click();
    await row.getByText("docs (main) · environment default").waitFor();
    await row.getByRole("link", { name: "list.txt" }).waitFor();
    await picture(page, "schedule-with-files");
    await row.getByRole("button", { name: "Run now" }).click();
    await row.getByRole("link", { name: "Look at the list" }).waitFor();
    const [made] = store.tasks.list({ limit: 1 });
    if (made === undefined) throw new Error("no task");
    expect(made).toMatchObject({ agent: "codex", mode: "plan", repositories: [{ name: "docs" }] });
    const files = store.prompts.list(made.id)[0]?.attachments;
    expect(files?.map(({ name }) => name)).toEqual(["list.txt"]);
    await row.getByRole("button", { name: "Remove" }).click();
    await row.getByRole("button", { name: "Yes, remove" }).click();
    await page.getByText("There are none yet.").waitFor();
  });
}, 600_000);

test("the words of a schedule outlive a reload, and are gone once they are given up", async () => {
  await visit(async ({ page }) => {
    const open = async () => {
      await page.getByRole("button", { name: "New schedule" }).click();
      await page.getByLabel("Name").waitFor();
      return [await page.getByLabel("Name").inputValue(), await page.getByLabel("Prompt").inputValue()];
    };
    await page.goto(`${appliance.url}/schedules`);
    expect(await open()).toEqual(["", ""]);
    await page.getByLabel("Name").fill("weekly");
    await page.getByLabel("Prompt").fill("Look at the licences");
    await page.reload();
    expect(await open()).toEqual(["weekly", "Look at the licences"]);
    await page.getByRole("button", { name: "Cancel" }).click();
    expect(await open()).toEqual(["", ""]);
  });
});

test("a time that comes once names the zone that it is told in", async () => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/schedules`);
    await page.getByRole("button", { name: "New schedule" }).click();
    await page.getByLabel("Name").fill("some day");
    await page.getByLabel("Prompt").fill("Greet");
    await page.getByLabel("When").selectOption("once");
    await page.locator("input[name=at]").fill("2038-01-05T09:00");
    await page.getByRole("button", { name: "Make schedule" }).click();
    const row = page.locator(".schedules > li", { hasText: "some day" });
    await row.getByText(`once, 5 Jan 2038 09:00 · ${zone}`).waitFor();
    await row.getByRole("button", { name: "Remove" }).click();
    await row.getByRole("button", { name: "Yes, remove" }).click();
    await page.getByText("There are none yet.").waitFor();
  });
});

test("attempts stand side by side with their diffs, and one is kept after a second word", async () => {
  const { store, ids } = appliance;
  const host = {
    branches: async () => [{ name: "main", commit: "0" }],
  } as never;
  const input = { prompt: "Make <b>it</b> fast", repositories: [{ name: "demo" }], attempts: 3 };
  const group = await submitGroup(
    { store, host, ids, agents: createAgents() },
    store.people.ensure("ada"),
    newGroupSchema.parse({ ...input, models: ["opus", "sonnet"] }),
  );
  appliance.setDiff(
    "diff --git a/run.py b/run.py\n--- a/run.py\n+++ b/run.py\n@@ -1,2 +1,3 @@\n import os\n-slow()\n+fast()\n+faster()\n",
  );
  for (const { id, repositories } of store.groups.tasks(group.id)) {
    const branch = repositories[0]?.workBranch ?? "";
    appliance.play(id)({ kind: "pushed", repository: "demo", branch, commit: "0123456789" });
  }
  const [, second] = store.groups.tasks(group.id);
  await visit(async ({ page }) => {
    await page.locator(".task-row", { hasText: "Attempt 2 of 3" }).click();
    await page.getByRole("link", { name: "Compare 3 attempts" }).click();
    const column = page.getByRole("region", { name: "attempt 2" });
    await column.getByText("1 file,").first().waitFor();
    await column.getByText("faster()").waitFor();
    await picture(page, "attempts");
    await column.getByRole("button", { name: "Keep this one" }).click();
    expect(store.groups.get(group.id)?.kept).toBeUndefined();
    await column.getByRole("button", { name: "Yes, keep it" }).click();
    await column.getByText("Kept", { exact: true }).waitFor();
    expect(store.groups.get(group.id)?.kept).toBe(second?.id as never);
    expect(await page.getByRole("button", { name: "Keep this one" }).count()).toBe(0);
    await picture(page, "attempts-kept");
  });
  await visit(async ({ page }) => {
    // A page that is left while its connection is being made complains of that.
    const listed = () => page.locator(".task-row").first().waitFor({ state: "attached" });
    await listed();
    await page.goto(`${appliance.url}/groups/${group.id}`);
    await page.getByRole("region", { name: "attempt 1" }).waitFor();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(390);
    await picture(page, "attempts-phone");
    await listed();
    await page.goto(`${appliance.url}/schedules`);
    await page.getByRole("button", { name: "New schedule" }).click();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await picture(page, "schedules-phone");
  }, 390);
}, 600_000);
