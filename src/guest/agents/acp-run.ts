import type { AcpProgram } from "../../domain/acp-program.ts";
import { messageOf } from "../../domain/errors.ts";
import type { Child } from "../processes.ts";
import { changeIn } from "./acp-changes.ts";
import { namesModel } from "./acp-command.ts";
import { createAcpTranslator } from "./acp-events.ts";
import { formIn } from "./acp-forms.ts";
import { blocksOf } from "./acp-input.ts";
import {
  type AcpUpdate,
  notificationSchema,
  promptAnswerSchema,
  strangeNotificationSchema,
} from "./acp-messages.ts";
import { type AcpSettings, createAcpSettings } from "./acp-offers.ts";
import { createAcpQuestions } from "./acp-questions.ts";
import { writeRecord } from "./acp-record.ts";
import { type AcpSession, openAcpSession } from "./acp-session.ts";
import { createAcpTurns } from "./acp-turns.ts";
import { connectAcp, methods } from "./acp-wire.ts";
import { type AgentRun, type AgentStart, goOn } from "./agent.ts";
import { createDeltas } from "./deltas.ts";
import { driveChild } from "./drive-child.ts";

/** What an agent writes that nobody understands is told so many times; a flood of it is not worth more. */
const maxOdd = 10;
/** The protocol does not say when a conversation is on the disk. */
const settleMs = 400;

/** One process of an agent of the protocol, with one session for all turns. */
export function driveAcp(program: AcpProgram, child: Child, options: AgentStart): AgentRun {
  const { title } = program;
  const { env, cwd, instructions, unfinished } = options;
  let { model, mode } = options;
  const driven = driveChild(child, options);
  const { say } = driven;
  const notice = (text: string, level: "info" | "warning" = "warning") =>
    void say([{ kind: "notice", level, text: text.slice(0, 4000) }]);
  let odd = 0;
  const strange = (text: string) => {
    odd++;
    if (odd <= maxOdd) notice(text);
    if (odd === maxOdd) notice(`More of this kind that ${title} writes is not told.`);
  };

  const deltas = createDeltas((events) => void say(events));
  const translate = createAcpTranslator({
    deltas,
    late: (events) => void say(events),
    worked(call) {
      if (mode !== "plan" || turnMode !== "plan") return;
      const changed = changeIn(cwd, call);
      if (changed !== undefined)
        turns.fail(
          `${title} was stopped: in plan mode, and without asking, it changed ${changed}, which stands as it left it.`,
        );
    },
  });
  const modeIs = (is: typeof mode | undefined) => {
    if (is === undefined || is === mode) return;
    mode = is;
    options.modeChanged(is);
  };
  const questions = createAcpQuestions({
    mode: () => mode,
    planApproved: () => modeIs("act"),
    refusedWith: (message) => turns.alsoSay(message),
  });
  let replaying: ((update: AcpUpdate, sessionId: string) => void) | undefined;
  let settings: AcpSettings | undefined;
  let ownSession: string | undefined;

  const wire = connectAcp(driven.write, {
    async permission(request) {
      if (request.sessionId !== ownSession) return { outcome: { outcome: "cancelled" } };
      const { call, events } = translate.asked(request.toolCall);
      const asked = questions.ask(request, call);
      void say([...events, ...asked.events]);
      return asked.answer;
    },
    async form(params, withdrawn) {
      const form = formIn(params);
      // Nobody would close what is asked outside of a turn.
      if (form.sessionId !== ownSession || !turns.isRunning) return { action: "cancel" };
      if (form.kind === "unfit") {
        strange(`${title} wanted to ask something that cannot be asked here, and was told no: ${form.why}.`);
        return { action: "decline" };
      }
      const asked = questions.askForm(form);
      withdrawn.addEventListener("abort", () => void say(asked.withdraw()));
      void say([...translate.asked({ toolCallId: form.toolCallId }).events, ...asked.events]);
      return asked.answer;
    },
    async update(params) {
      const known = notificationSchema.safeParse(params);
      if (!known.success) {
        const raw = strangeNotificationSchema.safeParse(params);
        if (!raw.success) strange(`${title} wrote an update that is none.`);
        else
          strange(
            `${title} wrote an update that is not known here: ${raw.data.update.sessionUpdate.slice(0, 100)}.`,
          );
        return;
      }
      const { sessionId, update } = known.data;
      if (replaying !== undefined) return replaying(update, sessionId);
      // Agents that this one has called have sessions of their own; what they find out, it says.
      if (ownSession !== undefined && sessionId !== ownSession) return;
      if (update.sessionUpdate === "current_mode_update") modeIs(settings?.modeIs(update.currentModeId));
      if (update.sessionUpdate === "config_option_update") modeIs(settings?.optionsAre(update.configOptions));
      await say(translate.update(update));
    },
    odd: (text) => strange(`${title} wrote ${text}.`),
  });

  const session: Promise<AcpSession> = open();
  session.catch((thrown) => {
    notice(`${title} could not begin: ${messageOf(thrown)}`);
    void say([]).finally(() => driven.endNow());
  });

  async function open(): Promise<AcpSession> {
    const opened = await openAcpSession(wire, {
      ...{ title, cwd, env, instructions, unfinished, notice },
      replay(listen) {
        replaying = listen;
      },
    });
    void say(opened.unheard);
    also = opened.before?.last.also ?? "";
    ownSession = opened.id;
    settings = createAcpSettings(wire, { title, sessionId: opened.id, offers: opened.offers });
    if (opened.isFresh) writeRecord(env, { sessionId: opened.id });
    await settle(settings.setMode(mode));
    if (model !== "" && !namesModel(program)) await settle(settings.setModel(model));
    return opened;
  }

  async function settle(change: Promise<string | undefined>): Promise<void> {
    const words = await change.catch((thrown) => `${title} did not take the change: ${messageOf(thrown)}`);
    if (words !== undefined) notice(words);
  }

  let isFirst = true;
  let turnMode = mode;
  let also = "";
  const turns = createAcpTurns({
    title,
    say: (events) => void say(events),
    async inputFor(prompt) {
      const { before } = await session;
      if (before === undefined || before.last.key !== prompt.key || !isFirst)
        return { kind: "give", input: { kind: "prompt", prompt } };
      if (before.last.state === "answered") return { kind: "answered" };
      if (before.prompt === "held") return { kind: "give", input: { kind: "words", text: goOn } };
      if (before.prompt === "lost") return { kind: "give", input: { kind: "prompt", prompt } };
      const text = `You were cut off, maybe before you had read this. Where you have begun with it already, go on from where you left off:\n\n${prompt.text}`;
      return { kind: "give", input: { kind: "prompt", prompt: { ...prompt, text } } };
    },
    async give(input, prompt) {
      const opened = await session;
      const blocks = blocksOf(input, opened, isFirst ? instructions : undefined, mode);
      isFirst = false;
      turnMode = mode;
      translate.begin();
      const { key, text } = prompt;
      if (input.kind === "prompt") also = "";
      else if (input.text !== goOn) also = input.text;
      const remember = (state: "given" | "answered", reply: string) =>
        writeRecord(env, { sessionId: opened.id, last: { key, state, text, reply, also } });
      remember("given", "");
      const params = { sessionId: opened.id, prompt: blocks };
      const answer = await wire.request(methods.agent.session.prompt, params, promptAnswerSchema);
      remember(answer.stopReason === "cancelled" ? "given" : "answered", translate.lastWords);
      return answer;
    },
    cancel() {
      if (ownSession !== undefined) wire.notify(methods.agent.session.cancel, { sessionId: ownSession });
      void say(questions.cancelAll());
    },
    end() {
      const events = [...translate.end(), ...questions.cancelAll()];
      return { events, lastWords: translate.lastWords };
    },
    stuck: driven.endNow,
    isGone: () => wire.isClosed,
  });

  const finished = driven
    .read(wire.take, () => {
      wire.close();
      return [...translate.end(), ...questions.cancelAll()];
    })
    .finally(() => {
      deltas.close();
      translate.close();
    });

  return {
    prompt: turns.opened,
    now: turns.joined,
    setModel(name) {
      model = name;
      if (settings !== undefined) void settle(settings.setModel(name));
    },
    setMode(to) {
      mode = to;
      if (settings !== undefined) void settle(settings.setMode(to));
    },
    async settled() {
      if (program.conversation.length > 0) await Bun.sleep(settleMs);
    },
    async answer(requestId, answer) {
      await say(questions.answer(requestId, answer));
    },
    interrupt: turns.interrupt,
    async kill() {
      await driven.end();
      return finished;
    },
    exited: finished,
  };
}
