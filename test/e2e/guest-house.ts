import { expect } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { AcpProgram } from "../../src/domain/acp-program.ts";
import type { GuestEvent } from "../../src/domain/event.ts";
import {
  type SessionCommandBody,
  type SessionEvent,
  type SessionStart,
  sessionEventSchema,
  sessionSnapshots,
  snapshotRepository,
} from "../../src/domain/session.ts";
import type { GuestOptions } from "../../src/guest/guest.ts";
import { createProcesses } from "../../src/guest/processes.ts";

/**
 * The guest as a process on this machine, with the real agent CLI and real git, against a control door and a
 * scripted Messages API that live in this file.
 */

const claude = process.env["CCW_TEST_CLAUDE"] ?? "";
if (!existsSync(claude)) {
  throw new Error("Set CCW_TEST_CLAUDE to the Claude Code CLI: these tests run the real one.");
}

const closers: (() => void | Promise<void>)[] = [];
/** To be called after each test. */
export async function closeHouses(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}
/** What else a test leaves to be closed. */
export const later = (close: () => void | Promise<void>) => void closers.push(close);

export interface Setting {
  setupScript?: string;
  baseBranch?: string;
  kind?: string;
  /** For an agent of the Agent Client Protocol. */
  acp?: AcpProgram;
  mode?: "plan";
  /** Another house, whose repositories and snapshots this one has, too. */
  beside?: { folder: string };
  restore?: SessionStart["restore"];
  /** By id. */
  attachments?: Record<string, Uint8Array>;
}

export type House = Awaited<ReturnType<typeof openHouse>>;

/** A machine's worth of what a guest needs, in one temporary folder. */
export async function openHouse(setting: Setting = {}) {
  const folder = mkdtempSync(join(tmpdir(), "ccw-guest-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const repos = join(setting.beside?.folder ?? folder, "repos");
  const repository = join(repos, "demo.git");
  if (setting.beside === undefined) {
    await seedRepository(repository, join(folder, "seed"));
    for (const place of [snapshotRepository(0), sessionSnapshots]) {
      mkdirSync(join(repos, `${place}.git`), { recursive: true });
      await git(join(repos, `${place}.git`), "init", "--quiet", "--bare");
    }
  }
  const start: SessionStart = {
    sandboxId: "sbx_1",
    taskId: "tsk_1",
    acked: 0,
    repositories: [
      {
        name: "demo",
        url: "http://appliance/git/demo.git",
        baseBranch: setting.baseBranch ?? "main",
        workBranch: "claude/work",
      },
    ],
    author: { name: "Ada", email: "ada@example.org" },
    trailers: [],
    variables: { COLOUR: "blue", ANTHROPIC_API_KEY: "sk-not-this-way" },
    setupScript: setting.setupScript ?? "",
    agent: {
      ...{ kind: setting.kind ?? "claude", model: "demo", sessionId: crypto.randomUUID() },
      mode: setting.mode ?? "act",
      ...(setting.acp === undefined ? {} : { acp: setting.acp }),
    },
    ...(setting.restore === undefined ? {} : { restore: setting.restore }),
    tokens: { model: "model-token", git: "git-token" },
  };

  const received: SessionEvent[] = [];
  /** What the model was asked, as JSON, in order; without what the agent asks for itself. */
  const asked: string[] = [];
  const commands: string[] = [];
  const streams = new Set<{ response: ServerResponse; sent: number }>();
  const watchers = new Set<() => void>();
  let controlOpen = true;
  let posts = 0;

  const sendCommands = () => {
    for (const stream of streams) {
      for (; stream.sent < commands.length; stream.sent++)
        stream.response.write(`${commands[stream.sent]}\n`);
    }
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", "http://door");
    if (url.pathname.startsWith("/model/")) {
      const { authorization, "x-api-key": key } = request.headers;
      expect([authorization, key]).toEqual(
        setting.acp === undefined || key === undefined
          ? ["Bearer model-token", undefined]
          : [undefined, "model-token"],
      );
      return playModel(request, response, url.pathname.slice("/model".length), asked);
    }
    if (!controlOpen) return void request.socket.destroy();
    if (url.pathname === "/session/start") {
      response.end(JSON.stringify({ ...start, acked: received.length, lastCommand: commands.length }));
    } else if (url.pathname === "/session/events") {
      const lines = (await bodyOf(request)).split("\n").filter((line) => line !== "");
      const events = lines.map((line) => sessionEventSchema.parse(JSON.parse(line)));
      if ((events[0]?.n ?? 0) > received.length + 1) return void response.writeHead(409).end("a gap");
      received.push(...events.filter(({ n }) => n > received.length));
      for (const wake of watchers) wake();
      // Every third answer is lost on its way, as when a server dies right after its commit.
      if (++posts % 3 === 0) return void request.socket.destroy();
      response.end(JSON.stringify({ acked: received.length }));
    } else if (url.pathname === "/session/commands") {
      const stream = { response, sent: Number(url.searchParams.get("after")) };
      streams.add(stream);
      response.on("close", () => streams.delete(stream));
      response.writeHead(200, { "content-type": "application/x-ndjson" }).flushHeaders();
      sendCommands();
    } else if (url.pathname.startsWith("/session/attachments/")) {
      const bytes = setting.attachments?.[url.pathname.split("/").at(-1) ?? ""];
      if (bytes === undefined) response.writeHead(404).end();
      else response.end(bytes);
    } else {
      response.writeHead(404).end();
    }
  };
  const server: Server = createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => {
      process.stderr.write(`door: ${String(thrown)}\n`);
      response.destroy();
    });
  });
  const socketPath = join(folder, "door.sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });

  const events = () => received.map(({ event }) => event);
  return {
    folder,
    repos,
    received,
    asked,
    start,
    home: join(folder, "home"),
    checkout: join(folder, "workspace/demo"),
    events,
    find<Kind extends GuestEvent["kind"]>(kind: Kind) {
      return events().find((event): event is Extract<GuestEvent, { kind: Kind }> => event.kind === kind);
    },
    git: (...args: string[]) => git(repository, ...args),
    command(command: SessionCommandBody) {
      commands.push(JSON.stringify({ n: commands.length + 1, command }));
      sendCommands();
    },
    closeControl() {
      controlOpen = false;
      for (const { response } of streams) response.destroy();
    },
    openControl() {
      controlOpen = true;
    },
    /** The first event that fits; fails after five minutes with what came instead. */
    until(fits: (event: GuestEvent, index: number) => boolean): Promise<GuestEvent> {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(look);
          reject(new Error(`not among the events: ${JSON.stringify(events().slice(-15), null, 1)}`));
        }, 300_000);
        const look = () => {
          const found = events().find(fits);
          if (found === undefined) return;
          clearTimeout(timer);
          watchers.delete(look);
          resolve(found);
        };
        watchers.add(look);
        look();
      });
    },
    startGuest(options: Partial<GuestOptions> = {}) {
      const all: Partial<GuestOptions> = {
        socketPath,
        spoolFolder: join(folder, "spool"),
        workspace: join(folder, "workspace"),
        port: 0,
        gitConfigPath: join(folder, "gitconfig"),
        root: join(folder, "root"),
        gitBase: `file://${repos}`,
        claudeCommand: claude,
        lastWordsMs: 10_000,
        ...options,
      };
      const source = `import { runGuest } from ${JSON.stringify(join(import.meta.dir, "../../src/guest/guest.ts"))};
        process.exit(await runGuest(${JSON.stringify(all)}));`;
      mkdirSync(join(folder, "home"), { recursive: true });
      const guest = Bun.spawn([process.execPath, "-e", source], {
        env: { PATH: process.env["PATH"] ?? "", HOME: join(folder, "home") },
        stdin: "ignore",
        stdout: "inherit",
        stderr: "inherit",
      });
      closers.push(async () => {
        createProcesses().killTree(guest.pid);
        await guest.exited;
      });
      return guest;
    },
  };
}

export function textOf(events: GuestEvent[], kind: GuestEvent["kind"]): string {
  return events.map((event) => (event.kind === kind && "text" in event ? event.text : "")).join("");
}

export async function git(folder: string, ...args: string[]): Promise<string> {
  const child = Bun.spawn(["git", "-C", folder, ...args], { stdout: "pipe", stderr: "pipe" });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${error}`);
  return out.trim();
}

async function seedRepository(bare: string, seed: string): Promise<void> {
  mkdirSync(bare, { recursive: true });
  mkdirSync(seed);
  await git(bare, "init", "--quiet", "--bare", "--initial-branch=main");
  await git(seed, "init", "--quiet", "--initial-branch=main");
  writeFileSync(join(seed, "file.txt"), "first\n");
  await git(seed, "add", ".");
  await git(
    seed,
    "-c",
    "user.name=Seed",
    "-c",
    "user.email=seed@example.org",
    "commit",
    "--quiet",
    "-m",
    "First",
  );
  await git(seed, "push", "--quiet", bare, "main");
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

const modelRequestSchema = z.object({
  model: z.string(),
  stream: z.boolean().default(false),
  messages: z.array(
    z.object({
      role: z.string(),
      content: z.union([
        z.string(),
        z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
      ]),
    }),
  ),
});

/** What comes right before a connection breaks is lost on a reader who is late. */
const heardMs = 1000;

/**
 * Plays what the last `PLAY …` of the conversation names; the step is the number of answers since. `cut`: a stream breaks off,
 * and what is asked for in one piece then has words and a tool. `broken 2`: two answers break off behind
 * their first words, `torn`: one behind its tool.
 */
async function playModel(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  asked: string[],
): Promise<void> {
  if (request.method === "HEAD") return void response.end();
  const raw = await bodyOf(request);
  if (!path.startsWith("/v1/messages")) return void response.writeHead(404).end("{}");
  if (path.includes("count_tokens")) return void response.end('{"input_tokens":10}');
  const { model, stream, messages } = modelRequestSchema.parse(JSON.parse(raw));
  asked.push(raw);
  const words = messages.map(({ role, content }) =>
    role !== "user"
      ? ""
      : typeof content === "string"
        ? content
        : content.map(({ text }) => text ?? "").join("\n"),
  );
  const at = words.findLastIndex((text) => text.includes("PLAY "));
  const script = /PLAY (.*)/.exec(words[at] ?? "")?.[1] ?? "";
  const step = messages.slice(at + 1).filter(({ role }) => role === "assistant").length;
  const [verb = "", ...rest] = script.split(" ");
  const argument = rest.join(" ");
  if (verb === "fail") {
    const error = { type: "error", error: { type: "invalid_request_error", message: "No such model here." } };
    return void response.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(error));
  }

  const tool = toolCall(verb, argument, step);
  const id = `msg_${at}_${step}_${Bun.randomUUIDv7()}`;
  const block =
    tool === undefined
      ? { type: "text", text: "All done." }
      : { type: "tool_use", id: `toolu_${id}`, ...tool };
  const stop = tool === undefined ? "end_turn" : "tool_use";
  const usage = { input_tokens: 12, output_tokens: 7 };
  const message = {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  };
  if (!stream) {
    response.setHeader("content-type", "application/json");
    const words = verb === "cut" ? [{ type: "text", text: "In one piece." }] : [];
    return void response.end(JSON.stringify({ ...message, content: [...words, block], stop_reason: stop }));
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  send("message_start", { message });
  if (verb === "cut" && tool !== undefined) {
    send("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
    send("content_block_delta", { index: 0, delta: { type: "text_delta", text: "In on" } });
    await Bun.sleep(heardMs);
    return void response.destroy();
  }
  if (tool === undefined) {
    send("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
    const pieces =
      verb === "slow" ? Array.from({ length: Number(argument) }, (_, i) => `word ${i} `) : ["All ", "done."];
    for (const text of pieces) {
      if (response.destroyed) return;
      send("content_block_delta", { index: 0, delta: { type: "text_delta", text } });
      if (verb === "slow") await Bun.sleep(100);
    }
  } else {
    send("content_block_start", { index: 0, content_block: { ...block, input: {} } });
    const partial_json = JSON.stringify(tool.input);
    send("content_block_delta", { index: 0, delta: { type: "input_json_delta", partial_json } });
  }
  send("content_block_stop", { index: 0 });
  if ((verb === "broken" && step < Number(argument)) || (verb === "torn" && step === 0)) {
    await Bun.sleep(heardMs);
    return void response.destroy();
  }
  send("message_delta", { delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: 7 } });
  send("message_stop", {});
  response.end();
}

function toolCall(verb: string, argument: string, step: number): { name: string; input: object } | undefined {
  const bash = (command: string, more = {}) => ({
    name: "Bash",
    input: { command, description: "run", ...more },
  });
  if (["bash", "cut", "torn"].includes(verb) && step === 0) return bash(argument);
  if (verb === "write" && step === 0)
    return { name: "Write", input: { file_path: argument, content: "written" } };
  if (verb === "use" && step === 0) return { name: argument, input: {} };
  if (verb === "plan" && step === 0) return { name: "ExitPlanMode", input: { plan: "1. Do it." } };
  if (verb === "plan" && step === 1) return bash("echo planned >> file.txt");
  if (verb === "local" && step < Number(argument)) return bash(`echo ${step}`);
  if (verb === "background" && step === 0) return bash("sleep 1", { run_in_background: true });
  if (verb !== "ask" || step > 0) return undefined;
  const options = ["Red", "Blue"].map((label) => ({ label, description: label }));
  const question = { question: "Which colour?", header: "Colour", multiSelect: false, options };
  return { name: "AskUserQuestion", input: { questions: [question] } };
}
