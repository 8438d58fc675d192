import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createTeleportWorld, type TeleportWorld } from "../../test/fixtures/teleport-world.ts";
import { createTeleportRepositories } from "../forge/teleports.ts";
import { openHandover } from "./handover.ts";
import { expireTickets, teleportTicket } from "./teleport.ts";

let task: TeleportWorld;
beforeAll(async () => {
  task = await createTeleportWorld();
});
afterAll(() => task.close());

const tokenOf = (url: string) => url.split("/").at(-1) ?? "";

test("what a ticket left behind goes when its time is over, and with it what a hand-over sent that became no task", async () => {
  const { server, world } = task;
  const { store } = server;
  const { url } = await task.link();
  const kept = await task.link();
  const folder = join(world.folder, "teleports");
  expect(readdirSync(folder)).toHaveLength(2);
  const ticket = store.tickets.find(tokenOf(url));
  const person = store.people.ensure("ada");
  const host = { branches: async () => [], objectsOf: async () => world.hosted };
  const context = { store, host, snapshots: world.snapshots, ids: server.ids };
  const { secret } = openHandover(context, person, { environment: "default", model: "" });
  const handover = store.tickets.find(secret);
  if (ticket === undefined || handover === undefined) throw new Error("no ticket");
  await world.take(handover.taskId, { "a.txt": "a\n" });
  expect(world.snapshots.tasks()).toContain(handover.taskId);
  for (const { id } of [ticket, handover]) store.tickets.update(id, { expiresAt: server.ids.now() });
  const teleports = createTeleportRepositories({ folder, git: { serve: never, isSymbolicRef: never } });
  await expireTickets({ store, snapshots: world.snapshots, teleports });
  expect(world.snapshots.tasks()).toEqual([task.taskId]);
  expect(existsSync(join(folder, ticket.id))).toBe(false);
  expect(readdirSync(folder)).toHaveLength(1);
  expect(teleportTicket(store, tokenOf(url))).toBeUndefined();
  expect(teleportTicket(store, tokenOf(kept.url))).toBeDefined();
  expect(teleportTicket(store, secret)).toBeUndefined();
});
const never = () => Promise.reject(new Error("not in this test"));

test("nobody piles up tickets", async () => {
  const { server } = task;
  for (let more = true; more; ) {
    const made = await fetch(`${server.url}/api/handovers`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
      body: "{}",
    });
    more = made.status === 201;
    if (!more) expect(made.status).toBe(429);
  }
});
