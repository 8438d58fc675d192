import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { maxFailures } from "../domain/schedule.ts";
import { createAgenda, happens, tasksOf } from "./schedules.fixture.ts";
import { changeSchedule, runSchedule } from "./schedules.ts";

let open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const agenda of open) await agenda.close();
  open = [];
});
function agendaAt(start: string, path?: string) {
  const agenda = createAgenda(start, path);
  open.push(agenda);
  return agenda;
}
const cancelAll = ({ store }: ReturnType<typeof createAgenda>) => {
  for (const { id, state } of tasksOf(store))
    if (state.kind === "queued") store.tasks.move(id, { kind: "cancelled", by: "ada" });
};
const reasonsOf = (
  agenda: ReturnType<typeof createAgenda>,
  id: Parameters<typeof agenda.store.schedules.runs>[0],
) => agenda.store.schedules.runs(id, 50).map(({ outcome }) => outcome);

test("a time that comes makes one task, in the name of its person, and says where it is from", async () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const { id } = agenda.add();
  agenda.startClock();
  expect(await happens(() => tasksOf(agenda.store).length > 0)).toBe(false);
  agenda.at("2026-11-21T03:00:00Z");
  await until("it is so", () => tasksOf(agenda.store).length === 1);
  const [task] = tasksOf(agenda.store);
  expect(task).toMatchObject({ title: "Update the dependencies", person: { name: "ada" } });
  if (task === undefined) throw new Error("no task");
  const [notice] = agenda.store.events.ofKinds(task.id, ["appliance_notice"]);
  expect(notice?.body).toMatchObject({ text: "Started by the schedule “nightly”." });
  expect(agenda.store.schedules.get(id)?.nextAt).toBe(Date.parse("2026-11-22T03:00:00Z"));
  expect(await happens(() => tasksOf(agenda.store).length > 1)).toBe(false);
});

test("two servers on one database, or one that died in between, make one task of one time", async () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const { id } = agenda.add();
  agenda.startClock();
  agenda.startClock();
  agenda.at("2026-11-21T03:00:00Z");
  await until("it is so", () => tasksOf(agenda.store).length === 1);
  // As if the row had not been moved on.
  agenda.store.schedules.update(id, { nextAt: Date.parse("2026-11-21T03:00:00Z") });
  cancelAll(agenda);
  expect(await happens(() => tasksOf(agenda.store).length > 1)).toBe(false);
  expect(agenda.store.schedules.get(id)?.nextAt).toBe(Date.parse("2026-11-22T03:00:00Z"));
});

test("times missed while the appliance was away: none is made up for, or one for all, as the schedule says", async () => {
  const agenda = agendaAt("2026-11-10T12:00:00Z");
  const skips = agenda.add({ name: "skips", missed: "skip" });
  const runs = agenda.add({ name: "runs", missed: "run" });
  agenda.at("2026-11-21T12:00:00Z");
  agenda.startClock();
  const next = Date.parse("2026-11-22T03:00:00Z");
  const { schedules } = agenda.store;
  await until("it is so", () => [skips, runs].every(({ id }) => schedules.get(id)?.nextAt === next));
  expect(tasksOf(agenda.store)).toHaveLength(1);
  expect(reasonsOf(agenda, skips.id)).toMatchObject([{ kind: "skipped" }]);
  expect(reasonsOf(agenda, runs.id)).toMatchObject([{ kind: "task" }]);
});

test("a clock that was ahead and is set back runs what lies ahead again, and nothing twice", async () => {
  const agenda = agendaAt("2026-11-21T02:59:59Z");
  const { id } = agenda.add({
    time: { kind: "cron", expression: "0 * * * *", zone: "UTC" },
    overlap: "allow",
  });
  agenda.startClock();
  agenda.at("2026-11-21T03:00:01Z");
  await until("it is so", () => tasksOf(agenda.store).length === 1);
  agenda.at("2031-01-01T00:30:00Z");
  await until(
    "it is so",
    () => (agenda.store.schedules.get(id)?.nextAt ?? 0) > Date.parse("2031-01-01T00:30:00Z"),
  );
  agenda.at("2026-11-21T02:30:00Z");
  await until(
    "it is so",
    () => agenda.store.schedules.get(id)?.nextAt === Date.parse("2026-11-21T03:00:00Z"),
  );
  agenda.at("2026-11-21T03:00:05Z");
  await until(
    "it is so",
    () => agenda.store.schedules.get(id)?.nextAt === Date.parse("2026-11-21T04:00:00Z"),
  );
  expect(tasksOf(agenda.store)).toHaveLength(1);
  agenda.at("2026-11-21T04:00:05Z");
  await until("it is so", () => tasksOf(agenda.store).length === 2);
});

test("a time is skipped while the last task is at work, unless the schedule allows it", async () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const { id } = agenda.add({ time: { kind: "cron", expression: "0 * * * *", zone: "UTC" } });
  agenda.startClock();
  agenda.at("2026-11-21T03:00:00Z");
  await until("it is so", () => tasksOf(agenda.store).length === 1);
  agenda.at("2026-11-21T04:00:00Z");
  await until("it is so", () => reasonsOf(agenda, id)[0]?.kind === "skipped");
  cancelAll(agenda);
  agenda.at("2026-11-21T05:00:00Z");
  await until("it is so", () => tasksOf(agenda.store).length === 2);
  changeSchedule(agenda.context, id, agenda.person, { overlap: "allow" });
  agenda.at("2026-11-21T06:00:00Z");
  await until("it is so", () => tasksOf(agenda.store).length === 3);
});

test("a branch that is gone is told on the schedule, which is paused after failures in a row, and mended by a change", async () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const { id } = agenda.add({ time: { kind: "cron", expression: "0 * * * *", zone: "UTC" } });
  agenda.forge.branches = ["trunk"];
  const { notifications } = agenda.store;
  const channel = { kind: "email", address: "ada@example.com" } as const;
  notifications.addChannel(agenda.person.id, channel, ["schedule_paused"]);
  agenda.startClock();
  for (let hour = 3; hour < 3 + maxFailures; hour++) {
    agenda.at(`2026-11-21T0${hour}:00:00Z`);
    await until("it is so", () => reasonsOf(agenda, id).length === hour - 2);
  }
  const paused = agenda.store.schedules.get(id);
  expect(paused).toMatchObject({ enabled: false, nextAt: undefined, failures: maxFailures });
  expect(paused?.lastError).toContain("has no branch main");
  expect(paused?.lastError).toContain("paused after 5 failures");
  expect(agenda.forge.asked).toBe(maxFailures);
  expect(notifications.log(agenda.person.id, 10)).toMatchObject([
    {
      ...{ kind: "schedule_paused", title: "nightly", taskId: undefined, state: "pending" },
      reason: expect.stringContaining("paused after 5 failures"),
    },
  ]);

  agenda.forge.branches = ["main"];
  const resumed = changeSchedule(agenda.context, id, agenda.person, { enabled: true });
  expect(resumed).toMatchObject({ enabled: true, failures: 0, lastError: "" });
  expect(resumed.nextAt).toBe(Date.parse("2026-11-21T08:00:00Z"));
});

test("a forge that is away for a while costs no run", async () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const { id } = agenda.add();
  agenda.forge.away = true;
  agenda.startClock();
  agenda.at("2026-11-21T03:00:00Z");
  await until("it is so", () => agenda.store.schedules.get(id)?.lastError.includes("tried again") === true);
  // Longer than what counts as missed.
  agenda.at("2026-11-21T03:20:00Z");
  agenda.forge.away = false;
  await until("it is so", () => tasksOf(agenda.store).length === 1);
  expect(agenda.store.schedules.get(id)).toMatchObject({ failures: 0, lastError: "" });
});

test("a forge that stays away is a failure in the end, and no loop", async () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const { id } = agenda.add();
  agenda.forge.away = true;
  agenda.startClock();
  agenda.at("2026-11-21T03:00:00Z");
  await until("it is so", () => agenda.store.schedules.get(id)?.lastError.includes("tried again") === true);
  agenda.at("2026-11-21T03:40:00Z");
  await until("it is so", () => reasonsOf(agenda, id)[0]?.kind === "failed");
  expect(agenda.forge.asked).toBeLessThan(10);
});

test("a one-off time runs once; a paused schedule not at all, but by hand", async () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const once = agenda.add({ name: "once", time: { kind: "once", at: Date.parse("2026-11-21T03:00:00Z") } });
  const paused = agenda.add({ name: "paused" });
  changeSchedule(agenda.context, paused.id, agenda.person, { enabled: false });
  agenda.startClock();
  agenda.at("2026-11-21T03:00:00Z");
  await until("it is so", () => tasksOf(agenda.store).length === 1);
  expect(agenda.store.schedules.get(once.id)?.nextAt).toBeUndefined();
  await runSchedule(agenda.context, paused.id);
  expect(tasksOf(agenda.store)).toHaveLength(2);
});

test("whoever changes what is submitted is the one in whose name it is submitted", () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  const { id, task } = agenda.add();
  const eve = agenda.store.people.ensure("eve");
  expect(changeSchedule(agenda.context, id, eve, { missed: "run" }).person.name).toBe("ada");
  expect(changeSchedule(agenda.context, id, eve, { task: { ...task, prompt: "Else" } }).person.name).toBe(
    "eve",
  );
});

test("names are one schedule's, in whatever case", () => {
  const agenda = agendaAt("2026-11-21T02:59:00Z");
  agenda.add();
  expect(() => agenda.add({ name: "Nightly" })).toThrow("already");
});
