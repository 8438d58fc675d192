import { closeSync, openSync, rmSync } from "node:fs";
import { chmod, mkdir, mkdtemp } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { z } from "zod";

/** The proxy under test has this core to itself; load and origin share the others. */
const proxyCores = "0";
const loadCores = cpus().length > 1 ? `1-${cpus().length - 1}` : "0";
const answerMs = 180_000;

/** Where one benchmark's processes and files live: all are gone when its work ends, and on Ctrl-C. */
export interface Stage {
  /** Anyone may look in: a proxy may give up root for a user of its own. */
  folder: string;
  /** Its output goes to a file in the folder. */
  startProxy(name: string, argv: string[]): Started;
  /** A TypeScript file of this folder in a process of its own, which answers messages in their order. */
  startPart(file: string, options: { cores: "proxy" | "load"; argv?: string[] }): Promise<Part>;
  /** A folder that every user may write to. */
  makeFolder(name: string): Promise<string>;
}

export interface Started {
  pid: number;
  end(): Promise<void>;
}

export interface Part extends Started {
  /** The first thing it said. */
  hello: unknown;
  ask<Answer>(question: unknown, answer: z.ZodType<Answer>): Promise<Answer>;
}

export async function withStage<Result>(work: (stage: Stage) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "egress-bench-"));
  await chmod(folder, 0o755);
  const children = new Set<Bun.Subprocess>();
  const clear = () => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  const leave = () => process.exit(130);
  process.on("exit", clear);
  process.once("SIGINT", leave);
  process.once("SIGTERM", leave);

  const started = (child: Bun.Subprocess): Started => {
    children.add(child);
    return {
      pid: child.pid,
      async end() {
        child.kill("SIGTERM");
        const force = setTimeout(() => child.kill("SIGKILL"), 3_000);
        await child.exited;
        clearTimeout(force);
        children.delete(child);
      },
    };
  };

  const stage: Stage = {
    folder,
    startProxy(name, argv) {
      const log = openSync(join(folder, `${name}.out`), "a");
      const child = Bun.spawn(["taskset", "-c", proxyCores, ...argv], { stdio: ["ignore", log, log] });
      closeSync(log);
      return started(child);
    },
    async startPart(file, { cores, argv = [] }) {
      const waiting: { resolve(message: unknown): void; reject(error: Error): void }[] = [];
      const next = () =>
        new Promise<unknown>((resolve, reject) => {
          const slow = setTimeout(
            () => reject(new Error(`${file} was silent for ${answerMs} ms.`)),
            answerMs,
          );
          waiting.push({
            resolve(message) {
              clearTimeout(slow);
              resolve(message);
            },
            reject(error) {
              clearTimeout(slow);
              reject(error);
            },
          });
        });
      const hello = next();
      const child = Bun.spawn(
        [
          ...["taskset", "-c", cores === "proxy" ? proxyCores : loadCores],
          ...[process.execPath, join(import.meta.dir, file), ...argv],
        ],
        {
          stdio: ["ignore", "inherit", "inherit"],
          serialization: "json",
          ipc: (message) => waiting.shift()?.resolve(message),
          onExit() {
            for (const { reject } of waiting.splice(0)) reject(new Error(`${file} has ended.`));
          },
        },
      );
      const running = started(child);
      return {
        ...running,
        hello: await hello,
        async ask(question, answer) {
          if (child.exitCode !== null) throw new Error(`${file} has ended.`);
          const reply = next();
          child.send(question);
          return answer.parse(await reply);
        },
      };
    },
    async makeFolder(name) {
      const path = join(folder, name);
      await mkdir(path, { recursive: true });
      await chmod(path, 0o777);
      return path;
    },
  };

  try {
    return await work(stage);
  } finally {
    process.off("SIGINT", leave);
    process.off("SIGTERM", leave);
    process.off("exit", clear);
    clear();
  }
}

/**
 * The other side of `startPart`: says hello, then answers each message, one after another. Ends when its parent does,
 * however that went.
 */
export function servePart(hello: unknown, answer: (question: unknown) => Promise<unknown>): void {
  let before: Promise<void> = Promise.resolve();
  process.on("disconnect", () => process.exit(0));
  process.on("message", (question) => {
    before = before.then(async () => {
      process.send?.(await answer(question));
    });
    before.catch((thrown: unknown) => {
      console.error(thrown);
      process.exit(1);
    });
  });
  process.send?.(hello);
}
