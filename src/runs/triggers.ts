import { createHash } from "node:crypto";
import { CcwError } from "../domain/errors.ts";
import { isId, type ScheduleId } from "../domain/ids.ts";
import { isSameSecret } from "../domain/same-secret.ts";
import type { Schedule } from "../domain/schedule.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { fenceUntrusted } from "../domain/untrusted.ts";
import { AlreadyRun, existingSchedule, recordFailure, submitScheduled } from "./schedules.ts";
import { existing, type SubmitContext } from "./submit.ts";

const hourMs = 3600 * 1000;
/** How long an idempotency key stands for the task that it made. */
const keyMs = 24 * hourMs;

/** A new token for a schedule's trigger, shown this once; the one before is void. */
export function renewTrigger({ store, ids }: SubmitContext, id: ScheduleId): string {
  existingSchedule(store, id);
  const token = `ccwt_${Buffer.from(ids.randomBytes(30)).toString("base64url")}`;
  store.schedules.setTrigger(id, sha256(token));
  return token;
}

/** The schedule of a trigger. Whoever has not its token is not told whether there is one. */
export function openTrigger(store: Store, id: string, token: string): Schedule {
  const wanted = isId("ScheduleId", id) ? store.schedules.triggerHash(id) : undefined;
  const isIt = isSameSecret(sha256(token), wanted ?? sha256("nobody's"));
  if (wanted === undefined || !isIt) throw new CcwError("not_found", "There is nothing at this address.");
  return existingSchedule(store, id);
}

/** Starts a schedule's task, with what came along in its prompt. One task for one idempotency key, for a day. */
export async function fireTrigger(
  context: SubmitContext,
  schedule: Schedule,
  { payload, idempotencyKey }: { payload: string; idempotencyKey: string | undefined },
): Promise<TaskRow> {
  const { store, ids } = context;
  const { id, triggersPerHour } = schedule;
  const key =
    idempotencyKey === undefined ? `once:${randomHex(context, 16)}` : `key:${sha256(idempotencyKey)}`;
  const made = () => {
    const before = store.schedules.runOf(id, key, ids.now() - keyMs);
    return before?.outcome.kind === "task" ? existing(store, before.outcome.taskId) : undefined;
  };
  const checkRate = () => {
    const now = ids.now();
    if (store.schedules.count(id, "trigger", now - hourMs, now) < triggersPerHour) return;
    throw new CcwError(
      "rate_limited",
      `This trigger has started ${triggersPerHour} tasks within an hour, and starts no more for now.`,
      "Try again later, or allow it more.",
    );
  };

  const before = made();
  if (before !== undefined) return before;
  if (!schedule.enabled) throw new CcwError("conflict", "The schedule is paused.", "A person resumes it.");
  checkRate();
  try {
    const more =
      payload.trim() === ""
        ? undefined
        : fenceUntrusted("with the HTTP request that started this task", payload, randomHex(context, 16));
    const run = { key, cause: "trigger", ...(more !== undefined && { more }) } as const;
    // Again within the transaction: others may have come at the same moment.
    return await submitScheduled(context, schedule, run, checkRate);
  } catch (thrown) {
    const other = thrown instanceof AlreadyRun ? made() : undefined;
    if (other !== undefined) return other;
    if (!(thrown instanceof CcwError) || thrown.code === "conflict" || tryAgain.has(thrown.code))
      throw thrown;
    // Under a key of its own: once it is mended, the same request may start its task.
    recordFailure(store, id, { key: `once:${randomHex(context, 16)}`, cause: "trigger" }, thrown);
    // The names of branches and environments are not for whoever holds this token alone.
    throw new CcwError(
      "conflict",
      "The task cannot be submitted as the schedule has it.",
      "The schedule's page on the appliance says why.",
    );
  }
}

const tryAgain: ReadonlySet<string> = new Set(["rate_limited", "unavailable", "no_space"]);

const randomHex = ({ ids }: SubmitContext, bytes: number): string =>
  Buffer.from(ids.randomBytes(bytes)).toString("hex");

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
