import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import {
  channelKinds,
  type Delivery,
  type NotificationChannel,
  notificationKinds,
} from "../domain/notification.ts";
import { channelSettingsSchema, webhookSecretSchema } from "../domain/notification-channel.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";

const kindsSchema = z
  .array(z.enum(notificationKinds))
  .min(1, "Choose at least one kind of event.")
  .max(notificationKinds.length);

const channelSchema = z
  .object({
    id: z.number().int(),
    kind: z.enum(channelKinds),
    /** Where it leads, without its secrets: the end of a long address is left out. */
    target: z.string(),
    kinds: z.array(z.enum(notificationKinds)),
    on: z.boolean(),
    /** Why the appliance switched it off; empty where it did not. */
    trouble: z.string(),
    createdAt: z.number(),
  })
  .openapi("NotificationChannel");

const [webhook, email, ntfy] = channelSettingsSchema.options;
const newChannelSchema = z.discriminatedUnion("kind", [
  // A secret is made where none is given.
  webhook.extend({ secret: webhookSecretSchema.optional(), kinds: kindsSchema.optional() }),
  email.extend({ kinds: kindsSchema.optional() }),
  ntfy.extend({ kinds: kindsSchema.optional() }),
]);

const outcomeSchema = z.object({
  sent: z.boolean(),
  /** Of the last answer, HTTP's or SMTP's; 0 where there was none. */
  status: z.number().int(),
  error: z.string(),
});

const deliverySchema = z
  .object({
    id: z.number().int(),
    channelId: z.number().int(),
    taskId: z.string().optional(),
    kind: z.enum([...notificationKinds, "test"]),
    title: z.string(),
    reason: z.string(),
    at: z.number(),
    state: z.enum(["pending", "sent", "failed"]),
    attempts: z.number().int(),
    /** Set on one that is pending. */
    nextAt: z.number().optional(),
    status: z.number().int(),
    error: z.string(),
    endedAt: z.number().optional(),
  })
  .openapi("NotificationDelivery");

const params = z.object({ id: z.coerce.number().int().positive() });
const usualKinds = notificationKinds.filter((kind) => kind !== "pull_request");

/** Everybody has notification channels of their own, and sees nobody else's. */
export function notificationRoutes({ store, ids, notifications, judgeChannel, sendsMail }: HttpContext) {
  const own = (person: { id: string }, id: number): NotificationChannel => {
    const channel = store.notifications.channel(id);
    if (channel === undefined || channel.personId !== person.id)
      throw new CcwError(
        "not_found",
        "You have no such notification channel.",
        "`ccw-server notify list` shows those you have.",
      );
    return channel;
  };

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/notifications/channels",
        summary: "One's own notification channels, without their secrets",
        responses: {
          200: json(
            z.object({
              channels: z.array(channelSchema),
              /** Whether e-mail can be sent at all. */ email: z.boolean(),
            }),
            "Channels",
          ),
          ...failures,
        },
      }),
      (c) => {
        const channels = store.notifications.channels(c.get("person").id).map(channelJson);
        return c.json({ channels, email: sendsMail }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/notifications/channels",
        summary: "Add a notification channel; a webhook's secret is shown this once",
        request: { body: body(newChannelSchema) },
        responses: {
          201: json(z.object({ channel: channelSchema, secret: z.string().optional() }), "The channel"),
          ...failures,
        },
      }),
      async (c) => {
        const { kinds = usualKinds, ...input } = c.req.valid("json");
        if (input.kind === "email" && !sendsMail) {
          throw new CcwError(
            "conflict",
            "This appliance sends no mail: no mail server is set up.",
            "The operator sets one up in ccw.toml: [smtp].",
          );
        }
        const settings =
          input.kind === "webhook"
            ? { ...input, secret: input.secret ?? newSecret(ids.randomBytes(32)) }
            : input;
        await judgeChannel(settings);
        const channel = channelJson(store.notifications.addChannel(c.get("person").id, settings, kinds));
        const made = settings.kind === "webhook" ? { channel, secret: settings.secret } : { channel };
        return c.json(made, 201);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/notifications/channels/{id}",
        summary: "Choose what a channel tells, or switch it on or off",
        request: {
          params,
          body: body(z.object({ kinds: kindsSchema.optional(), on: z.boolean().optional() })),
        },
        responses: { 200: json(channelSchema, "The channel"), ...failures },
      }),
      async (c) => {
        const { id } = own(c.get("person"), c.req.valid("param").id);
        const { kinds, on } = c.req.valid("json");
        if (on) await judgeChannel(store.notifications.settingsOf(id));
        store.notifications.updateChannel(id, { ...(kinds && { kinds }), ...(on !== undefined && { on }) });
        return c.json(channelJson(own(c.get("person"), id)), 200);
      },
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/notifications/channels/{id}",
        summary: "Remove a notification channel and its log",
        request: { params },
        responses: { 204: { description: "Done" }, ...failures },
      }),
      (c) => {
        store.notifications.removeChannel(own(c.get("person"), c.req.valid("param").id).id);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/notifications/channels/{id}/test",
        summary: "Send a test, and say what came of it",
        request: { params },
        responses: { 200: json(outcomeSchema, "What came of it"), ...failures },
      }),
      async (c) => {
        const outcome = await notifications.test(own(c.get("person"), c.req.valid("param").id).id);
        const error = outcome.kind === "sent" ? "" : outcome.error;
        return c.json({ sent: outcome.kind === "sent", status: outcome.status, error }, 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/notifications/log",
        summary: "What was sent to one, or is still to be, newest first; kept for 30 days",
        request: {
          query: z.object({
            limit: z.coerce.number().int().min(1).max(1000).default(50),
            channel: z.coerce.number().int().positive().optional(),
          }),
        },
        responses: { 200: json(z.array(deliverySchema), "Deliveries"), ...failures },
      }),
      (c) => {
        const { limit, channel } = c.req.valid("query");
        return c.json(store.notifications.log(c.get("person").id, limit, channel).map(deliveryJson), 200);
      },
    );
}

const newSecret = (key: Uint8Array): string => `whsec_${Buffer.from(key).toString("base64")}`;

function channelJson({ personId: _, ...channel }: NotificationChannel) {
  return channel;
}

function deliveryJson({ messageId: _, queuedAt: _queuedAt, taskId, nextAt, endedAt, ...delivery }: Delivery) {
  return {
    ...delivery,
    ...(taskId !== undefined && { taskId }),
    ...(delivery.state === "pending" && { nextAt }),
    ...(endedAt !== undefined && { endedAt }),
  };
}
