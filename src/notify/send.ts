import type { Send } from "../domain/notification.ts";
import { type MailServer, sendMail } from "./email.ts";
import { ntfyPost } from "./ntfy.ts";
import { deliverByHttp, type PostOut } from "./outgoing.ts";
import { webhookPost } from "./webhook.ts";

/** Every kind of channel by its own way out. */
export function createSend(parts: {
  postOut: PostOut;
  /** Undefined where the operator has set up none. */
  mail: MailServer | undefined;
  now(): number;
}): Send {
  const { postOut, mail, now } = parts;
  return async (settings, message, signal) => {
    switch (settings.kind) {
      case "webhook":
        return deliverByHttp(
          postOut,
          webhookPost(settings, message, now()),
          { now: now(), goneMeansNever: true },
          signal,
        );
      case "ntfy":
        return deliverByHttp(
          postOut,
          ntfyPost(settings, message),
          { now: now(), goneMeansNever: false },
          signal,
        );
      case "email":
        return mail === undefined
          ? { kind: "again", status: 0, error: "No mail server is set up: [smtp] in ccw.toml." }
          : sendMail(mail, settings.address, message, signal);
    }
  };
}
