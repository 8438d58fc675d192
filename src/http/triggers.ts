import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { CcwError } from "../domain/errors.ts";
import { maxPayloadBytes, type Schedule } from "../domain/schedule.ts";
import { fireTrigger, openTrigger } from "../runs/triggers.ts";
import type { HttpContext } from "./context.ts";

const maxKey = 255;

/**
 * Where programs start a schedule's task: `POST /triggers/{id}` with `Authorization: Bearer TOKEN`, a text or JSON of up
 * to 64 KiB, and an `Idempotency-Key` where one likes. Answers 202 with the task. The token opens nothing else, and
 * without it the address looks like any other that does not exist.
 */
export function triggerRoutes(context: HttpContext) {
  const { store, publicUrl } = context;
  const tooLarge = () => {
    throw new CcwError("too_large", `The payload is over ${maxPayloadBytes / 1024} KiB.`);
  };
  const opened = createMiddleware<{ Variables: { schedule: Schedule } }>(async (c, next) => {
    const token = c.req.header("authorization")?.match(/^Bearer +(\S+) *$/i)?.[1] ?? "";
    c.set("schedule", openTrigger(store, c.req.param("id") ?? "", token));
    await next();
  });
  return new Hono().post(
    "/:id",
    opened,
    bodyLimit({ maxSize: maxPayloadBytes, onError: tooLarge }),
    async (c) => {
      const idempotencyKey = c.req.header("idempotency-key");
      if (idempotencyKey !== undefined && (idempotencyKey === "" || idempotencyKey.length > maxKey)) {
        throw new CcwError("invalid", `An Idempotency-Key has 1 to ${maxKey} characters.`);
      }
      const payload = textOf(await c.req.arrayBuffer());
      const { id, title, state } = await fireTrigger(context, c.get("schedule"), { payload, idempotencyKey });
      return c.json({ id, title, state: state.kind, url: `${publicUrl()}/tasks/${id}` }, 202);
    },
  );
}

function textOf(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CcwError("invalid", "The payload is not UTF-8 text.", "Send text or JSON.", { cause });
  }
}
