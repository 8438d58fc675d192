import { afterEach, expect, test } from "bun:test";
import { newGroupSchema } from "../domain/group.ts";
import { newId } from "../domain/ids.ts";
import { keepAttempt, submitGroup } from "./groups.ts";
import { createAgenda, tasksOf } from "./schedules.fixture.ts";

let agenda: ReturnType<typeof createAgenda>;
afterEach(() => agenda.close());

async function submit(change: object = {}) {
  agenda = createAgenda("2026-11-21T12:00:00Z");
  const input = { prompt: "Make it fast", repositories: [{ name: "demo" }], attempts: 3, ...change };
  const group = await submitGroup(agenda.context, agenda.person, newGroupSchema.parse(input));
  return { group, attempts: agenda.store.groups.tasks(group.id) };
}

test("each attempt is a task with a branch of its own and a model in turn", async () => {
  const { group, attempts } = await submit({ models: ["opus", "sonnet"], pullRequest: "draft" });
  expect(attempts.map(({ model, attempt }) => [model, attempt?.number, attempt?.of])).toEqual([
    ["opus", 1, 3],
    ["sonnet", 2, 3],
    ["opus", 3, 3],
  ]);
  expect(new Set(attempts.map(({ repositories }) => repositories[0]?.workBranch)).size).toBe(3);
  expect(attempts.every(({ pullRequest }) => pullRequest === "none")).toBe(true);
  expect(group).toMatchObject({ title: "Make it fast", attempts: 3, kept: undefined });
});

test("all attempts are queued or none", async () => {
  await expect(submit({ repositories: [{ name: "demo", baseBranch: "gone" }] })).rejects.toThrow("no branch");
  expect(tasksOf(agenda.store)).toHaveLength(0);
});

test("the one that is kept goes on and gets the pull request; the others are cancelled, and it stays so", async () => {
  const { group, attempts } = await submit({ pullRequest: "ready" });
  const [first, second, third] = attempts.map(({ id }) => id);
  if (first === undefined || second === undefined || third === undefined)
    throw new Error("attempts are missing");
  const { store, person, context } = agenda;
  const sandboxId = newId("SandboxId", context.ids);
  store.tasks.move(third, { kind: "starting", sandboxId });
  store.sandboxes.create(sandboxId, third);
  keepAttempt(store, group.id, second, person);
  keepAttempt(store, group.id, second, person);
  expect(store.tasks.get(first)).toMatchObject({ state: { kind: "cancelled" }, attempt: { kept: false } });
  expect(store.tasks.get(second)).toMatchObject({
    state: { kind: "queued" },
    pullRequest: "ready",
    attempt: { kept: true },
  });
  // Its run carries the event out.
  expect(store.events.ofKinds(third, ["cancel_requested"]).length).toBeGreaterThan(0);
  expect(() => keepAttempt(store, group.id, first, person)).toThrow("Another attempt is kept");
});

test("each attempt has the files that came along, and another person's are not to be had", async () => {
  agenda = createAgenda("2026-11-21T12:00:00Z");
  const { store, context, person } = agenda;
  const upload = (by: typeof person) => {
    const id = newId("AttachmentId", context.ids);
    store.attachments.add({ id, name: "a.png", mediaType: "image/png", bytes: 3, person: by.id });
    return id;
  };
  const submitWith = (attachments: string[]) =>
    submitGroup(context, person, newGroupSchema.parse({ prompt: "Look", attempts: 3, attachments }));
  await expect(submitWith([upload(store.people.ensure("bob"))])).rejects.toThrow("could be taken");
  expect(tasksOf(store)).toHaveLength(0);

  const file = upload(person);
  const group = await submitWith([file]);
  const attempts = store.groups.tasks(group.id);
  const files = attempts.map(({ id }) => store.prompts.list(id)[0]?.attachments ?? []);
  expect(files.map((each) => each.map(({ name }) => name))).toEqual([["a.png"], ["a.png"], ["a.png"]]);
  const held = files.flat().map(({ id }) => store.attachments.get(id));
  expect(held.map((row) => row?.taskId)).toEqual(attempts.map(({ id }) => id));
  expect(held.map((row) => row?.file)).toEqual([file, file, file]);
  // The bytes stay for as long as one of them is there, whichever goes first.
  expect(files.flat().map(({ id }) => store.attachments.remove(id))).toEqual([undefined, undefined, file]);
});

test("a task of elsewhere cannot be kept", async () => {
  const { group } = await submit();
  const stray = newId("TaskId", agenda.context.ids);
  expect(() => keepAttempt(agenda.store, group.id, stray, agenda.person)).toThrow("not one of these");
});
