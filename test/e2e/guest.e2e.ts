import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { GuestEvent } from "../../src/domain/event.ts";
import {
  type SessionCommandBody,
  type SessionEvent,
  type SessionStart,
  sessionEventSchema,
} from "../../src/domain/session.ts";
import type { GuestOptions } from "../../src/guest/guest.ts";
import { createProcesses, listProcesses } from "../../src/guest/processes.ts";

/**
 * The guest as a process on this machine, with the real agent CLI and real git, against a control door and a
 * scripted Messages API that live in this file.
 */

const claude = process.env["CCW_TEST_CLAUDE"] ?? "";
if (!existsSync(claude)) {
  throw new Error("Set CCW_TEST_CLAUDE to the Claude Code CLI: these tests run the real one.");
}

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test("a whole turn: clone, set-up, agent, commit, push", async () => {
  const house = await openHouse({ setupScript: "echo setting up; echo $COLOUR > /dev/stderr" });
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash echo changed >> file.txt" });
  await house.until((event) => event.kind === "turn_ended");
  house.command({ kind: "finish" });
  expect(await guest.exited).toBe(0);

  const kinds = house.events().map((event) => event.kind);
  expect(kinds.filter((kind) => kind === "turn_started" || kind === "turn_ended")).toEqual([
    "turn_started",
    "turn_ended",
  ]);
  expect(kinds.indexOf("turn_started")).toBeLessThan(kinds.indexOf("tool_use"));
  expect(kinds.indexOf("tool_use")).toBeLessThan(kinds.indexOf("tool_result"));
  expect(kinds.at(-1)).toBe("finished");
  expect(textOf(house.events(), "step_output")).toContain("setting up\nblue");
  expect(textOf(house.events(), "assistant_text")).toBe("All done.");
  expect(house.find("turn_ended")).toMatchObject({ promptId: "prm_1", outcome: "done", text: "All done." });
  const pushed = house.find("pushed");
  expect(await house.git("rev-parse", "claude/work")).toBe(pushed?.commit ?? "");
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\nchanged");
  expect(await house.git("log", "-1", "--format=%an <%ae>", "claude/work")).toBe("Ada <ada@example.org>");
  expect(await house.git("show", "main:file.txt")).toBe("first");
}, 30_000);

test("a question waits for its answer, and the turn goes on with it", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY ask" });
  const question = await house.until((event) => event.kind === "question");
  if (question.kind !== "question") throw new Error("no question");
  expect(question.tool).toBe("AskUserQuestion");
  const input = z.object({ questions: z.array(z.json()) }).parse(question.input);
  house.command({
    kind: "answer",
    requestId: question.requestId,
    answer: { behavior: "allow", updatedInput: { ...input, answers: { "Which colour?": "Blue" } } },
  });
  await house.until((event) => event.kind === "turn_ended");
  expect(textOf(house.events(), "tool_result")).toContain('"Which colour?"="Blue"');
  expect(house.find("question_closed")).toMatchObject({ requestId: question.requestId });
}, 30_000);

test("what even a free agent has to ask for is asked, and a refusal reaches it", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash rm -rf /" });
  const question = await house.until((event) => event.kind === "question");
  if (question.kind !== "question") throw new Error("no question");
  expect(question).toMatchObject({ tool: "Bash", input: { command: "rm -rf /" } });
  const answer = { behavior: "deny", message: "Certainly not." };
  house.command({ kind: "answer", requestId: question.requestId, answer });
  await house.until((event) => event.kind === "turn_ended");
  expect(house.find("tool_result")).toMatchObject({ isError: true, text: "Certainly not." });
}, 30_000);

test("an interrupt ends the turn, and the next prompt is taken", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY slow 200" });
  await house.until((event) => event.kind === "assistant_delta");
  house.command({ kind: "interrupt" });
  const ended = await house.until((event) => event.kind === "turn_ended");
  expect(ended).toMatchObject({ promptId: "prm_1", outcome: "interrupted" });
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  const next = await house.until((event) => event.kind === "turn_ended" && event.promptId === "prm_2");
  expect(next).toMatchObject({ outcome: "done" });
}, 30_000);

test("an interrupt right behind the prompt ends its turn too", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY slow 200" });
  house.command({ kind: "interrupt" });
  expect(await house.until((event) => event.kind === "turn_ended")).toMatchObject({ outcome: "interrupted" });
}, 30_000);

test("an interrupt while a question waits closes the question and ends the turn", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY ask" });
  await house.until((event) => event.kind === "question");
  house.command({ kind: "interrupt" });
  expect(await house.until((event) => event.kind === "turn_ended")).toMatchObject({ outcome: "interrupted" });
  expect(house.find("question_closed")).toBeDefined();
}, 30_000);

test("a model that refuses ends the turn as an error, in its words", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY fail" });
  const ended = await house.until((event) => event.kind === "turn_ended");
  expect(ended).toMatchObject({ outcome: "error" });
  expect(ended.kind === "turn_ended" && ended.text).toContain("No such model here.");
}, 30_000);

test("a turn that the agent starts by itself does not end the next prompt's", async () => {
  const house = await openHouse();
  house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY background" });
  await house.until((event) => event.kind === "turn_ended");
  // The background command ends after a second, and starts a turn of its own.
  await house.until(
    (_, index) =>
      house
        .events()
        .slice(0, index + 1)
        .filter((e) => e.kind === "turn_ended").length === 2,
  );
  house.command({ kind: "prompt", promptId: "prm_2", text: "PLAY hello" });
  await house.until((event) => event.kind === "turn_ended" && event.promptId === "prm_2");
  const turns = house
    .events()
    .flatMap((e) =>
      e.kind === "turn_started" || e.kind === "turn_ended" ? [`${e.kind} ${e.promptId}`] : [],
    );
  expect(turns).toEqual([
    "turn_started prm_1",
    "turn_ended prm_1",
    "turn_started prm_1",
    "turn_ended prm_1",
    "turn_started prm_2",
    "turn_ended prm_2",
  ]);
}, 30_000);

test("while the door is away the agent works on, and no event is lost or doubled", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY local 20" });
  for (let round = 0; round < 4; round++) {
    await house.until((event, index) => event.kind === "tool_result" && index > round * 8);
    house.closeControl();
    await Bun.sleep(300);
    house.openControl();
  }
  await house.until((event) => event.kind === "turn_ended");
  house.command({ kind: "finish" });
  expect(await guest.exited).toBe(0);
  expect(house.received.map(({ n }) => n)).toEqual(house.received.map((_, index) => index + 1));
  expect(house.events().filter((event) => event.kind === "tool_result").length).toBe(20);
}, 60_000);

test("a sandbox killed in mid-turn and started again goes on with the turn", async () => {
  const house = await openHouse();
  const first = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 3; echo through >> file.txt" });
  await house.until((event) => event.kind === "tool_use");
  await Bun.sleep(500);
  createProcesses().killTree(first.pid);
  await first.exited;
  const before = house.received.length;

  const second = house.startGuest();
  await house.until((event) => event.kind === "turn_ended");
  house.command({ kind: "finish" });
  expect(await second.exited).toBe(0);
  expect(house.received.map(({ n }) => n)).toEqual(house.received.map((_, index) => index + 1));
  expect(
    house.received.slice(before).some(({ event }) => event.kind === "step_started" && event.step === "clone"),
  ).toBe(false);
  expect(house.find("turn_ended")).toMatchObject({ promptId: "prm_1", outcome: "done" });
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\nthrough");
}, 40_000);

test("an agent that dies is started again, and one that keeps dying fails the task with the reason", async () => {
  const house = await openHouse();
  const broken = join(house.folder, "claude");
  writeFileSync(broken, "#!/bin/sh\necho out of ideas >&2\nexit 3\n", { mode: 0o755 });
  const guest = house.startGuest({ claudeCommand: broken });
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY hello" });
  expect(await guest.exited).toBe(1);
  expect(house.find("finished")).toMatchObject({ outcome: "failed" });
  const last = house.find("finished");
  expect(last?.text).toContain("ended 3 times");
  expect(last?.text).toContain("exit code 3");
  expect(last?.text).toContain("out of ideas");
}, 30_000);

test("an agent that is killed in mid-turn goes on with the turn, and what it did is kept", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY bash sleep 2; echo through >> file.txt" });
  await house.until((event) => event.kind === "tool_use");
  await Bun.sleep(700);
  const agent = listProcesses().find(({ parent }) => parent === guest.pid);
  createProcesses().killTree(agent?.pid ?? 0);
  expect(await house.until((event) => event.kind === "turn_ended")).toMatchObject({ outcome: "done" });
  house.command({ kind: "finish" });
  expect(await guest.exited).toBe(0);
  expect(textOf(house.events(), "notice")).toContain("(signal SIGKILL) and was started again");
  expect(await house.git("show", "claude/work:file.txt")).toBe("first\nthrough");
}, 30_000);

test.each([
  ["an image without the agent", { claudeCommand: "/nonexistent/claude" }, {}, "no Claude Code"],
  [
    "a set-up script that fails",
    {},
    { setupScript: "echo no such package; exit 4" },
    "exit code 4: no such package",
  ],
  ["a branch that is not there", {}, { baseBranch: "gone" }, "has no branch gone"],
  ["an agent of another kind", {}, { kind: "oracle" }, 'cannot run the agent "oracle"'],
])("%s fails the task with words that say so", async (_, options, setting, words) => {
  const house = await openHouse(setting);
  const guest = house.startGuest(options);
  expect(await guest.exited).toBe(1);
  const last = house.find("finished");
  expect(last).toMatchObject({ outcome: "failed" });
  expect(last?.text).toContain(words);
  expect(last?.text).not.toMatch(/\n\s+at /);
  expect(last?.hint).not.toBe("");
});

test("two hundred tools and a hundred megabytes of output leave the guest small", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY local 200" });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentBytes(guest.pid));
  }, 100);
  closers.push(() => clearInterval(watch));
  await house.until((event, index) => event.kind === "tool_result" && index > 100);
  const early = residentBytes(guest.pid);
  await house.until((event) => event.kind === "turn_ended");
  expect(house.events().filter((event) => event.kind === "tool_result").length).toBe(200);
  const late = residentBytes(guest.pid);
  house.command({
    kind: "prompt",
    promptId: "prm_2",
    text: "PLAY bash head -c 100000000 /dev/zero | tr '\\0' x",
  });
  await house.until((event) => event.kind === "turn_ended" && event.promptId === "prm_2");
  process.stderr.write(
    `guest memory, MB: early ${early / 1e6}, after 200 tools ${late / 1e6}, peak ${peak / 1e6}\n`,
  );
  expect(late - early).toBeLessThan(40e6);
  expect(peak).toBeLessThan(200e6);
}, 120_000);

test("SIGTERM ends the agent and what it started, and the guest with 143", async () => {
  const house = await openHouse();
  const guest = house.startGuest();
  const mark = join(house.folder, "mark");
  house.command({ kind: "prompt", promptId: "prm_1", text: `PLAY bash sleep 4; touch ${mark}` });
  await house.until((event) => event.kind === "tool_use");
  await Bun.sleep(300);
  const asked = performance.now();
  guest.kill("SIGTERM");
  expect(await guest.exited).toBe(143);
  expect(performance.now() - asked).toBeLessThan(9000);
  await Bun.sleep(4500);
  expect(existsSync(mark)).toBe(false);
}, 30_000);

interface Setting {
  setupScript?: string;
  baseBranch?: string;
  kind?: string;
}

/** A machine's worth of what a guest needs, in one temporary folder. */
async function openHouse(setting: Setting = {}) {
  const folder = mkdtempSync(join(tmpdir(), "ccw-guest-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const repository = join(folder, "repos", "demo.git");
  await seedRepository(repository, join(folder, "seed"));
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
    agent: { kind: setting.kind ?? "claude", model: "demo", sessionId: crypto.randomUUID() },
    tokens: { model: "model-token", git: "git-token" },
  };

  const received: SessionEvent[] = [];
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
      expect(request.headers.authorization).toBe("Bearer model-token");
      expect(request.headers["x-api-key"]).toBeUndefined();
      return playModel(request, response, url.pathname.slice("/model".length));
    }
    if (!controlOpen) return void request.socket.destroy();
    if (url.pathname === "/session/start") {
      response.end(JSON.stringify({ ...start, acked: received.length }));
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
    received,
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
    /** The first event that fits; fails after 50 s with what came instead. */
    until(fits: (event: GuestEvent, index: number) => boolean): Promise<GuestEvent> {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(look);
          reject(new Error(`not among the events: ${JSON.stringify(events().slice(-15), null, 1)}`));
        }, 50_000);
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
        gitBase: `file://${join(folder, "repos")}`,
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

function textOf(events: GuestEvent[], kind: GuestEvent["kind"]): string {
  return events.map((event) => (event.kind === kind && "text" in event ? event.text : "")).join("");
}

function residentBytes(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
  return Number(pages) * 4096;
}

async function git(folder: string, ...args: string[]): Promise<string> {
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

/** Plays what the last `PLAY …` of the conversation names; the step is the number of answers since. */
async function playModel(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
  if (request.method === "HEAD") return void response.end();
  const raw = await bodyOf(request);
  if (!path.startsWith("/v1/messages")) return void response.writeHead(404).end("{}");
  if (path.includes("count_tokens")) return void response.end('{"input_tokens":10}');
  const { model, stream, messages } = modelRequestSchema.parse(JSON.parse(raw));
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
    return void response.end(JSON.stringify({ ...message, content: [block], stop_reason: stop }));
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  send("message_start", { message });
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
  send("message_delta", { delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: 7 } });
  send("message_stop", {});
  response.end();
}

function toolCall(verb: string, argument: string, step: number): { name: string; input: object } | undefined {
  const bash = (command: string, more = {}) => ({
    name: "Bash",
    input: { command, description: "run", ...more },
  });
  if (verb === "bash" && step === 0) return bash(argument);
  if (verb === "local" && step < Number(argument)) return bash(`echo ${step}`);
  if (verb === "background" && step === 0) return bash("sleep 1", { run_in_background: true });
  if (verb !== "ask" || step > 0) return undefined;
  const options = ["Red", "Blue"].map((label) => ({ label, description: label }));
  const question = { question: "Which colour?", header: "Colour", multiSelect: false, options };
  return { name: "AskUserQuestion", input: { questions: [question] } };
}
