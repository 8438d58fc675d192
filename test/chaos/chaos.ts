import type { EngineUnderTest } from "../e2e/appliance.ts";
import { leftOversAfter, leftOversOf, readConversations, readStore, settle } from "./evidence.ts";
import { causeFaults, type FaultKind } from "./faults.ts";
import { type Broken, judge, storyOf } from "./oracle.ts";
import { createPeople } from "./people.ts";
import { createRandom } from "./random.ts";
import { scriptOf } from "./script.ts";
import { openStage } from "./stage.ts";

export interface ChaosOptions {
  engine: EngineUnderTest;
  seed: number;
  tasks: number;
  parallel: number;
  /** From one fault to the next, about. */
  everyMs: number;
  /** All kinds where it is undefined. */
  only?: readonly FaultKind[] | undefined;
  stalls?: boolean;
  progress?: (line: string) => void;
}

export interface ChaosReport {
  seed: number;
  engine: string;
  tasks: number;
  prompts: number;
  events: number;
  modelRequests: number;
  /** Agents' own records that were held against the transcripts, and the uses of tools in them. */
  conversations: number;
  toolUses: number;
  /** How often each kind was done. */
  faults: Record<string, number>;
  /** How often a task had to be let go on by a person, by the beginning of the reason. */
  stops: Record<string, number>;
  /** Sandboxes that were built again since their container was gone. */
  rebuilt: number;
  seconds: number;
  broken: Broken[];
  /** The first broken promise, with the events around it and the server's last words. */
  story: string;
}

/** People hand over tasks and steer them while one fault after another comes; then everything is looked at. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { engine, seed, tasks, parallel, everyMs, only, stalls = false, progress = () => {} } = options;
  const began = performance.now();
  const random = createRandom(seed);
  const diskMb = 128 + tasks * 2;
  const stage = await openStage({ engine, parallel, diskMb });
  try {
    const people = createPeople(stage);
    const stop = new AbortController();
    const faulting = causeFaults(stage, random.fork(1), { everyMs, stop: stop.signal, only });
    let next = 0;
    // A few more people than places, so that some wait.
    const someone = async () => {
      for (let n = next++; n < tasks; n = next++) {
        const of = random.fork(1000 + n);
        await people.live(scriptOf(of, { stalls }), of);
        progress(`${people.ledger.rests.size} of ${tasks} rest, ${people.ledger.stuck.length} stuck`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(tasks, parallel + 3) }, someone));
    stop.abort();
    const faults = await faulting;

    // What was submitted to a server that died before it answered.
    const known = new Set(people.ledger.prompts.map(({ taskId }) => taskId));
    const others = readStore(stage.dataFolder).tasks.filter(({ id }) => !known.has(id));
    await Promise.all(others.map(({ id }) => people.attend(id)));
    await settle(stage, 90);
    const leftOvers = await leftOversOf(stage);
    const conversations = await readConversations(stage);
    await stage.stopServer();
    const evidence = {
      ...readStore(stage.dataFolder),
      conversations,
      leftOvers: [...leftOvers, ...(await leftOversAfter(stage))],
    };
    const { ledger } = people;
    const broken = judge({ ledger, faults, evidence, timesSeen: stage.witness.timesSeen });
    const [first] = broken;
    return {
      ...{ seed, engine: engine.name, broken },
      tasks: evidence.tasks.length,
      prompts: evidence.prompts.length,
      events: evidence.events.length,
      modelRequests: stage.witness.requests(),
      conversations: conversations.length,
      toolUses: conversations.reduce((sum, { toolUses }) => sum + toolUses.length, 0),
      faults: countBy(faults.map(({ kind }) => kind)),
      stops: countBy(ledger.stops.map(({ state, reason }) => `${state}: ${reason.slice(0, 60)}`)),
      rebuilt: evidence.events.filter(({ kind }) => kind === "sandbox_removed").length,
      seconds: Math.round((performance.now() - began) / 1000),
      story:
        first === undefined
          ? ""
          : [
              `seed ${seed}: ${first.promise}: ${first.what} (${first.taskId ?? "no task"})`,
              first.taskId === undefined ? "" : storyOf(evidence, first.taskId),
              ...faults
                .filter(({ taskId }) => taskId === undefined || taskId === first.taskId)
                .map(({ at, kind }) => `  fault ${new Date(at).toISOString().slice(11, 23)} ${kind}`),
              stage
                .printed()
                .split("\n")
                .filter((line) => first.taskId === undefined || line.includes(first.taskId))
                .slice(-30)
                .join("\n"),
            ].join("\n"),
    };
  } finally {
    await stage.close();
  }
}

function countBy(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
