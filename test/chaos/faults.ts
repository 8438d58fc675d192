import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import { messageOf } from "../../src/domain/errors.ts";
import { pause } from "../../src/domain/pause.ts";
import { run } from "../e2e/appliance.ts";
import { removeNow } from "../e2e/turns.ts";
import type { Random } from "./random.ts";
import type { Stage } from "./stage.ts";

const kinds = [
  [4, "kill server"],
  [3, "kill guest"],
  [4, "kill agent"],
  [2, "kill container"],
  [1, "remove container"],
  [1, "restart engine"],
  [1, "fill disk"],
  [1, "stall server"],
  [2, "stall guest"],
  [1, "stall agent"],
  [2, "stall and kill guest"],
  [1, "reboot"],
  [2, "jump clock"],
] as const;
export type FaultKind = (typeof kinds)[number][1];

export const isFaultKind = (text: string): text is FaultKind => kinds.some(([, kind]) => kind === text);

export interface Fault {
  at: number;
  kind: FaultKind;
  /** Whose container was hit. */
  taskId?: string;
  /** Why it could not be done, or not whole: a container that went meanwhile, an engine that does not come back. */
  failed?: string;
}

/** Hours from the machine's clock: less than an appliance keeps a sandbox that sleeps, and
 * no day before its certificate authority was made: that refuses to start. */
const hours = [-20, -5, -1, 0, 1, 3, 9, 30] as const;

/**
 * Does one fault after another until `stop`, or until there were so many; what found nothing to hit does not count.
 * They are written to `faults` as they come.
 */
export async function causeFaults(
  stage: Stage,
  random: Random,
  faults: Fault[],
  {
    everyMs,
    most,
    stop,
    only,
  }: { everyMs: number; most: number; stop: AbortSignal; only?: readonly FaultKind[] | undefined },
): Promise<void> {
  const chosen = kinds.filter(
    ([, kind]) =>
      (only === undefined || only.includes(kind)) && (kind !== "jump clock" || stage.clock !== undefined),
  );
  while (!stop.aborted && faults.length < most) {
    await pause(random.between(everyMs / 4, everyMs * 2), stop);
    if (stop.aborted) break;
    const [kind, pauseMs, choice] = [random.pick(chosen), random.between(0, 3000), random.below(1000)];
    const at = Date.now();
    const hit = await cause(stage, kind, pauseMs, choice).catch((thrown: unknown) => ({
      failed: messageOf(thrown),
    }));
    if (hit !== undefined) faults.push({ at, kind, ...hit });
  }
}

type Hit = { taskId?: string; failed?: string } | undefined;

async function cause(stage: Stage, kind: FaultKind, pauseMs: number, choice: number): Promise<Hit> {
  switch (kind) {
    case "kill server":
      await stage.killServer(pauseMs);
      return {};
    case "restart engine":
      await stage.restartEngine(pauseMs);
      return {};
    case "reboot":
      await stage.reboot(pauseMs, await firstPids(stage));
      return {};
    case "jump clock":
      await stage.clock?.set((hours[choice % hours.length] ?? 0) * 3600);
      return {};
    case "fill disk": {
      const filler = join(stage.dataFolder, "filler");
      try {
        await run(["sh", "-c", `cat /dev/zero > ${filler}`]);
        await Bun.sleep(1000 + pauseMs);
      } finally {
        rmSync(filler, { force: true });
      }
      return {};
    }
    case "stall server":
      return stall(stage.appliance()?.pid, pauseMs, {});
    default: {
      const victim = await victimOf(stage, choice);
      if (victim === undefined) return undefined;
      const { container, taskId, pid } = victim;
      if (kind === "kill guest") process.kill(pid, "SIGKILL");
      // Podman answers when it sees the container ended; one that is started again at once it sees running.
      else if (kind === "kill container") void container.kill({ signal: "KILL" }).catch(() => {});
      else if (kind === "remove container") {
        // Podman gives what runs its stop time-out first.
        process.kill(pid, "SIGKILL");
        await removeNow(container);
      } else if (kind === "stall and kill guest") {
        // What the agent has said meanwhile is in the pipe between the two, and goes with it.
        process.kill(pid, "SIGSTOP");
        await Bun.sleep(500 + pauseMs);
        process.kill(pid, "SIGKILL");
      } else if (kind === "stall guest") return stall(pid, 1000 + pauseMs, { taskId });
      else {
        const agent = agentIn(pid);
        if (agent === undefined) return undefined;
        if (kind === "stall agent") return stall(agent, 1000 + pauseMs, { taskId });
        process.kill(agent, "SIGKILL");
      }
      return { taskId };
    }
  }
}

async function stall(pid: number | undefined, ms: number, hit: Hit): Promise<Hit> {
  if (pid === undefined) return undefined;
  process.kill(pid, "SIGSTOP");
  try {
    await Bun.sleep(ms);
  } finally {
    try {
      process.kill(pid, "SIGCONT");
    } catch {} // killed meanwhile
  }
  return hit;
}

/** The stage's containers that run now. */
async function runningOf({ engine: { docker }, dataFolder }: Stage): Promise<Docker.ContainerInfo[]> {
  return (await docker.listContainers({ filters: { label: ["ccw.appliance"] } }))
    .filter(({ Mounts }) => Mounts.some(({ Source }) => Source.startsWith(`${dataFolder}/`)))
    .sort((a, b) => (a.Labels["ccw.task"] ?? "").localeCompare(b.Labels["ccw.task"] ?? ""));
}

/** The first process of each container that runs, as this machine numbers it. */
async function firstPids(stage: Stage): Promise<number[]> {
  const { docker } = stage.engine;
  const facts = await Promise.all(
    (await runningOf(stage)).map(({ Id }) =>
      docker
        .getContainer(Id)
        .inspect()
        .catch(() => undefined),
    ),
  );
  return facts.map((found) => found?.State.Pid ?? 0).filter((pid) => pid > 0);
}

/** One of the containers that run now. */
async function victimOf(stage: Stage, choice: number) {
  const running = await runningOf(stage);
  const { docker } = stage.engine;
  const found = running[choice % Math.max(1, running.length)];
  if (found === undefined) return undefined;
  const container = docker.getContainer(found.Id);
  const { State } = await container.inspect();
  return State.Pid === 0 ? undefined : { container, taskId: found.Labels["ccw.task"] ?? "", pid: State.Pid };
}

/** The agent's process, as this machine numbers it, in the container whose first process is this. */
function agentIn(first: number): number | undefined {
  const namespace = readlinkSync(`/proc/${first}/ns/pid`);
  return readdirSync("/proc")
    .map(Number)
    .find((pid) => {
      try {
        return (
          pid > 0 &&
          readlinkSync(`/proc/${pid}/ns/pid`) === namespace &&
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--permission-prompt-tool")
        );
      } catch {
        return false;
      }
    });
}
