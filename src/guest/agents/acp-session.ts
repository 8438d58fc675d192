import { CcwError, messageOf } from "../../domain/errors.ts";
import type { GuestEvent } from "../../domain/event.ts";
import {
  type AcpCapabilities,
  type AcpOffers,
  type AcpUpdate,
  initializeSchema,
  newSessionSchema,
  offersSchema,
} from "./acp-messages.ts";
import { type AcpRecord, readRecord } from "./acp-record.ts";
import { ownWords, replayAcp } from "./acp-replay.ts";
import { type AcpWire, isAuthRequired, methods, PROTOCOL_VERSION } from "./acp-wire.ts";
import type { AgentStart } from "./agent.ts";

/** The conversation as it was opened. */
export interface AcpSession {
  id: string;
  offers: AcpOffers;
  capabilities: AcpCapabilities;
  /**
   * What is known of the last prompt of an earlier process: `held` where the conversation has it for sure, `lost` where it
   * surely has not, `unsure` where the agent does not show its conversation. Undefined where there was none.
   */
  before: { last: NonNullable<AcpRecord["last"]>; prompt: "held" | "lost" | "unsure" } | undefined;
  /** What was said in the unfinished turn and not told. */
  unheard: GuestEvent[];
  /** The agent begins without a conversation. */
  isFresh: boolean;
  /** Its own instructions have ours in them. */
  isInstructed: boolean;
}

export interface OpenSessionOptions {
  title: string;
  cwd: string;
  env: Record<string, string>;
  instructions: string;
  unfinished: AgentStart["unfinished"];
  notice: (text: string) => void;
  /** Updates that come while this listens are a conversation that is shown again: they are not for the transcript. */
  replay: (listen: ((update: AcpUpdate, sessionId: string) => void) | undefined) => void;
}

const answerMs = 120_000;

export async function openAcpSession(wire: AcpWire, options: OpenSessionOptions): Promise<AcpSession> {
  const { title, cwd, env, instructions, unfinished, notice } = options;
  const hello = await inTime(
    wire.request(
      methods.agent.initialize,
      {
        protocolVersion: PROTOCOL_VERSION,
        // It has files and commands of its own, in the sandbox that it runs in.
        clientCapabilities: {
          ...{ fs: { readTextFile: false, writeTextFile: false }, terminal: false },
          elicitation: { form: {} },
        },
        clientInfo: { name: "ccw-server", title: "ccw-server", version: "1" },
      },
      initializeSchema,
    ),
  );
  if (hello.protocolVersion !== PROTOCOL_VERSION)
    throw new CcwError(
      "invalid",
      `it speaks version ${hello.protocolVersion} of the Agent Client Protocol, and this appliance version ${PROTOCOL_VERSION}`,
    );
  const { agentCapabilities: capabilities } = hello;
  const { loadSession, sessionCapabilities } = capabilities;
  const isInstructed = sessionCapabilities.systemPrompt;
  const settings = {
    ...{ cwd, mcpServers: [] },
    ...(isInstructed && {
      systemPrompt: { mode: "append", content: [{ type: "text", text: instructions }] },
    }),
  };
  const record = readRecord(env);
  const last = record?.last;
  const opened = { capabilities, isInstructed, unheard: [] };
  const goesOn = last !== undefined && last.key === unfinished?.key;
  const unsure = last === undefined ? undefined : { last, prompt: "unsure" as const };

  const takeUp = async ({ sessionId }: AcpRecord): Promise<AcpSession | undefined> => {
    const params = { ...settings, sessionId };
    // Shown again, the conversation tells whether the prompt got there, and what was said that nobody heard.
    if (loadSession && (goesOn || last?.state === "given" || !sessionCapabilities.resume)) {
      const shown = replayAcp(goesOn ? unfinished.heard : null, last === undefined ? [] : [last.also]);
      // Sessions of agents that it had called may be shown, too.
      options.replay((update, of) => {
        if (of === sessionId) shown.take(update);
      });
      try {
        const offers = await inTime(wire.request(methods.agent.session.load, params, offersSchema));
        const { lastPrompt, unheard } = shown.end();
        const holds = last !== undefined && lastPrompt.includes(ownWords(last.text));
        const before =
          last === undefined ? undefined : { last, prompt: holds ? ("held" as const) : ("lost" as const) };
        return { ...opened, id: sessionId, offers, before, isFresh: false, unheard: holds ? unheard : [] };
      } finally {
        options.replay(undefined);
      }
    }
    if (!sessionCapabilities.resume) return undefined;
    const offers = await inTime(wire.request(methods.agent.session.resume, params, offersSchema));
    return { ...opened, id: sessionId, offers, before: unsure, isFresh: false };
  };

  if (record !== undefined) {
    try {
      const session = await takeUp(record);
      if (session !== undefined) return session;
      notice(
        `${title} cannot take up a conversation again: it begins a new one, and is told what was said last.`,
      );
    } catch (thrown) {
      notice(
        `${title} could not take up its conversation: ${messageOf(thrown)} It begins a new one, and is told what was said last.`,
      );
    }
  }
  try {
    const { sessionId, ...offers } = await inTime(
      wire.request(methods.agent.session.new, settings, newSessionSchema),
    );
    const before = last === undefined ? undefined : { last, prompt: "lost" as const };
    return { ...opened, id: sessionId, offers, before, isFresh: true };
  } catch (thrown) {
    if (!isAuthRequired(thrown)) throw thrown;
    const ways = hello.authMethods.map(({ name }) => name.slice(0, 100)).join(", ");
    throw new CcwError(
      "invalid",
      `it asks for a sign-in${ways === "" ? "" : ` (${ways})`}, which a sandbox cannot do; its variables under [agents] have to lead it to the model`,
    );
  }
}

function inTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = new CcwError("unavailable", `it has not answered for ${answerMs / 1000} s`);
  const timer = setTimeout(() => reject(late), answerMs);
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer));
}
