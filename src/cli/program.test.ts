import { expect, test } from "bun:test";
import { CcwError, errorCodes } from "../domain/errors.ts";
import { completionAt } from "./completion.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { explain } from "./explain.ts";
import type { CliIo } from "./io.ts";
import { createProgram, runCli } from "./program.ts";
import { readPrompt } from "./prompt-text.ts";
import { repositoryAndBranch } from "./repository-and-branch.ts";
import { pick } from "./task-id.ts";
import { noWiring } from "./wiring.fixture.ts";
import type { CliWiring, StartOptions } from "./wiring.ts";

/** The command line with its streams caught; nothing of it needs a server. */
function bench(input = "", wiring: Partial<CliWiring> = {}) {
  const written = { out: "", err: "" };
  const sink = (name: "out" | "err") => ({
    isTty: false,
    columns: undefined,
    async write(text: string) {
      written[name] += text;
    },
  });
  const io: CliIo = {
    env: { CCW_DATA: "/nonexistent/data" },
    in: {
      isTty: false,
      echo() {},
      async *chunks() {
        yield Buffer.from(input);
      },
    },
    out: sink("out"),
    err: sink("err"),
  };
  const whole: CliWiring = { ...noWiring, ...wiring };
  return {
    io,
    written,
    program: createProgram(whole, io, () => {}),
    run: (...argv: string[]) => runCli(argv, whole, io),
  };
}

test("version and help are data and succeed", async () => {
  const { run, written } = bench();
  expect(await run("version")).toBe(0);
  expect(await run("--version")).toBe(0);
  expect(written).toEqual({ out: "1.2.3\n1.2.3\n", err: "" });
  expect(await run("task", "create", "--help")).toBe(0);
  expect(written.out).toContain("Examples:");
});

test("a mistake in the command line is usage, names itself and suggests", async () => {
  const { run, written } = bench();
  expect(await run("tsk")).toBe(exitCodes.usage);
  expect(written.err).toContain("Did you mean task?");
  expect(await run("task", "show")).toBe(exitCodes.usage);
  expect(await run("start", "--port", "70000")).toBe(exitCodes.usage);
  expect(await run("task", "list", "--state", "dancing")).toBe(exitCodes.usage);
  expect(await run("--data", "/x", "--url", "http://x", "status")).toBe(exitCodes.usage);
  expect(written.out).toBe("");
});

test("start is told what was said, wherever it stands on the line", async () => {
  const seen: StartOptions[] = [];
  const start = async (options: StartOptions) => {
    seen.push(options);
    return 7;
  };
  const { run } = bench("", { start });
  expect(await run("start", "--data", "/d", "--port", "0", "--host", "::1", "--demo")).toBe(7);
  expect(await run("--data", "/d", "start")).toBe(7);
  expect(await run("start")).toBe(7);
  expect(seen).toEqual([
    { data: "/d", port: 0, host: "::1", demo: true },
    { data: "/d", demo: false },
    { data: "/nonexistent/data", demo: false },
  ]);
});

test("without a server every command that needs one says how to start it", async () => {
  for (const argv of [
    ["task", "list"],
    ["repo", "list"],
    ["env", "list"],
    ["token", "list"],
    ["link"],
    ["status"],
  ]) {
    const { run, written } = bench();
    expect(await run(...argv)).toBe(exitCodes.unavailable);
    expect(written.out).toBe("");
    expect(written.err).toMatch(/^error: No ccw-server runs .*\nhint: Start it with `ccw-server start`/);
  }
});

test("doctor fails when a check does, and says how to mend it", async () => {
  const doctor = async () => [
    { name: "engine", status: "failed" as const, text: "no engine answers", hint: "apt-get install podman" },
  ];
  const { run, written } = bench("", { doctor });
  expect(await run("doctor")).toBe(exitCodes.failed);
  expect(written.out).toContain("FAILED");
  expect(written.out).toContain("→ apt-get install podman");
  expect(await run("doctor", "--json")).toBe(exitCodes.failed);
});

test("the terminal view refuses to be piped", async () => {
  const { run, written } = bench();
  expect(await run("tui")).toBe(exitCodes.usage);
  expect(written.err).toContain("needs a terminal");
});

test("every error has an exit code, and none shows a stack trace or obeys its text", () => {
  for (const code of errorCodes) expect(exitCodeOf[code]).toBeGreaterThan(0);
  expect(explain(new CcwError("conflict", "no\x1b[2J", "do that"))).toEqual({
    text: "error: no␛[2J\nhint: do that\n",
    exitCode: 4,
  });
  const defect = explain(new TypeError("x is not a function"));
  expect(defect.exitCode).toBe(70);
  expect(defect.text).not.toContain("    at ");
});

test("a prompt comes from the words, a file, or what is piped in", async () => {
  expect(await readPrompt({ words: ["Fix", "it"], file: undefined }, bench("unread").io)).toBe("Fix it");
  expect(await readPrompt({ words: [], file: undefined }, bench("piped\nin").io)).toBe("piped\nin");
  expect(await readPrompt({ words: [], file: "-" }, bench("dash").io)).toBe("dash");
  await expect(readPrompt({ words: ["x"], file: "y" }, bench().io)).rejects.toThrow(/given twice/);
});

test("a prompt that is empty, too long or no text is refused before anything is sent", async () => {
  const over = "ü".repeat(512 * 1024 + 1);
  await expect(readPrompt({ words: [], file: undefined }, bench(" \n").io)).rejects.toThrow(/empty/);
  await expect(readPrompt({ words: [], file: undefined }, bench(over).io)).rejects.toThrow(/over 1 MiB/);
  await expect(readPrompt({ words: [], file: undefined }, bench(over.slice(1)).io)).resolves.toHaveLength(
    512 * 1024,
  );
  const terminal = bench();
  terminal.io.in.isTty = true;
  await expect(readPrompt({ words: [], file: undefined }, terminal.io)).rejects.toThrow(/There is no prompt/);
  const binary = {
    ...bench().io,
    in: {
      isTty: false,
      echo() {},
      chunks: async function* () {
        yield Uint8Array.of(0xff, 0xfe);
      },
    },
  };
  await expect(readPrompt({ words: [], file: undefined }, binary)).rejects.toThrow(/not UTF-8/);
});

test("a task is named by any unique beginning or end of its id", () => {
  const row = (id: string) => ({
    id,
    title: "t",
    person: "ada",
    environment: "default",
    agent: "claude",
    model: "",
    mode: "act" as const,
    held: false,
    sandbox: { state: "none" as const },
    repositories: [],
    pullRequest: "none" as const,
    pullRequests: [],
    kept: [],
    state: "queued" as const,
    detail: "",
    createdAt: 0,
    updatedAt: 0,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: 0,
    unpricedRequests: 0,
  });
  const tasks = [row("tsk_01m7yq0gw0m6p48webxg"), row("tsk_01m7yq0gvzkzta8r4hnf")];
  expect(pick(tasks, "8webxg")).toBe("tsk_01m7yq0gw0m6p48webxg");
  expect(pick(tasks, "01m7yq0gv")).toBe("tsk_01m7yq0gvzkzta8r4hnf");
  expect(pick(tasks, "8R4HNF")).toBe("tsk_01m7yq0gvzkzta8r4hnf");
  expect(() => pick(tasks, "01m7")).toThrow(/stands for 2 tasks/);
  expect(() => pick(tasks, "g")).toThrow(/no task/);
  expect(() => pick(tasks, "nothing")).toThrow(/no task/);
});

test("a repository may carry a branch", () => {
  expect(repositoryAndBranch("demo")).toEqual({ name: "demo" });
  expect(repositoryAndBranch("team/demo@feature/a@b")).toEqual({
    name: "team/demo",
    baseBranch: "feature/a@b",
  });
});

test("completion knows commands, options and choices from the commands themselves", () => {
  const at = (...words: string[]) => completionAt(bench().program, words);
  const values = (...words: string[]) => at(...words).candidates.map(({ value }) => value);
  expect(values("")).toEqual(expect.arrayContaining(["task", "env", "start", "tui"]));
  expect(values("")).not.toContain("guest");
  expect(values("task", "")).toEqual(expect.arrayContaining(["create", "follow", "cancel"]));
  expect(values("task", "create", "-")).toEqual(
    expect.arrayContaining(["--repo", "--follow", "--json", "--help"]),
  );
  expect(values("task", "list", "--state", "")).toContain("waiting");
  expect(values("completion", "")).toEqual(expect.arrayContaining(["bash", "zsh", "fish"]));
  expect(at("task", "create", "--env", "").wanted).toBe("env");
  expect(at("task", "follow", "").wanted).toBe("task");
  expect(at("--data", "/d", "task", "cancel", "one", "")).toMatchObject({
    wanted: "task",
    where: { data: "/d" },
  });
});
