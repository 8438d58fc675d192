import { afterEach, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { startAppServer } from "../../test/fixtures/app-server.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const payload = JSON.stringify({ action: "completed", repository: { full_name: "Acme/Widget" } });

async function serve(kind: "github" | "gitlab" | "gitea" = "github") {
  const house = startAppServer({ branches: {} });
  closers.push(() => house.close());
  const { store, url, token } = house;
  store.forges.save(
    { name: "work", kind, url: "https://forge.test", apiUrl: "https://forge.test/api" },
    { kind: "none" },
  );
  const made = await fetch(`${url}/api/forges/work/webhook`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  const hook = (await made.json()) as { url: string; secret: string };
  const send = async (headers: Record<string, string>, body = payload, to = hook.url) =>
    (await fetch(to, { method: "POST", body, headers })).status;
  const signed = (body = payload, secret = hook.secret) => ({
    "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
  });
  return { ...house, hook, send, signed };
}

test("a message that is signed with the forge's secret has its pull requests looked at", async () => {
  const { store, ids, hook, send, signed, url, changed } = await serve();
  expect(hook.url).toBe(`${url}/webhooks/work`);
  store.repositories.add({
    ...{ kind: "remote", name: "forge.test/acme/widget", forge: "work", path: "acme/widget" },
    ...{ cloneUrl: "https://forge.test/acme/widget.git", webUrl: "", defaultBranch: "main" },
    ...{ push: { force: false, delete: false }, createdAt: ids.now() },
  });
  expect(await send(signed())).toBe(204);
  expect(changed).toEqual(["forge.test/acme/widget"]);
  const form = `payload=${encodeURIComponent(payload)}`;
  expect(await send(signed(form), form)).toBe(204);
  expect(changed).toHaveLength(2);
  const other = JSON.stringify({ repository: { full_name: "acme/other" } });
  expect(await send(signed(other), other)).toBe(204);
  expect(changed).toHaveLength(2);
});

test("ATTACKS 57: a message without the secret, with another or for no forge is 401, and nothing is looked at", async () => {
  const { send, signed, hook, url, changed } = await serve();
  for (const headers of [
    {},
    { "x-hub-signature-256": "" },
    { "x-hub-signature-256": "sha256=" },
    { "x-gitlab-token": hook.secret },
    signed(payload, "another"),
    signed(`${payload} `),
  ])
    expect(await send(headers)).toBe(401);
  expect(await send(signed(), payload, `${url}/webhooks/none`)).toBe(401);
  expect(await send(signed(), payload, `${url}/webhooks/%2e%2e`)).not.toBe(204);
  expect(changed).toEqual([]);
});

test("what is signed and says nothing that is understood is taken and dropped", async () => {
  const { send, signed, changed } = await serve();
  for (const body of ["", "[]", "{", '{"zen":"Anything added dilutes everything else."}', "payload=%zz"])
    expect(await send(signed(body), body)).toBe(202);
  expect(changed).toEqual([]);
});

test("GitLab sends the secret itself", async () => {
  const { send, hook, signed } = await serve("gitlab");
  const body = JSON.stringify({ object_kind: "note", project: { path_with_namespace: "acme/widget" } });
  expect(await send({ "x-gitlab-token": hook.secret }, body)).toBe(204);
  expect(await send(signed(body), body)).toBe(401);
});

test("a new secret voids the one before, and goes with its forge", async () => {
  const { store, url, token, send, signed } = await serve();
  const headers = { authorization: `Bearer ${token}` };
  await fetch(`${url}/api/forges/work/webhook`, { method: "POST", headers });
  expect(await send(signed())).toBe(401);
  await fetch(`${url}/api/forges/work`, { method: "DELETE", headers });
  expect(store.settings.get("webhook:work")).toBeUndefined();
  expect((await fetch(`${url}/api/forges/work/webhook`, { method: "POST", headers })).status).toBe(404);
});
