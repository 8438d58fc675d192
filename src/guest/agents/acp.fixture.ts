import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AgentContext,
  type AnyMessage,
  agent,
  type LoadSessionRequest,
  methods,
  type PromptRequest,
  type PromptResponse,
  type SessionUpdate,
} from "@agentclientprotocol/sdk";
import type { AcpProgram } from "../../domain/acp-program.ts";
import type { GuestEvent } from "../../domain/event.ts";
import type { AgentMode } from "../../domain/task.ts";
import type { Child, Processes } from "../processes.ts";
import { createAcp } from "./acp.ts";
import type { AgentStart } from "./agent.ts";

/** An agent of the protocol, made with the SDK's own agent side, that a test plays in this process. */
export interface PlayedAgent {
  capabilities?: object;
  session?: object;
  /** What `session/load` shows again. */
  shown?: SessionUpdate[];
  prompt?: (turn: PlayedTurn) => Promise<PromptResponse | { stopReason: string }>;
}

export interface PlayedTurn {
  texts: string[];
  say(update: object): Promise<void>;
  client: AgentContext;
  sessionId: string;
  /** Resolves when the client has said `session/cancel`. */
  cancelled: Promise<void>;
  /** A line as it is. */
  raw(line: string): void;
}

export function createAcpHouse() {
  const home = mkdtempSync(join(tmpdir(), "ccw-acp-"));
  const asked: { method: string; params: unknown }[] = [];
  let pid = 1;

  function start(
    played: PlayedAgent,
    how: {
      mode?: AgentMode;
      model?: string;
      program?: Partial<AcpProgram>;
      unfinished?: AgentStart["unfinished"];
    } = {},
  ) {
    const events: GuestEvent[] = [];
    const modes: AgentMode[] = [];
    const program: AcpProgram = {
      ...{ title: "Played", command: ["played"], variables: {}, conversation: [] },
      ...how.program,
    };
    const { child, end } = play(played, (method, params) => asked.push({ method, params }), pid++);
    let env: Record<string, string> = {};
    const processes: Processes = {
      spawn(_command, options) {
        env = options.env;
        return child;
      },
      killTree: () => end("SIGKILL"),
      end: async () => end("SIGTERM"),
      owns: () => true,
    };
    const acp = createAcp(program);
    const variables = { HOME: home, ...acp.variables({ url: "http://door/model", token: "scoped" }) };
    const run = acp.start({
      ...{ processes, cwd: home, env: variables, model: how.model ?? "", mode: how.mode ?? "act" },
      ...{ sessionId: "ours", instructions: "Mind the sandbox.", trailers: [], lastPromptId: null },
      unfinished: how.unfinished ?? null,
      emit: async (event) => void events.push(event),
      modeChanged: (mode) => void modes.push(mode),
    });
    return {
      ...{ run, events, modes, die: () => end("SIGKILL"), env: () => env },
      prompt: (promptId: string, text = promptId) =>
        run.prompt({ promptId, key: promptId, text, images: [] }),
      now: (promptId: string) => run.now({ promptId, key: promptId, text: promptId, images: [] }),
      kinds: () => events.map(({ kind }) => kind),
      of: <Kind extends GuestEvent["kind"]>(kind: Kind) =>
        events.filter((event): event is Extract<GuestEvent, { kind: Kind }> => event.kind === kind),
      async until(what: () => boolean) {
        for (const end = performance.now() + 30_000; !what() && performance.now() < end; ) await Bun.sleep(5);
        if (!what()) throw new Error(`it did not happen; told was ${JSON.stringify(events).slice(0, 2000)}`);
      },
    };
  }

  return {
    home,
    start,
    asked,
    askedFor: (method: string) => asked.filter((each) => each.method === method).map(({ params }) => params),
    close: () => rmSync(home, { recursive: true, force: true }),
  };
}

function play(played: PlayedAgent, heard: (method: string, params: unknown) => void, pid: number) {
  const toClient = new TransformStream<Uint8Array, Uint8Array>();
  const writer = toClient.writable.getWriter();
  const encoder = new TextEncoder();
  const raw = (line: string) => void writer.write(encoder.encode(`${line}\n`)).catch(() => {});
  let push: (message: AnyMessage) => void = () => {};
  const readable = new ReadableStream<AnyMessage>({
    start(controller) {
      push = (message) => controller.enqueue(message);
    },
  });
  const writable = new WritableStream<AnyMessage>({ write: (message) => raw(JSON.stringify(message)) });
  let cancelled = Promise.withResolvers<void>();
  const show = (client: AgentContext, sessionId: string, update: object) =>
    client.notify<object>(methods.client.session.update, { sessionId, update });

  agent({ name: "played" })
    .onRequest(methods.agent.initialize, ({ params }) => {
      heard("initialize", params);
      return { protocolVersion: 1, agentCapabilities: played.capabilities ?? {} };
    })
    .onRequest<unknown, object>(
      methods.agent.session.new,
      (params) => params,
      ({ params }) => {
        heard("session/new", params);
        return { sessionId: "s1", ...played.session };
      },
    )
    .onRequest(
      methods.agent.session.load,
      async ({ params, client }: { params: LoadSessionRequest; client: AgentContext }) => {
        heard("session/load", params);
        for (const update of played.shown ?? []) await show(client, params.sessionId, update);
        return { ...played.session };
      },
    )
    .onRequest(methods.agent.session.resume, ({ params }) => {
      heard("session/resume", params);
      return { ...played.session };
    })
    .onRequest(methods.agent.session.setMode, ({ params }) => {
      heard("session/set_mode", params);
      return {};
    })
    .onRequest<unknown, object>(
      methods.agent.session.setConfigOption,
      (params) => params,
      ({ params }) => {
        heard("session/set_config_option", params);
        return { configOptions: [] };
      },
    )
    .onRequest<PromptRequest, object>(
      methods.agent.session.prompt,
      (params) => params as PromptRequest,
      async ({ params, client }) => {
        heard("session/prompt", params);
        cancelled = Promise.withResolvers();
        const texts = params.prompt.flatMap((block) => (block.type === "text" ? [block.text] : []));
        const { sessionId } = params;
        const turn = { texts, client, sessionId, cancelled: cancelled.promise, raw };
        const say = (update: object) => show(client, sessionId, update);
        return (await played.prompt?.({ ...turn, say })) ?? { stopReason: "end_turn" };
      },
    )
    .onNotification(methods.agent.session.cancel, ({ params }) => {
      heard("session/cancel", params);
      cancelled.resolve();
    })
    .connect({ readable, writable });

  const exited = Promise.withResolvers<number>();
  let signalCode: string | null = null;
  const end = (signal: string) => {
    signalCode ??= signal;
    void writer.close().catch(() => {});
    exited.resolve(0);
  };
  const child = {
    ...{ pid, stdout: toClient.readable, stderr: new Blob(["it said so"]).stream(), exited: exited.promise },
    get signalCode() {
      return signalCode;
    },
    stdin: {
      write(line: string) {
        for (const each of line.split("\n").filter(Boolean)) push(JSON.parse(each));
        return line.length;
      },
      flush: () => 0,
    },
    kill: () => end("SIGTERM"),
  };
  return { child: child as unknown as Child, end };
}
