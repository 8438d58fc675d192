import { afterEach, expect, test } from "bun:test";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { beginCli } from "../cli/wiring.fixture.ts";
import { CcwError } from "../domain/errors.ts";
import type { Send } from "../domain/notification.ts";
import type { JudgeChannel } from "../domain/notification-channel.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function serve(send?: Send, judgeChannel?: JudgeChannel) {
  const house = startAppServer({ ...(send && { send }), ...(judgeChannel && { judgeChannel }) });
  closers.push(() => house.close());
  const bob = house.store.tokens.create({
    kind: "api",
    name: "b",
    person: house.store.people.ensure("bob").id,
  });
  const call = async (method: string, path: string, body?: unknown, token = house.token) => {
    const response = await fetch(`${house.url}/api/notifications/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text), text };
  };
  return { ...house, bob, call };
}

const hook = { kind: "webhook", url: "https://hooks.example/a-long-and-secret-address" };

test("a webhook's secret is shown once, and no secret or whole address ever again", async () => {
  const { call } = serve();
  const made = await call("POST", "channels", hook);
  expect(made.status).toBe(201);
  expect(made.body.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  await call("POST", "channels", { kind: "ntfy", url: "https://ntfy.example/topic", token: "tk_hidden" });
  const listed = await call("GET", "channels");
  expect(listed.body.channels).toMatchObject([
    { kind: "webhook", target: "https://hooks.example/a-long-and-secret-addre…", on: true },
    { kind: "ntfy", target: "https://ntfy.example/topic" },
  ]);
  expect(listed.text).not.toMatch(/whsec|tk_hidden|secret-address/);
});

test("a channel to an address that nothing is sent to is neither added nor switched on", async () => {
  let closed = false;
  const { call } = serve(undefined, async () => {
    if (closed) throw new CcwError("forbidden", "The appliance sends no notifications there.", "Ask for it.");
  });
  const { id } = (await call("POST", "channels", hook)).body.channel;
  closed = true;
  const added = await call("POST", "channels", hook);
  expect([added.status, added.body.error.hint]).toEqual([403, "Ask for it."]);
  // What it tells can be changed, and it can be switched off.
  expect((await call("PATCH", `channels/${id}`, { kinds: ["done"], on: false })).status).toBe(200);
  expect((await call("PATCH", `channels/${id}`, { on: true })).status).toBe(403);
  expect((await call("GET", "channels")).body.channels).toMatchObject([{ id, on: false, kinds: ["done"] }]);
});

test("nobody sees, changes, tries or removes another person's channel", async () => {
  const { call, bob } = serve();
  const { id } = (await call("POST", "channels", hook)).body.channel;
  expect((await call("GET", "channels", undefined, bob)).body.channels).toEqual([]);
  for (const [method, path, body] of [
    ["PATCH", `channels/${id}`, { on: false }],
    ["DELETE", `channels/${id}`, undefined],
    ["POST", `channels/${id}/test`, undefined],
  ] as const)
    expect((await call(method, path, body, bob)).status).toBe(404);
  await call("POST", `channels/${id}/test`);
  expect((await call("GET", "log", undefined, bob)).body).toEqual([]);
  expect((await call("GET", "log")).body).toMatchObject([{ kind: "test", state: "sent" }]);
  expect((await call("GET", "channels")).body.channels).toMatchObject([{ on: true }]);
});

test("a test says what came of it, stands in the log, and cannot be sent in a row", async () => {
  const { call } = serve(async () => ({ kind: "again", status: 503, error: "It answers 503." }));
  const { id } = (await call("POST", "channels", hook)).body.channel;
  expect((await call("POST", `channels/${id}/test`)).body).toEqual({
    ...{ sent: false, status: 503, error: "It answers 503." },
  });
  expect((await call("POST", `channels/${id}/test`)).status).toBe(429);
  expect((await call("GET", `log?channel=${id}`)).body).toMatchObject([{ state: "failed", status: 503 }]);
});

test("bad channels are refused in words, and a person has a bounded number of them", async () => {
  const { call } = serve();
  for (const [input, words] of [
    [{ kind: "email", address: "a@b.example\nBcc: c@d.example" }, /e-mail address/],
    [{ kind: "webhook", url: "ftp://x" }, /http/],
    [{ kind: "ntfy", url: "https://ntfy.sh/" }, /topic/],
    [{ ...hook, kinds: [] }, /at least one/],
  ] as const) {
    const refused = await call("POST", "channels", input);
    expect(refused.status).toBe(400);
    expect(refused.body.error.message).toMatch(words);
  }
  for (let n = 0; n < 20; n += 1) expect((await call("POST", "channels", hook)).status).toBe(201);
  expect((await call("POST", "channels", hook)).status).toBe(409);
});

test("the command line adds, lists, tries, changes and removes channels", async () => {
  const { dataFolder } = serve();
  const cli = (argv: string, stdin = "") => beginCli(dataFolder, argv.split(" "), stdin).ended;
  expect((await cli("notify add webhook https://hooks.example/x --kinds failed,question")).out).toMatch(
    /^whsec_\S+\n$/,
  );
  expect(await cli("notify add ntfy https://ntfy.example/t --token-file -", "tk_1\n")).toMatchObject({
    ...{ code: 0, out: "" },
  });
  expect((await cli("notify add email ada@example.com --kinds nonsense")).code).not.toBe(0);
  const listed = (await cli("notify list")).out;
  expect(listed).toMatch(/1\s+webhook\s+https:\/\/hooks.example\/x\s+failed question\s+on/);
  expect(listed).not.toMatch(/tk_1/);
  expect((await cli("notify test 2")).out).toBe("It was taken.\n");
  expect((await cli("notify log")).out).toMatch(/2\s+Test: \s*sent\s+1/);
  expect((await cli("notify set 1 --off")).err).toContain("is off");
  expect((await cli("notify remove 1")).code).toBe(0);
  expect((await cli("notify test 1")).err).toContain("no such notification channel");
});
