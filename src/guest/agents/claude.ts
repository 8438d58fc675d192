import { existsSync } from "node:fs";
import { join } from "node:path";
import { CcwError, messageOf } from "../../domain/errors.ts";
import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import type { Child } from "../processes.ts";
import { boundJson } from "../text.ts";
import { type Agent, type AgentPrompt, type AgentRun, type AgentStart, goOn } from "./agent.ts";
import { claudeArguments, claudeVariables, promptUuid } from "./claude-command.ts";
import { conversationFolder, conversationHolds, conversationHome, nameAfter } from "./claude-conversation.ts";
import { type ClaudeMeaning, createClaudeTranslator } from "./claude-events.ts";
import { answerOf, userMessage } from "./claude-input.ts";
import { createClaudeRequests, permissionModes } from "./claude-requests.ts";
import { createClaudeTurns } from "./claude-turns.ts";
import { unheardIn } from "./claude-unheard.ts";
import { createDeltas } from "./deltas.ts";
import { driveChild } from "./drive-child.ts";
import { owedAnswer } from "./owed-answer.ts";
import { createTimers } from "./timers.ts";

/** The CLI writes the conversation down some 100 ms after it has said it. */
const settleMs = 1000;
/** Where the last message is to be found, with room for what comes behind it. */
const lastBytes = 4 * 1024 ** 2;
/**
 * Claude Code, driven by its stream-json protocol: flags and messages as the CLI 2.1 and the types of
 * `@anthropic-ai/claude-agent-sdk` have them. `command` is what to run, and what names it in the environment.
 */
export function createClaude(command = "claude"): Agent {
  return {
    title: "Claude Code",
    asksWith: "AskUserQuestion",
    variables: claudeVariables,
    start(options) {
      let child: Child;
      try {
        child = options.processes.spawn([command, ...claudeArguments(options)], {
          cwd: options.cwd,
          env: {
            ...options.env,
            ...(goesOnByItself(options) && { CLAUDE_CODE_RESUME_INTERRUPTED_TURN: "1" }),
          },
        });
      } catch (thrown) {
        throw new CcwError(
          "not_found",
          `The sandbox's image has no Claude Code that can be started: ${messageOf(thrown)}.`,
          "Use the built-in image `slim`, or an image with `claude` of @anthropic-ai/claude-code on its PATH.",
        );
      }
      return drive(child, options);
    },
    conversation({ env, sessionId }) {
      const folder = conversationFolder(env, sessionId);
      if (folder === undefined) return undefined;
      const beside = existsSync(join(folder, sessionId)) ? [sessionId] : [];
      return { folder, names: [`${sessionId}.jsonl`, ...beside] };
    },
    conversationHome: ({ env, cwd }) => conversationHome(env, cwd),
    adoptConversation: ({ env, cwd, sessionId }) => nameAfter(sessionId, conversationHome(env, cwd)),
    holdsPrompt,
    unheard: (of, heard) => unheardIn(conversationFile(of) ?? "", heard),
  };
}

/**
 * Whether the process is to go on with the turn that the last one was killed in. The CLI would do so, too, with one that had
 * ended with an error: that is over, and what is asked next would be lost in it.
 */
const goesOnByItself = (options: AgentStart): boolean =>
  options.unfinished !== null && holdsPrompt(options, options.unfinished.key);

function holdsPrompt(of: Pick<AgentStart, "env" | "sessionId">, key: string): boolean {
  const path = conversationFile(of);
  return path !== undefined && conversationHolds(path, promptUuid(key));
}

function conversationFile({ env, sessionId }: Pick<AgentStart, "env" | "sessionId">): string | undefined {
  const folder = conversationFolder(env, sessionId);
  return folder === undefined ? undefined : join(folder, `${sessionId}.jsonl`);
}

function drive(child: Child, options: AgentStart): AgentRun {
  const driven = driveChild(child, options);
  const { say, write } = driven;
  let lastMessage: string | undefined;
  const translate = createClaudeTranslator((uuid) => {
    lastMessage = uuid;
  });
  const questions = new Map<string, Record<string, Json>>();
  let interruptAtStart = false;
  const requests = createClaudeRequests({
    write,
    refused: (text) => void say([{ kind: "notice", level: "warning", text }]),
  });
  const deltas = createDeltas((events) => void say(events));
  const timers = createTimers();
  const turns = createClaudeTurns<AgentPrompt & { uuid: string }>({
    lastPromptId: options.lastPromptId,
    give: (prompt) => write(userMessage(prompt)),
    after: timers.after,
    late: (events) => void say(events),
    owed: () => owedAnswer(conversationFile(options) ?? ""),
    goOn: () => write(userMessage({ text: goOn, uuid: crypto.randomUUID() })),
  });

  const closeQuestion = (requestId: string): GuestEvent[] =>
    questions.delete(requestId) ? [{ kind: "question_closed", requestId }] : [];

  const eventsOf = (meaning: ClaudeMeaning): GuestEvent[] => {
    switch (meaning.kind) {
      case "delta":
        return deltas.add(meaning.blockId, meaning.text);
      case "event":
        return [...deltas.flush(meaning.event), meaning.event];
      case "turn_began":
        if (interruptAtStart) requests.interrupt();
        interruptAtStart = false;
        return [...deltas.flush(), ...turns.began()];
      case "prompt_taken":
        return turns.taken(meaning.uuid);
      case "turn_over":
        return [...deltas.flush(), ...[...questions.keys()].flatMap(closeQuestion), ...turns.over(meaning)];
      case "asked": {
        const { requestId, tool, input } = meaning;
        questions.set(requestId, input);
        return [...deltas.flush(), { kind: "question", requestId, tool, input: boundJson(input) }];
      }
      case "ask_withdrawn":
        return closeQuestion(meaning.requestId);
      case "answered":
        requests.answered(meaning);
        return [];
      case "mode_changed": {
        const { permissionMode } = meaning;
        if (permissionMode === permissionModes.plan) options.modeChanged("plan");
        else if (permissionMode === permissionModes.act) options.modeChanged("act");
        // Any other would ask for each step, which is not what the task was set to.
        else requests.setMode("act");
        return [];
      }
      case "asked_beyond_us":
        write({
          type: "control_response",
          response: { subtype: "error", request_id: meaning.requestId, error: "not supported here" },
        });
        return [];
    }
  };

  const take = async (line: string) => {
    for (const meaning of translate(line)) await say(eventsOf(meaning));
  };
  const finished = driven
    .read(take, () => {
      timers.close();
      return [...deltas.flush(), ...[...questions.keys()].flatMap(closeQuestion)];
    })
    .finally(deltas.close);

  if (options.mode !== "act") requests.setMode(options.mode);

  return {
    prompt(prompt) {
      interruptAtStart = false;
      turns.opened({ ...prompt, uuid: promptUuid(prompt.key) });
    },
    now(prompt) {
      turns.joined({ ...prompt, uuid: promptUuid(prompt.key) });
    },
    setModel: requests.setModel,
    setMode: requests.setMode,
    async settled() {
      const until = performance.now() + settleMs;
      while (lastMessage !== undefined && performance.now() < until) {
        const path = conversationFile(options);
        if (path !== undefined && conversationHolds(path, lastMessage, lastBytes)) return;
        await Bun.sleep(10);
      }
    },
    async answer(requestId, answer) {
      const input = questions.get(requestId);
      if (input === undefined) return;
      const response = answerOf(answer, input);
      write({ type: "control_response", response: { subtype: "success", request_id: requestId, response } });
      await say(closeQuestion(requestId));
    },
    interrupt() {
      // What waits would run as soon as the turn has ended.
      const { events, cancel } = turns.withdraw();
      void say(events);
      if (cancel !== undefined)
        requests.cancel(cancel, (cancelled) => void say(turns.withdrawn(cancel, cancelled)));
      // Before the turn has begun the CLI would find nothing to interrupt, and then begin it.
      if (turns.pending) interruptAtStart = true;
      else requests.interrupt();
    },
    async kill() {
      await driven.end();
      return finished;
    },
    exited: finished,
  };
}
