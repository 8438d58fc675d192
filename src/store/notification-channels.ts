import { and, eq } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import type { NotificationChannel } from "../domain/notification.ts";
import { channelSettingsSchema, shownTarget } from "../domain/notification-channel.ts";
import type { NotificationStore } from "../domain/store/notifications.ts";
import type { StoreContext } from "./context.ts";
import { notificationChannels as channels, notifications } from "./schema/notifications.ts";

const maxChannels = 20;

/** Where people are told; the settings of each are sealed. */
export function createChannelStore({
  db,
  seal,
  ids,
}: StoreContext): Pick<
  NotificationStore,
  "addChannel" | "channels" | "channel" | "settingsOf" | "updateChannel" | "removeChannel"
> {
  const rowOf = (id: number) => db.select().from(channels).where(eq(channels.id, id)).get();
  const existing = (id: number) => {
    const row = rowOf(id);
    if (row === undefined) throw new CcwError("not_found", "There is no such notification channel.");
    return row;
  };

  return {
    addChannel(personId, settings, kinds) {
      const mine = db.select({ id: channels.id }).from(channels).where(eq(channels.personId, personId)).all();
      if (mine.length >= maxChannels) {
        const text = `You have ${maxChannels} notification channels, which is as many as a person may have.`;
        throw new CcwError("conflict", text, "Remove one first.");
      }
      const row = db
        .insert(channels)
        .values({
          personId,
          kind: settings.kind,
          target: shownTarget(settings),
          sealedSettings: seal.seal(JSON.stringify(settings)),
          kinds: [...kinds],
          createdAt: ids.now(),
        })
        .returning()
        .get();
      return channelOf(row);
    },
    channels: (personId) =>
      db
        .select()
        .from(channels)
        .where(eq(channels.personId, personId))
        .orderBy(channels.id)
        .all()
        .map(channelOf),
    channel(id) {
      const row = rowOf(id);
      return row && channelOf(row);
    },
    settingsOf: (id) => channelSettingsSchema.parse(JSON.parse(seal.open(existing(id).sealedSettings))),
    updateChannel(id, { kinds, on, trouble }) {
      existing(id);
      const change = {
        ...(kinds !== undefined && { kinds: [...kinds] }),
        ...(on !== undefined && { on, trouble: trouble ?? "" }),
      };
      if (Object.keys(change).length > 0) db.update(channels).set(change).where(eq(channels.id, id)).run();
      if (on !== false) return;
      db.update(notifications)
        .set({ state: "failed", error: "The channel was switched off.", endedAt: ids.now() })
        .where(and(eq(notifications.channelId, id), eq(notifications.state, "pending")))
        .run();
    },
    removeChannel: (id) =>
      db.delete(channels).where(eq(channels.id, id)).returning({ id: channels.id }).all().length > 0,
  };
}

function channelOf({ sealedSettings: _, ...channel }: typeof channels.$inferSelect): NotificationChannel {
  return channel;
}
