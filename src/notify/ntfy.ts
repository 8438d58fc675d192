import { headlineOf, type NotificationMessage } from "../domain/notification.ts";
import type { NtfySettings } from "../domain/notification-channel.ts";
import type { OutgoingPost } from "./outgoing.ts";

/**
 * Published as JSON to the root of the server, not by headers to the topic: headers carry no UTF-8 everywhere, and a
 * title could break out of one. Fields and levels of priority (1 to 5) are those of ntfy's documentation.
 */
export function ntfyPost({ url, token }: NtfySettings, message: NotificationMessage): OutgoingPost {
  const address = new URL(url);
  const cut = address.pathname.lastIndexOf("/");
  const topic = address.pathname.slice(cut + 1);
  const { tag, priority } = looks[message.kind];
  return {
    url: new URL(address.pathname.slice(0, cut + 1), address.origin),
    headers: {
      "content-type": "application/json",
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({
      topic,
      title: headlineOf(message),
      message: message.reason === "" ? message.url : message.reason,
      tags: [tag],
      priority,
      click: message.url,
    }),
  };
}

/** Tags that ntfy shows as pictures. What waits for a person is more urgent than what can be read later. */
const looks: Record<NotificationMessage["kind"], { tag: string; priority: number }> = {
  done: { tag: "white_check_mark", priority: 3 },
  failed: { tag: "x", priority: 4 },
  question: { tag: "question", priority: 4 },
  paused: { tag: "pause_button", priority: 4 },
  access: { tag: "lock", priority: 4 },
  pull_request: { tag: "twisted_rightwards_arrows", priority: 3 },
  checks_failed: { tag: "warning", priority: 3 },
  schedule_paused: { tag: "calendar", priority: 4 },
  test: { tag: "bell", priority: 3 },
};
