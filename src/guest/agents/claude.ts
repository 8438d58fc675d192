import { existsSync } from "node:fs";
import { join } from "node:path";
import { CcwError, messageOf } from "../../domain/errors.ts";
import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import { createLineSplitter } from "../lines.ts";
import type { Child } from "../processes.ts";
import { boundJson, tailOf } from "../text.ts";
import type { Agent, AgentExit, AgentPrompt, AgentRun, AgentStart } from "./agent.ts";
import { claudeArguments, claudeVariables, promptUuid } from "./claude-command.ts";
import { conversationFolder, conversationHolds, conversationHome, nameAfter } from "./claude-conversation.ts";
import { type ClaudeMeaning, createClaudeTranslator } from "./claude-events.ts";
import { answerOf, userMessage } from "./claude-input.ts";
import { createClaudeRequests, permissionModes } from "./claude-requests.ts";
import { createClaudeTurns } from "./claude-turns.ts";
import { unheardIn } from "./claude-unheard.ts";
import { createDeltas } from "./deltas.ts";
import { createTimers } from "./timers.ts";

/** A tool result may be big, never endless: over this a line is dropped and the transcript says so. */
const maxLineBytes = 32 * 1024 ** 2;
const maxStderr = 8 * 1024;
/** From SIGINT, which ends the CLI cleanly, to SIGKILL for all that it started. */
const graceMs = 5000;
/** The CLI writes the conversation down some 100 ms after it has said it. */
const settleMs = 1000;
/** Where the last message is to be found, with room for what comes behind it. */
const lastBytes = 4 * 1024 ** 2;
/** How long output may still come after the process has ended: something it started may hold the pipe open. */
const lastOutputMs = 1000;

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
          // A turn that the last process was killed in goes on.
          env: { ...options.env, CLAUDE_CODE_RESUME_INTERRUPTED_TURN: "1" },
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
    holdsPrompt({ env, sessionId }, key) {
      const path = conversationFile({ env, sessionId });
      return path !== undefined && conversationHolds(path, promptUuid(key));
    },
    unheard: (of, heard) => unheardIn(conversationFile(of) ?? "", heard),
  };
}

function conversationFile({ env, sessionId }: Pick<AgentStart, "env" | "sessionId">): string | undefined {
  const folder = conversationFolder(env, sessionId);
  return folder === undefined ? undefined : join(folder, `${sessionId}.jsonl`);
}

function drive(child: Child, options: AgentStart): AgentRun {
  const { emit, lastPromptId, processes } = options;
  let lastMessage: string | undefined;
  const translate = createClaudeTranslator((uuid) => {
    lastMessage = uuid;
  });
  const questions = new Map<string, Record<string, Json>>();
  let interruptAtStart = false;
  let isOver = false;

  // One queue for what lines bring and what timers bring: events keep their order.
  let tail: Promise<void> = Promise.resolve();
  const say = (events: GuestEvent[]): Promise<void> => {
    for (const event of events) tail = tail.then(() => emit(event));
    // An agent whose words cannot be kept must not go on; `exited` then tells why.
    tail.catch(() => processes.killTree(child.pid));
    return tail;
  };
  /** A line that cannot be written finds a process that has ended, which `exited` tells. */
  const write = (message: object) => {
    try {
      child.stdin.write(`${JSON.stringify(message)}\n`);
      Promise.resolve(child.stdin.flush()).catch(() => {});
    } catch {}
  };
  const requests = createClaudeRequests({
    write,
    refused: (text) => void say([{ kind: "notice", level: "warning", text }]),
  });
  const deltas = createDeltas((events) => void say(events));
  const timers = createTimers();
  const turns = createClaudeTurns<AgentPrompt & { uuid: string }>({
    lastPromptId,
    give: (prompt) => write(userMessage(prompt)),
    after: timers.after,
    late: (events) => void say(events),
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

  const readOutput = async () => {
    const lines = createLineSplitter(maxLineBytes);
    for await (const chunk of child.stdout) {
      for (const line of lines.push(chunk)) {
        if (line === "") continue;
        // What comes so late is told from the conversation's file.
        if (isOver) return;
        for (const meaning of translate(line)) await say(eventsOf(meaning));
      }
      const dropped = lines.takeDropped();
      if (dropped > 0) {
        const text = `The agent wrote ${dropped} message(s) of over 32 MiB, which are not shown.`;
        await say([{ kind: "notice", level: "warning", text }]);
      }
    }
  };

  let stderr = "";
  const readErrors = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr)
      stderr = tailOf(stderr + decoder.decode(chunk, { stream: true }), maxStderr);
  };

  const finished = (async (): Promise<AgentExit> => {
    const output = Promise.allSettled([readOutput(), readErrors()]);
    const code = await child.exited;
    await Promise.race([output, Bun.sleep(lastOutputMs)]);
    timers.close();
    isOver = true;
    await say([...deltas.flush(), ...[...questions.keys()].flatMap(closeQuestion)]);
    deltas.close();
    return {
      how: child.signalCode === null ? `exit code ${code}` : `signal ${child.signalCode}`,
      stderr: stderr.trim(),
    };
  })();

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
      child.kill("SIGINT");
      await Promise.race([child.exited, Bun.sleep(graceMs)]);
      processes.killTree(child.pid);
      return finished;
    },
    exited: finished,
  };
}
