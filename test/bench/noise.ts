import { open } from "node:fs/promises";
import { z } from "zod";
import { median, quantile, type Row, rounded } from "./figures.ts";

const rowsSchema = z.array(z.record(z.string(), z.union([z.string(), z.number()])));
const wakeMs = 10;
const writeMs = 100;

/**
 * What the machine takes from anybody who wants a processor or the disk while something else is measured: how late a
 * process wakes, and how long a commit-sized write takes to reach the disk of `path`. In a process of its own, which
 * does nothing else.
 */
export async function listenForNoise(path: string): Promise<{ end(): Promise<Row[]> }> {
  const child = Bun.spawn([process.execPath, import.meta.path, path], { stderr: "inherit" });
  return {
    async end() {
      child.kill("SIGTERM");
      return rowsSchema.parse(await new Response(child.stdout).json());
    },
  };
}

async function listen(path: string): Promise<void> {
  let ended = false;
  process.on("SIGTERM", () => {
    ended = true;
  });
  const late: number[] = [];
  const writes: number[] = [];
  const waking = async () => {
    while (!ended) {
      const began = performance.now();
      await Bun.sleep(wakeMs);
      late.push(performance.now() - began - wakeMs);
    }
  };
  const writing = async () => {
    const file = await open(path, "w");
    while (!ended) {
      const began = performance.now();
      await file.write(Buffer.alloc(4096), 0, 4096, 0);
      await file.datasync();
      writes.push(performance.now() - began);
      await Bun.sleep(writeMs);
    }
    await file.close();
  };
  await Promise.all([waking(), writing()]);
  const row = (what: string, figures: number[]): Row => ({
    what,
    "p50 ms": rounded(median(figures)),
    "p99 ms": rounded(quantile(figures, 0.99)),
    "most ms": rounded(Math.max(...figures)),
  });
  console.log(JSON.stringify([row("wakes late by", late), row("writes and syncs 4 KiB in", writes)]));
}

if (import.meta.main) await listen(process.argv[2] ?? "");
