import { existsSync } from "node:fs";
import { z } from "zod";
import { CcwError, messageOf } from "../../domain/errors.ts";
import type { AgentMode } from "../../domain/task.ts";
import type { Child } from "../processes.ts";
import { cutText } from "../text.ts";
import type { Agent, AgentPrompt, AgentRun, AgentStart } from "./agent.ts";
import { codexArguments, codexEnvironment, codexVariables } from "./codex-command.ts";
import {
  codexHome,
  conversationOf,
  keepThread,
  keptThread,
  rolloutEnds,
  rolloutHolds,
} from "./codex-conversation.ts";
import { createCodexTranslator } from "./codex-events.ts";
import {
  type CodexNotification,
  notificationSchema,
  threadSchema,
  turnsSchema,
  userInputSchema,
} from "./codex-messages.ts";
import { createCodexQuestions } from "./codex-questions.ts";
import { createCodexTurns, type TurnInput } from "./codex-turns.ts";
import { createDeltas } from "./deltas.ts";
import { driveChild } from "./drive-child.ts";
import { createJsonRpc, type Incoming } from "./json-rpc.ts";

const settleMs = 1000;
/** Turns that are looked through for a prompt which an earlier process had; nothing is given again later than that. */
const recentTurns = 20;

/**
 * OpenAI's Codex, driven by `codex app-server`: JSON-RPC on standard input and output, a thread for the conversation, a
 * turn for each prompt. Unlike `codex exec` it can be steered and interrupted in the middle of a turn, asks people, and
 * keeps one process for all turns.
 */
export function createCodex(command = "codex"): Agent {
  return {
    title: "Codex",
    asksWith: "request_user_input",
    variables: codexVariables,
    start(options) {
      let child: Child;
      try {
        child = options.processes.spawn([command, ...codexArguments(options)], {
          cwd: options.cwd,
          env: codexEnvironment(options.env),
        });
      } catch (thrown) {
        throw new CcwError(
          "not_found",
          `The sandbox's image has no Codex that can be started: ${messageOf(thrown)}.`,
          "Use the built-in image `slim-codex`, or an image with `codex` of @openai/codex on its PATH.",
        );
      }
      return drive(child, options);
    },
    conversation: ({ env }) => conversationOf(env),
    conversationHome: ({ env }) => codexHome(env),
    // The file beside the conversation says which it is.
    adoptConversation() {},
    holdsPrompt: ({ env }, key) => rolloutHolds(env, key),
  };
}

function drive(child: Child, options: AgentStart): AgentRun {
  const { env } = options;
  let { model, mode } = options;

  const driven = driveChild(child, options);
  const { say } = driven;
  const notice = (text: string, level: "info" | "warning" = "warning") =>
    void say([{ kind: "notice", level, text }]);

  const rpc = createJsonRpc(driven.write);
  const deltas = createDeltas((events) => void say(events));
  const translate = createCodexTranslator();
  const questions = createCodexQuestions(rpc.answer);
  let lastTurn: { threadId: string; turnId: string } | undefined;
  let resumed = false;
  let ownThread: string | undefined;

  const thread = openThread();
  thread.catch((thrown) => {
    notice(`Codex could not open the conversation: ${messageOf(thrown)}`);
    driven.endNow();
  });

  async function openThread(): Promise<{ id: string; model: string }> {
    const clientInfo = { name: "ccw-server", title: "ccw-server", version: "1" };
    const capabilities = { experimentalApi: true, requestAttestation: false };
    await rpc.request("initialize", { clientInfo, capabilities }, z.unknown());
    rpc.notify("initialized");
    const settings = {
      ...{ cwd: options.cwd, approvalPolicy: "never", sandbox: "danger-full-access" },
      developerInstructions: options.instructions,
      ...(model !== "" && { model }),
    };
    const kept = keptThread(env);
    if (kept !== undefined) {
      const params = { ...settings, threadId: kept, excludeTurns: true };
      const opened = await rpc.request("thread/resume", params, threadSchema);
      resumed = true;
      ownThread = opened.thread.id;
      return { id: opened.thread.id, model: opened.model };
    }
    const opened = await rpc.request("thread/start", settings, threadSchema);
    ownThread = opened.thread.id;
    keepThread(env, opened.thread.id);
    return { id: opened.thread.id, model: opened.model };
  }

  const turns = createCodexTurns({
    lastPromptId: options.lastPromptId,
    say: (events) => void say(events),
    async start(input) {
      const { id, model: usual } = await thread;
      const settings = {
        model: model === "" ? usual : model,
        reasoning_effort: null,
        developer_instructions: null,
      };
      const params = {
        threadId: id,
        clientUserMessageId: input.kind === "prompt" ? input.prompt.key : input.key,
        input: inputOf(input),
        collaborationMode: { mode: mode === "plan" ? "plan" : "default", settings },
      };
      await rpc.request("turn/start", params, z.unknown());
    },
    async steer(turnId, prompt) {
      const { id } = await thread;
      const params = {
        ...{ threadId: id, expectedTurnId: turnId, clientUserMessageId: prompt.key },
        input: inputOf({ kind: "prompt", prompt }),
      };
      await rpc.request("turn/steer", params, z.unknown());
    },
    stop(turnId) {
      void thread
        .then(({ id }) => rpc.request("turn/interrupt", { threadId: id, turnId }, z.unknown()))
        .catch(() => {}); // it has ended by itself
    },
    async earlier(key) {
      const { id } = await thread;
      if (!resumed || !rolloutHolds(env, key)) return undefined;
      const params = { threadId: id, limit: recentTurns, sortDirection: "desc", itemsView: "full" };
      const { data } = await rpc.request("thread/turns/list", params, turnsSchema);
      const holds = ({ items }: (typeof data)[number]) =>
        items.some((item) => item.type === "userMessage" && item.clientId?.startsWith(key) === true);
      return data.find(holds);
    },
    isPlanning: () => mode === "plan",
    propose: (plan, decided) => void say(questions.propose(plan, decided)),
    approved() {
      mode = "act";
      options.modeChanged("act");
    },
  });

  function incoming(message: Incoming, own: string | undefined): Promise<void> | undefined {
    switch (message.kind) {
      case "unreadable":
        return say([
          { kind: "notice", level: "warning", text: "The agent wrote a line that cannot be read." },
        ]);
      case "request": {
        const asked = userInputSchema.safeParse(message.params);
        if (message.method === "item/tool/requestUserInput" && asked.success)
          return say([...deltas.flush(), ...questions.ask(message.id, asked.data.questions)]);
        if (message.method === "mcpServer/elicitation/request")
          rpc.answer(message.id, { action: "decline", content: null, _meta: null });
        else rpc.refuse(message.id, "not supported here");
        return undefined;
      }
      case "notification": {
        const parsed = notificationSchema.safeParse({ method: message.method, params: message.params });
        if (!parsed.success) return undefined;
        // Agents that this one has called have threads of their own; what they find out, it says.
        const { threadId } = parsed.data.params;
        return threadId != null && threadId !== own ? undefined : notified(parsed.data);
      }
    }
  }

  function notified({ method, params }: CodexNotification): Promise<void> | undefined {
    switch (method) {
      case "turn/started":
        turns.began(params.turn.id);
        return undefined;
      case "turn/completed":
        lastTurn = { threadId: params.threadId, turnId: params.turn.id };
        void say([...deltas.flush(), ...questions.closeAll()]);
        turns.over(params.turn);
        return say([]);
      case "item/started":
        if (params.item.type === "userMessage" && params.item.clientId != null)
          turns.took(params.item.clientId);
        return say([...deltas.flush(), ...translate.started(params.item)]);
      case "item/completed": {
        const { item } = params;
        if (item.type === "agentMessage") turns.said(item.text);
        if (item.type === "plan") turns.planned(item.text);
        const events = translate.completed(item);
        return say([...deltas.flush(events[0]), ...events]);
      }
      case "item/agentMessage/delta":
        return say(deltas.add(params.itemId, params.delta));
      case "thread/tokenUsage/updated":
        if (params.turnId === turns.turnId) turns.used(params.tokenUsage.last);
        return undefined;
      case "error": {
        // What is not tried again ends the turn, which says it.
        if (!params.willRetry) return undefined;
        return say([
          {
            kind: "notice",
            level: "warning",
            text: cutText(`The model did not answer: ${params.error.message}`, 2000).text,
          },
        ]);
      }
      case "warning":
        return say([{ kind: "notice", level: "info", text: cutText(params.message, 2000).text }]);
      case "serverRequest/resolved":
        return say(questions.resolved(params.requestId));
    }
  }

  const finished = driven
    .read(
      (line) => {
        const message = rpc.take(line);
        return message === undefined ? undefined : incoming(message, ownThread);
      },
      () => {
        rpc.close();
        return [...deltas.flush(), ...questions.closeAll()];
      },
    )
    .finally(deltas.close);

  /** What Codex takes with the next turn only. */
  const later = (what: string) => {
    if (turns.turnId !== undefined) notice(`Codex takes the ${what} with its next turn.`, "info");
  };

  return {
    prompt: turns.opened,
    now: turns.joined,
    setModel(name) {
      model = name;
      later("model");
    },
    setMode(to: AgentMode) {
      mode = to;
      later("mode");
    },
    async settled() {
      const until = performance.now() + settleMs;
      while (lastTurn !== undefined && performance.now() < until) {
        if (rolloutEnds(env, lastTurn.threadId, lastTurn.turnId)) return;
        await Bun.sleep(10);
      }
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

/** As `UserInput` has it; a picture that is gone from the workspace since is named in the text. */
function inputOf(input: TurnInput): object[] {
  const words = (text: string) => ({ type: "text", text, text_elements: [] });
  if (input.kind === "words") return [words(input.text)];
  const { text, images }: AgentPrompt = input.prompt;
  const pictures = images.filter(({ path }) => existsSync(path));
  return [words(text), ...pictures.map(({ path }) => ({ type: "localImage", path }))];
}
