import { createHmac } from "node:crypto";
import { headlineOf, type NotificationMessage } from "../domain/notification.ts";
import type { WebhookSettings } from "../domain/notification-channel.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { OutgoingPost } from "./outgoing.ts";

/**
 * A webhook as the Standard Webhooks specification has it: the id stays the same at every try, the time is that of the
 * try, and both are signed together with the body, byte for byte.
 */
export function webhookPost(
  { url, secret }: WebhookSettings,
  message: NotificationMessage,
  now: number,
): OutgoingPost {
  const body = bodyOf(message);
  const seconds = Math.floor(now / 1000);
  return {
    url: new URL(url),
    headers: {
      "content-type": "application/json",
      "webhook-id": message.id,
      "webhook-timestamp": String(seconds),
      "webhook-signature": signatureOf(secret, message.id, seconds, body),
    },
    body,
  };
}

function bodyOf(message: NotificationMessage): string {
  const { kind, at, title, reason, person, taskId, url } = message;
  return JSON.stringify({
    type: kind === "test" ? "test" : `task.${kind}`,
    timestamp: new Date(at).toISOString(),
    data: { headline: headlineOf(message), title: plainLine(title), reason, person, taskId, url },
  });
}

/** HMAC-SHA256 over `id.timestamp.body`; the secret's text behind `whsec_` is the key in base64. */
function signatureOf(secret: string, id: string, seconds: number, body: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}
