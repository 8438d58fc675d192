import { afterAll, beforeAll, expect, test } from "bun:test";
import { newId, type TaskId } from "../../src/domain/ids.ts";
import { notFollowed, type PullRequest } from "../../src/domain/pull-request.ts";
import type { AppServer } from "../fixtures/app-server.ts";
import { picture } from "../fixtures/browser.ts";
import { openPageWorld, type PageWorld } from "../fixtures/page-world.ts";

/** Pull requests on the page, in a real browser, against the real HTTP app. */

const workBranch = "claude/round-abc123";
const repositories = [{ name: "demo", baseBranch: "main", workBranch }];

let world: PageWorld;
let appliance: AppServer;

beforeAll(async () => {
  world = await openPageWorld();
  appliance = world.appliance;
}, 600_000);

afterAll(() => world?.close());

const visit: PageWorld["visit"] = (work, width) => world.visit(work, width);

/** A completed task that has pushed its work. */
function work(title: string, names = repositories): TaskId {
  const id = appliance.submit({ title, repositories: names });
  const say = appliance.play(id);
  for (const { name } of names)
    say({ kind: "pushed", repository: name, branch: workBranch, commit: "0123456789abcdef" });
  const state = appliance.store.tasks.get(id)?.state;
  if (state === undefined || !("sandboxId" in state)) throw new Error("The task is not active.");
  const summary = "All `done`.";
  appliance.store.tasks.move(id, { kind: "idle", sandboxId: state.sandboxId, summary, interrupted: false });
  appliance.store.tasks.move(id, { kind: "completed", summary });
  return id;
}

function onForge(taskId: TaskId, change: Partial<PullRequest> = {}): PullRequest {
  return appliance.store.pullRequests.add({
    ...{ id: newId("PullRequestId", appliance.ids), taskId, repository: "demo", keptBy: "forge", number: 12 },
    ...{ webUrl: "https://forge.example/acme/demo/pull/12", title: "Round it", body: "> Make it round" },
    ...{ draft: false, state: "open", base: "main", head: workBranch, headCommit: "0123456789", trouble: "" },
    ...{ checks: [], comments: [], follow: notFollowed, ...change },
  });
}

const check = (name: string, state: "failed" | "passed" | "pending", webUrl = "https://ci.example/1") => ({
  ...{ id: name, name, state, webUrl, summary: "" },
});

test("a draft is created, made ready, and merged after a second word", async () => {
  const id = work("Make it round");
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.getByRole("button", { name: "Create draft" }).waitFor();
    await picture(page, "create");
    await page.getByRole("button", { name: "Create draft" }).click();
    const card = page.locator(".card.reviews");
    await card.getByText("#1 draft").waitFor();
    expect(await card.getByRole("button", { name: "Merge" }).count()).toBe(0);
    await card.getByRole("button", { name: "Ready for review" }).click();
    await card.getByText("#1 open").waitFor();
    await picture(page, "own");
    await card.getByRole("button", { name: "Merge" }).click();
    expect(appliance.store.pullRequests.list({ taskId: id, limit: 1 })[0]?.state).toBe("open");
    await card.getByRole("button", { name: "Yes, merge" }).click();
    await card.getByText("#1 merged").waitFor();
    await page.locator(".item.line", { hasText: "demo#1 merged by ada" }).waitFor();
    await page.locator(".task-row", { hasText: "#1 merged" }).waitFor();
    expect(await card.getByRole("button").count()).toBe(0);
  });
}, 600_000);

test("what the forge's checks say is seen as it changes, links lead there alone, and following cannot pretend", async () => {
  const id = work("Look at the checks");
  const row = onForge(id, {
    checks: [check("tests", "pending"), check("evil", "passed", "javascript:alert(1)")],
  });
  await visit(async ({ page, complaints }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    const card = page.locator(".card.reviews");
    await card.getByText("2 checks:").waitFor();
    appliance.store.pullRequests.update(row.id, {
      checks: [check("tests", "failed"), check("evil", "passed", "javascript:alert(1)")],
      trouble: "The forge is asked too often. It is tried again.",
    });
    await card.getByText("1 failed").waitFor();
    await card.getByText("asked too often", { exact: false }).waitFor();
    await picture(page, "forge");
    const links = await card
      .locator("a")
      .evaluateAll((all) =>
        all.map((link) => `${link.getAttribute("href")} ${link.getAttribute("rel")} ${link.textContent}`),
      );
    expect(links).toEqual([
      "https://forge.example/acme/demo/pull/12 noopener noreferrer demo#12",
      "https://ci.example/1 noopener noreferrer tests",
    ]);
    appliance.store.pullRequests.update(row.id, {
      comments: [
        {
          ...{ id: "1", author: "mallory", authorMayWrite: false, own: false, thread: "1", at: 1 },
          ...{ body: "<img src=x onerror=alert(1)>", webUrl: "javascript:alert(2)", place: undefined },
        },
      ],
    });
    await card.getByText("1 comment of reviewers").click();
    await card.getByText("<img src=x onerror=alert(1)>").waitFor();
    await card.getByText("who may not write", { exact: false }).waitFor();
    expect(await card.locator("a[href^='javascript']").count()).toBe(0);
    // Nobody answers for this forge here: the switch goes back, with the reason.
    await card.getByRole("switch").click();
    await card.getByRole("alert").waitFor();
    expect(await card.getByRole("switch").isChecked()).toBe(false);
    appliance.store.pullRequests.update(row.id, { follow: { ...notFollowed, on: true, rounds: 2 } });
    await card.getByText("round 2 of 5", { exact: false }).waitFor();
    expect(await card.getByRole("switch").isChecked()).toBe(true);
    expect(complaints.filter((line) => !/409|503/.test(line))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("a phone shows it without scrolling sideways", async () => {
  const id = work("w".repeat(80));
  onForge(id, {
    number: 13,
    title: "t".repeat(200),
    repository: `forge.example/${"o".repeat(90)}/demo`,
    checks: [check("c".repeat(150), "failed"), check("lint", "passed"), check("build", "pending")],
    follow: { ...notFollowed, stopped: "All 5 rounds are used up, and there is more: 1 failed check." },
  });
  appliance.store.pullRequests.add({
    ...onForge(id, { number: 14, title: "t".repeat(200), checks: [check("c".repeat(150), "failed")] }),
    ...{ id: newId("PullRequestId", appliance.ids), number: 15 },
  });
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/tasks/${id}`);
    await page.locator(".card.reviews .checks").waitFor();
    await page.locator(".card.reviews").scrollIntoViewIfNeeded();
    await picture(page, "phone");
    expect(
      await page.evaluate(() =>
        [...document.querySelectorAll("html, .body, .main")].map(
          (part) => part.scrollWidth - part.clientWidth,
        ),
      ),
    ).toEqual([0, 0, 0]);
  }, 390);
}, 600_000);
