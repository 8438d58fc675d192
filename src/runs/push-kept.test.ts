import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import type { GitEndpoint } from "../domain/git-server.ts";
import type { KeptWork } from "../domain/ports.ts";
import { keptRepository } from "../domain/session.ts";
import {
  closeHouses,
  createHouse,
  finished,
  openPrompt,
  sandboxOf,
  say,
  started,
  stateOf,
  submit,
  turnEnded,
} from "./house.fixture.ts";
import { pushKeptWork } from "./push-kept.ts";
import { createGitPort } from "./session.ts";

afterEach(closeHouses);

const name = "git.example/acme/widget";
const endpoint: GitEndpoint = {
  serve: () => Promise.reject(new Error("is not asked here")),
  isSymbolicRef: async () => false,
};

/** A task on a hosted repository and a remote one, in its sandbox. */
async function world() {
  const { store, scheduler } = createHouse();
  const common = { defaultBranch: "main", push: { force: false, delete: false }, createdAt: 0 };
  store.forges.save({ name: "work", kind: "git", url: "https://git.example", apiUrl: "" }, { kind: "none" });
  store.repositories.add({ kind: "hosted", name: "demo", ...common });
  const remote = { forge: "work", path: "acme/widget", cloneUrl: `https://${name}.git`, webUrl: "" };
  store.repositories.add({ kind: "remote", name, ...common, ...remote });
  const id = submit(store, {}, ["demo", name]);
  await scheduler.start();
  return { store, id, sandbox: await sandboxOf(store, id) };
}

test("a sandbox reaches the place for its own remote repository's work, by its own branch, until its task is over", async () => {
  const { store, id, sandbox } = await world();
  const asked: unknown[] = [];
  const port = createGitPort({
    store,
    host: { endpointOf: () => endpoint },
    kept: {
      endpointOf: (...args) => {
        asked.push(args);
        return endpoint;
      },
    },
    snapshots: {
      endpointOf: () => {
        throw new Error("not asked for");
      },
    },
    lfs: () => undefined,
  });
  expect(port.grantFor(sandbox, keptRepository(1))).toMatchObject({
    name: keptRepository(1),
    right: { kind: "branch", branch: "claude/t", delete: false },
  });
  expect(asked).toEqual([[id, name, `/mirrors/${name}`]]);
  for (const other of [0, 2, -1]) expect(port.grantFor(sandbox, keptRepository(other))).toBeUndefined();
  store.tasks.move(id, { kind: "cancelled", by: "ada" });
  expect(port.grantFor(sandbox, keptRepository(1))).toBeUndefined();
});

test("a person has it pushed once the task is over; what is not taken is tried again", async () => {
  const { store, id, sandbox } = await world();
  const ada = store.people.ensure("ada");
  let answers: (string | undefined)[] = [undefined, "0123456789abcdef"];
  const kept: Pick<KeptWork, "push"> = { push: async () => answers.shift() };
  await expect(pushKeptWork({ store, kept }, id, ada, {})).rejects.toMatchObject({ code: "conflict" });
  const promptId = await openPrompt(store, sandbox);
  say(store, sandbox, started, { kind: "turn_started", promptId }, turnEnded(promptId));
  await until("finishing", () => stateOf(store, id)?.kind === "finishing");
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
  expect(await pushKeptWork({ store, kept }, id, ada, {})).toEqual([
    { repository: name, branch: "claude/t", commit: "0123456789abcdef" },
  ]);
  expect(store.events.last(id, "kept_pushed")?.body).toMatchObject({
    person: "ada",
    branch: "claude/t",
    own: true,
  });
  answers = [];
  await expect(pushKeptWork({ store, kept }, id, ada, {})).rejects.toThrow("No work of this task waits");
});
