import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { environmentSchema } from "../../src/domain/environment.ts";
import type { TaskId } from "../../src/domain/ids.ts";
import type { AppServer } from "../fixtures/app-server.ts";
import { openPageWorld, type PageWorld } from "../fixtures/page-world.ts";

/** Requests for access, the ledger and an environment's network on the page, in a real browser; the test plays the door's part. */

let world: PageWorld;
let appliance: AppServer;

beforeAll(async () => {
  world = await openPageWorld();
  appliance = world.appliance;
}, 600_000);

afterAll(() => world?.close());

beforeEach(() => {
  appliance.store.environments.save(environmentSchema.parse({ name: "default", access: "limited" }));
});

const visit: PageWorld["visit"] = (work, width) => world.visit(work, width);

function running(title: string): TaskId {
  const id = appliance.submit({ title });
  appliance.play(id);
  return id;
}
const open = async (page: Page, id: TaskId) => {
  await page.goto(`${appliance.url}/tasks/${id}`);
  await page.getByRole("tab", { name: "Transcript" }).waitFor();
};
const stateOf = (id: TaskId, host: string) =>
  appliance.store.access.list({ taskId: id, limit: 100 }).find((request) => request.host === host)?.state;
const environment = () => appliance.store.environments.get("default");

test("a refused host shows at once, on the task's page and in the list, and each grant says who gave it", async () => {
  const id = running("asking");
  await visit(async ({ page }) => {
    await open(page, id);
    const strip = page.getByRole("region", { name: "Request for access" });
    expect(await strip.count()).toBe(0);
    appliance.refuse(id, "one.example");
    await strip.getByText("one.example:443").waitFor();
    await strip.getByText("not on the allowlist · refused once", { exact: false }).waitFor();
    await page.locator(".task-row", { hasText: "asking" }).getByText("Asks for 1 host").waitFor();
    appliance.refuse(id, "one.example");
    await strip.getByText("refused 2 times", { exact: false }).waitFor();

    await page.getByRole("button", { name: "Allow one.example:443 once" }).click();
    await strip.getByText("ada allowed it for one connection", { exact: false }).waitFor();
    expect(stateOf(id, "one.example")).toMatchObject({ kind: "granted-once", person: "ada" });
    await strip.waitFor({ state: "detached" });

    appliance.refuse(id, "two.example");
    await page.getByRole("button", { name: "Allow two.example:443 for this task" }).click();
    await strip.getByText("ada allowed it for this task", { exact: false }).waitFor();
    appliance.refuse(id, "three.example", 8443, "port-not-allowed");
    await page.getByRole("button", { name: "Allow three.example:8443 for the environment default" }).click();
    await strip.getByText("ada allowed it for the environment", { exact: false }).waitFor();
    expect(environment()?.egress.allow).toEqual(["three.example port=8443"]);
    appliance.refuse(id, "2001:db8::7");
    await page.getByRole("button", { name: "Deny [2001:db8::7]:443" }).click();
    await strip.getByText("ada denied it", { exact: false }).waitFor();
    await page.locator(".side").getByText("Asks for", { exact: false }).waitFor({ state: "detached" });

    await page.getByRole("tab", { name: "Egress" }).click();
    const rows = await page.locator(".access-row").allInnerTexts();
    expect(rows).toHaveLength(4);
    expect(rows.every((row) => /ada (allowed|denied) it/.test(row))).toBe(true);
  });
}, 600_000);

test("the keyboard alone decides, and a decision is taken back", async () => {
  const id = running("keyboard");
  for (const host of ["one.example", "two.example"]) appliance.refuse(id, host);
  await visit(async ({ page }) => {
    await open(page, id);
    await page.getByRole("tab", { name: "Egress" }).click();
    await page.getByRole("button", { name: "Allow one.example:443 once" }).focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("ada allowed it for this task", { exact: false }).waitFor();
    expect(stateOf(id, "one.example")).toMatchObject({ kind: "granted", scope: "task" });
    // The focus is still on the row: the next thing in it is the way back.
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Deny one.example:443" }).click();
    await page.getByText("ada denied it", { exact: false }).waitFor();
    expect(stateOf(id, "one.example")?.kind).toBe("denied");
    expect(await page.getByRole("button", { name: "Deny one.example:443" }).count()).toBe(0);
    expect(stateOf(id, "two.example")?.kind).toBe("pending");
  });
}, 600_000);

test("a second click does not decide on the next host", async () => {
  const id = running("double");
  for (const host of ["one.example", "two.example", "three.example"]) appliance.refuse(id, host);
  await visit(async ({ page }) => {
    await open(page, id);
    await page.getByText("and 2 more hosts").waitFor();
    await page.getByRole("button", { name: "Allow one.example:443 for this task" }).dblclick();
    await page.getByRole("button", { name: "Deny two.example:443" }).waitFor();
    expect(stateOf(id, "one.example")?.kind).toBe("granted");
    expect(stateOf(id, "two.example")?.kind).toBe("pending");
    // What a sandbox asks for again and again moves nothing.
    for (let n = 0; n < 5; n++) appliance.refuse(id, "three.example");
    await page.getByText("and 1 more host").click();
    await page.getByText("refused 6 times", { exact: false }).waitFor();
    const hosts = await page.locator(".access-host").allInnerTexts();
    expect(hosts).toEqual(["one.example:443", "two.example:443", "three.example:443"]);
  });
}, 600_000);

test("with a task its requests end, and the environment can still be given leave", async () => {
  const id = running("ending");
  appliance.refuse(id, "one.example");
  await visit(async ({ page }) => {
    await open(page, id);
    const strip = page.getByRole("region", { name: "Request for access" });
    await strip.getByText("one.example:443").waitFor();
    appliance.store.tasks.move(id, { kind: "cancelled", by: "ada" });
    await strip.waitFor({ state: "detached" });
    await page
      .locator(".task-row", { hasText: "ending" })
      .getByText("Asks for")
      .waitFor({ state: "detached" });
    await page.getByRole("tab", { name: "Egress" }).click();
    const row = page.locator(".access-row");
    await row.getByText("Nobody decided before the task ended", { exact: false }).waitFor();
    await row.getByRole("button", { name: "Change the decision on one.example:443" }).click();
    expect(await row.locator(".access-choices button").allInnerTexts()).toEqual(["Environment default"]);
    await row.getByRole("button", { name: "Allow one.example:443 for the environment default" }).click();
    await row.getByText("ada allowed it for the environment", { exact: false }).waitFor();
  });
}, 600_000);

test("a decision that can have no effect is said, with what would help", async () => {
  appliance.store.environments.save(environmentSchema.parse({ name: "default", access: "none" }));
  const id = running("none");
  appliance.refuse(id, "one.example");
  await visit(async ({ page, complaints }) => {
    await open(page, id);
    await page.getByRole("button", { name: "Allow one.example:443 for this task" }).click();
    await page.getByText("allows no egress at all", { exact: false }).waitFor();
    // The browser reports each answer that is no success.
    expect(complaints.filter((line) => !line.includes("409"))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("the ledger shows what went out, live, and tells refused ones from the rest", async () => {
  const id = running("ledger");
  for (let n = 0; n < 250; n++)
    appliance.request(id, { path: `/package-${n}` })({ bytesUp: 1024, bytesDown: 2048 });
  await visit(async ({ page }) => {
    await open(page, id);
    // By the keyboard alone.
    await page.getByRole("tab", { name: "Transcript" }).focus();
    for (let tab = 0; tab < 2; tab++) await page.keyboard.press("ArrowLeft");
    const rows = page.locator(".ledger tbody tr");
    await rows.first().waitFor();
    await page.getByText("250 requests").waitFor();
    expect(await page.locator(".ledger-sums").textContent()).toContain("250KiB uploaded of 1GiB");
    expect(await rows.count()).toBe(100);
    expect(await rows.first().textContent()).toContain("/package-249");
    await page.getByRole("button", { name: "Show older" }).click();
    await rows.nth(199).waitFor();
    await page.getByRole("button", { name: "Show older" }).click();
    await rows.nth(249).waitFor();
    expect(await rows.nth(249).textContent()).toContain("/package-0");
    await page.getByRole("button", { name: "Show older" }).waitFor({ state: "detached" });

    const end = appliance.request(id, { host: "big.example", path: "/file", kind: "http", port: 80 });
    const big = rows.filter({ hasText: "big.example:80" });
    await big.getByText("open").waitFor();
    end({ verdict: "cut", reason: "upload-budget", bytesUp: 1024 ** 2, ms: 2500 });
    await big.getByText("upload budget").waitFor();
    expect(await big.textContent()).toContain("1MiB");
    appliance.request(id, {
      host: "evil.example",
      verdict: "refused",
      reason: "host-not-allowed",
      status: 403,
    })();
    await page.getByText("1 refused").waitFor();
    await rows.nth(251).waitFor();
    expect(await rows.count()).toBe(252);

    await page.getByLabel("Verdict").selectOption("refused");
    await page.waitForFunction(() => document.querySelectorAll(".ledger tbody tr").length === 1);
    expect(await rows.first().textContent()).toContain("not on the allowlist");
    expect(await page.locator(".ledger tr.refused").count()).toBe(1);
    await page.getByLabel("Verdict").selectOption("");
    await page.getByLabel("Host").fill("big.example");
    // What is typed stays while the ledger is read anew.
    await page.waitForResponse((response) => response.url().includes("/api/egress?"));
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll(".ledger tbody tr").length === 1);
    await page.getByLabel("Host").fill("nowhere.example");
    await page.keyboard.press("Enter");
    await page.getByText("No request is like that.").waitFor();
  });
}, 600_000);

test("what a sandbox wrote into hosts and paths is text, and whole where it is asked for", async () => {
  const id = running("hostile");
  const script = `/<img src=x onerror=alert(1)><script>alert(2)</script>`;
  appliance.request(id, { path: `${script}\u202egpj.exe\x1b[31m` })();
  appliance.request(id, { path: `/${"a".repeat(500)}END`, host: "<b>bold</b>", verdict: "refused" })();
  appliance.refuse(id, `${"x".repeat(60)}.${"y".repeat(60)}.evil.example`);
  await visit(async ({ page }) => {
    await open(page, id);
    await page.getByRole("tab", { name: "Egress" }).click();
    const shown = page.locator(".ledger tbody");
    await shown.getByText(script, { exact: false }).waitFor();
    expect(await shown.textContent()).not.toMatch(/\p{Cc}|\u202e/u);
    expect(await shown.locator("img, script, b").count()).toBe(0);
    expect(await shown.textContent()).not.toContain("aEND");
    await page.getByRole("button", { name: "Show the whole path" }).click();
    await shown.getByText("aEND", { exact: false }).waitFor();
    await page.getByText("evil.example:443", { exact: false }).first().waitFor();
    const sideways = await page.evaluate(() =>
      [...document.querySelectorAll("html, .body, .main")].map((part) => part.scrollWidth - part.clientWidth),
    );
    expect(sideways).toEqual([0, 0, 0]);
    // The header stays: the document itself has nothing to scroll to.
    expect(
      await page.evaluate(
        () => document.documentElement.scrollHeight - document.documentElement.clientHeight,
      ),
    ).toBe(0);
  }, 390);
}, 600_000);

test("a mistake in a rule is shown at its line with the correction, and what is saved is canonical", async () => {
  await visit(async ({ page, complaints }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByRole("button", { name: "Edit default" }).click();
    const rules = page.getByLabel("Rules: what may be reached as well");
    const never = page.getByLabel("Never to be reached");
    await rules.fill("API.Example.com write\nhttps://npmjs.org/x");
    await never.fill("pastebin.com\n\nevil.example:443");
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.getByText("Line 2: write npmjs.org", { exact: false }).waitFor();
    await page.getByText("Line 3: ", { exact: false }).waitFor();
    expect(await page.locator(".line-numbers .bad").allTextContents()).toEqual(["2", "3"]);
    await page.getByText("a mistake under the rules and under what is never to be reached above").waitFor();
    // The cursor stands on the first of them: what is typed takes its place.
    await page.keyboard.type("*.npmjs.org methods=GET");
    await never.fill("pastebin.com");
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.getByRole("button", { name: "Edit default" }).waitFor();
    expect(environment()?.egress.allow).toEqual(["api.example.com write", "*.npmjs.org methods=GET"]);
    expect(complaints.filter((line) => !line.includes("400"))).toEqual([]);
    complaints.length = 0;
  });
}, 600_000);

test("groups, denied hosts, limits, secrets and credentials are set; a secret's value never comes back", async () => {
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByRole("button", { name: "Edit default" }).click();
    await page.getByText("15 hosts").first().click();
    await page.getByText("gist.github.com").waitFor();
    await page.getByRole("checkbox", { name: "Version Control" }).uncheck();
    await page.getByLabel("Never to be reached").fill("*.zip");
    await page.getByLabel("Upload, whole task").fill("500 MiB");
    await page.getByLabel("Connections at once").fill("16");
    await page.getByLabel("New secret").fill("PAY_KEY");
    // A name that was typed and not added is not lost in silence.
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.locator("input:invalid:focus").waitFor();
    expect(environment()?.egress.deny).toEqual([]);
    await page.keyboard.press("Enter");
    await page.getByLabel("Value of PAY_KEY").fill("key-0123456789");
    await page.getByRole("button", { name: "Add a credential" }).click();
    await page.locator(".credential").getByLabel("Host", { exact: true }).fill("api.pay.example");
    await page.locator(".credential").getByLabel("Value", { exact: true }).fill(`Bearer \${PAY_KEY}`);
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.getByText("secrets PAY_KEY").waitFor();
    const { egress } = environment() ?? {};
    expect(egress).toMatchObject({
      deny: ["*.zip"],
      groupsOff: ["Version Control"],
      credentials: [{ host: "api.pay.example", header: "Authorization", template: `Bearer \${PAY_KEY}` }],
      limits: { uploadBytes: 500 * 1024 ** 2, connections: 16, requestsPerMinute: 6000 },
    });
    expect(environment()?.secrets).toEqual({ PAY_KEY: "key-0123456789" });

    await page.getByRole("button", { name: "Edit default" }).click();
    expect(await page.getByRole("checkbox", { name: "Version Control" }).isChecked()).toBe(false);
    expect(await page.getByLabel("Upload, whole task").inputValue()).toBe("500MiB");
    expect(await page.content()).not.toContain("key-0123456789");
    await page.getByRole("button", { name: "Replace PAY_KEY" }).click();
    await page.getByLabel("Value of PAY_KEY").fill("key-9876543210");
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.getByRole("button", { name: "Edit default" }).click();
    expect(environment()?.secrets).toEqual({ PAY_KEY: "key-9876543210" });
    await page.getByRole("button", { name: "Remove PAY_KEY" }).click();
    await page.getByRole("button", { name: "Remove the credential for api.pay.example" }).click();
    await page.getByLabel("None").check();
    expect(await page.getByLabel("Never to be reached").count()).toBe(0);
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.getByText("network none").waitFor();
    expect(environment()).toMatchObject({
      access: "none",
      secrets: {},
      egress: { credentials: [], deny: ["*.zip"] },
    });
  });
}, 600_000);

test("a rule that is granted while the form is open is not lost when the form is saved", async () => {
  const id = running("meanwhile");
  appliance.refuse(id, "granted.example");
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByRole("button", { name: "Edit default" }).click();
    await page.getByLabel("Rules: what may be reached as well").fill("typed.example");
    const [request] = appliance.store.access.list({ taskId: id, limit: 1 });
    await fetch(`${appliance.url}/api/access-requests/${request?.id}`, {
      method: "POST",
      headers: { authorization: `Bearer ${appliance.token}`, "content-type": "application/json" },
      body: JSON.stringify({ decision: "environment" }),
    });
    await page.getByRole("button", { name: "Save environment" }).click();
    await page.getByRole("button", { name: "Edit default" }).waitFor();
    expect(environment()?.egress.allow).toEqual(["typed.example", "granted.example"]);
  });
}, 600_000);

test("a new environment is added with its network, and a URL is checked against it", async () => {
  await visit(async ({ page }) => {
    await page.goto(`${appliance.url}/settings`);
    await page.getByRole("button", { name: "Add an environment" }).click();
    await page.getByLabel("Name", { exact: true }).fill("strict");
    await page.getByLabel("Custom").check();
    await page.getByLabel("Rules: what may be reached", { exact: true }).fill("docs.example path=/v1");
    await page.getByRole("button", { name: "Add environment" }).click();
    const check = page.locator(".check");
    await check.getByLabel("Environment").selectOption("strict");
    await check.getByLabel("URL").fill("docs.example/v1/x");
    await page.keyboard.press("Enter");
    await check.getByText("It would pass").waitFor();
    await check.getByLabel("URL").fill("https://docs.example/v2");
    await check.getByRole("button", { name: "Check" }).click();
    await check.getByText("It would be refused").waitFor();
    expect(await check.locator(".steps li").count()).toBeGreaterThan(2);
    expect(await check.textContent()).toContain("path");
  }, 390);
}, 600_000);
