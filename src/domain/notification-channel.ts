import { z } from "zod";
import { cut } from "./text-line.ts";

const webAddress = z
  .string()
  .max(2000)
  .refine((text) => {
    const url = URL.parse(text);
    return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
  }, "That is not an http or https address without a name and password in it.");

const headerToken = z
  .string()
  .min(1)
  .max(1000)
  .regex(/^[\x21-\x7e]+$/, "The token has characters that no HTTP header takes.");

export const webhookSecretSchema = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, "A secret is whsec_ and 24 to 64 bytes in base64.");

/** Where a channel leads, with its secrets: sealed in the database, and shown to nobody again. */
export const channelSettingsSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("webhook"),
    url: webAddress,
    secret: webhookSecretSchema,
  }),
  z.object({
    kind: z.literal("email"),
    address: z.email("That is not an e-mail address.").max(254),
  }),
  z.object({
    kind: z.literal("ntfy"),
    /** The topic's own address: `https://ntfy.example/topic`. */
    url: webAddress.refine(
      (text) =>
        /^\/(?:[^/]+\/)*[-_A-Za-z0-9]{1,64}$/.test(URL.parse(text)?.pathname ?? "") && !/[?#]/.test(text),
      "That is not the address of an ntfy topic, such as https://ntfy.sh/my-topic.",
    ),
    token: headerToken.or(z.literal("")).default(""),
  }),
]);
export type ChannelSettings = z.infer<typeof channelSettingsSchema>;
export type WebhookSettings = Extract<ChannelSettings, { kind: "webhook" }>;
export type NtfySettings = Extract<ChannelSettings, { kind: "ntfy" }>;

/** By the rule that sending goes by: rejects with `forbidden` where the address is one that nothing is sent to. */
export type JudgeChannel = (settings: ChannelSettings) => Promise<void>;

/** Addresses of webhooks and topics are half a secret: the end of a long one is left out. */
export function shownTarget(settings: ChannelSettings): string {
  if (settings.kind === "email") return settings.address;
  const { origin, pathname } = new URL(settings.url);
  return `${origin}${cut(pathname, 24)}`;
}
