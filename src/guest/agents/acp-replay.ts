import type { GuestEvent } from "../../domain/event.ts";
import { createAcpTranslator } from "./acp-events.ts";
import type { AcpUpdate } from "./acp-messages.ts";
import { goOn } from "./agent.ts";
import type { Deltas } from "./deltas.ts";
import { type Heard, partOf } from "./heard.ts";

/** A conversation that the agent shows again, as the protocol has it do when a session is loaded. */
export interface AcpReplay {
  take(update: AcpUpdate): void;
  /** All was shown. `lastPrompt`: the last words of a person. `unheard`: what was said since then and not told. */
  end(): { lastPrompt: string; unheard: GuestEvent[] };
}

const maxKept = 64 * 1024;
const silent: Deltas = { add: () => [], flush: () => [], close() {} };

/**
 * `heard` null: everything is known. What is known by no name is not told: it may have been told before. `ours`: words of
 * ours that stand in the person's name, beside those for going on.
 */
export function replayAcp(heard: Heard | null, ours: readonly string[]): AcpReplay {
  const told = new Set(heard?.parts);
  const tellsBlocks = [...told].some(isBlock);
  let knowsBlocks = false;
  let lastPrompt = "";
  let said: { part: string; event: GuestEvent }[] = [];
  let now: { messageId: string; text: string } | undefined;

  const keep = (events: GuestEvent[]) => {
    for (const event of events) {
      const part = partOf(event);
      if (part === undefined) continue;
      if (!told.has(part)) said.push({ part, event });
      else if (isBlock(part)) knowsBlocks = true;
      if (part === heard?.upTo) said = [];
    }
  };
  const translate = createAcpTranslator({ deltas: silent, late: keep });

  const endPrompt = () => {
    const words = ownWords(now?.text ?? "");
    now = undefined;
    if (words === "" || words === goOn || ours.some((each) => each.trim() === words)) return;
    lastPrompt = words;
    said = [];
    translate.begin();
  };

  return {
    take(update) {
      if (update.sessionUpdate === "user_message_chunk") {
        if (now === undefined) keep(translate.end());
        else if (now.messageId !== update.messageId) endPrompt();
        now = {
          messageId: update.messageId,
          text: ((now?.text ?? "") + update.content.text).slice(0, maxKept),
        };
        return;
      }
      // A list of what is to be done has no name: it would be told twice.
      if (update.sessionUpdate === "available_commands_update" || update.sessionUpdate === "plan") return;
      endPrompt();
      const isBlockOfText =
        update.sessionUpdate === "agent_message_chunk" || update.sessionUpdate === "agent_thought_chunk";
      if (isBlockOfText && update.messageId === "") return;
      keep(translate.update(update));
    },
    end() {
      endPrompt();
      keep(translate.end());
      translate.close();
      // Where no block that was told is found again, the agent names them anew each time.
      const isNamed = knowsBlocks || !tellsBlocks;
      const unheard = said.flatMap(({ part, event }) => (isNamed || !isBlock(part) ? [event] : []));
      return { lastPrompt, unheard: heard === null ? [] : unheard };
    },
  };
}

const isBlock = (part: string) => part.startsWith("block ");

/** Without what is said to the agent beside a person's words. */
export const ownWords = (text: string): string =>
  text.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "").trim();
