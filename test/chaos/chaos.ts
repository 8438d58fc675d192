import type { EngineUnderTest } from "../e2e/appliance.ts";
import { type Evidence, leftOversAfter, leftOversOf, readConversations, readStore } from "./evidence.ts";
import { causeFaults, type Fault, type FaultKind } from "./faults.ts";
import { type Broken, judge } from "./oracle.ts";
import { createPeople } from "./people.ts";
import { createRandom } from "./random.ts";
import { scriptOf } from "./script.ts";
import { openStage, type Stage } from "./stage.ts";
import { tellStory } from "./story.ts";

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
  /** What one task may take, after the last that its person does. */
  patienceMs?: number;
  /** What all tasks may take: what is not done by then is stuck. */
  deadlineMs?: number;
  progress?: (line: string) => void;
  /** Ends it early; all that it started is ended before it rejects. */
  signal?: AbortSignal | undefined;
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
  /** Each broken promise, with the events of the first tasks that show one, the faults that met them, and the command. */
  story: string;
}

/** On a machine too slow for the pace all faults would meet the same few turns, and nothing could come to an end. */
const mostFaultsOfATask = 6;
/** The reaper's minute and what an engine takes to stop and remove, on a machine that does other work. */
const settleSeconds = 240;

/**
 * People hand over tasks and steer them while one fault after another comes; then everything is looked at. What the suite
 * itself cannot do rejects with the same story that a broken promise has.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { engine, seed, tasks, parallel } = options;
  const began = performance.now();
  const faults: Fault[] = [];
  const stage = await openStage({ engine, parallel, diskMb: 128 + tasks * 2 });
  try {
    const { ledger, evidence } = await play(stage, options, faults);
    const { witness } = stage;
    const broken = judge({ ledger, faults, evidence, timesSeen: witness.timesSeen });
    const { conversations } = evidence;
    return {
      ...{ seed, engine: engine.name, broken },
      tasks: evidence.tasks.length,
      prompts: evidence.prompts.length,
      events: evidence.events.length,
      modelRequests: witness.requests(),
      conversations: conversations.length,
      toolUses: conversations.reduce((sum, { toolUses }) => sum + toolUses.length, 0),
      faults: countBy(faults.map(({ kind }) => kind)),
      stops: countBy(ledger.stops.map(({ state, reason }) => `${state}: ${reason.slice(0, 60)}`)),
      rebuilt: evidence.events.filter(({ kind }) => kind === "sandbox_removed").length,
      seconds: Math.round((performance.now() - began) / 1000),
      story: tellStory({ options, broken, faults, events: evidence.events, printed: stage.printed() }),
    };
  } catch (thrown) {
    const { events } = readStore(stage.dataFolder);
    const story = tellStory({ options, broken: [], faults, events, printed: stage.printed() });
    throw new Error(`${thrown instanceof Error ? thrown.message : thrown}\n${story}`, { cause: thrown });
  } finally {
    await stage.close();
  }
}

async function play(stage: Stage, options: ChaosOptions, faults: Fault[]) {
  const { seed, tasks, parallel, everyMs, only, stalls = false, progress = () => {} } = options;
  const { patienceMs = 600_000, deadlineMs = 24 * 3_600_000 } = options;
  const { signal = AbortSignal.timeout(25 * 3_600_000) } = options;
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => {});
  signal.addEventListener("abort", () => reject(signal.reason));
  const random = createRandom(seed);
  const people = createPeople(stage, { patienceMs, until: performance.now() + deadlineMs });
  const stop = new AbortController();
  const most = tasks * mostFaultsOfATask;
  const faulting = causeFaults(stage, random.fork(1), faults, { everyMs, most, stop: stop.signal, only });
  try {
    let next = 0;
    let resting = 0;
    // A few more people than places, so that some wait.
    const someone = async () => {
      for (let n = next++; n < tasks; n = next++) {
        const of = random.fork(1000 + n);
        await people.live(scriptOf(of, { stalls }), of);
        // All faults would meet the last few, again and again, and nothing could come to an end.
        if (++resting > tasks - parallel / 2) stop.abort();
        progress(`${people.ledger.rests.size} of ${tasks} rest, ${people.ledger.stuck.length} stuck`);
      }
    };
    const lives = Promise.all(Array.from({ length: Math.min(tasks, parallel + 3) }, someone));
    await Promise.race([lives, ended]);
  } finally {
    stop.abort();
    await faulting;
  }
  // What was submitted to a server that died before it answered.
  const known = new Set(people.ledger.prompts.map(({ taskId }) => taskId));
  const others = readStore(stage.dataFolder).tasks.filter(({ id }) => !known.has(id));
  await Promise.all(others.map(({ id }) => people.attend(id)));
  const leftOvers = await leftOversOf(stage, settleSeconds);
  const conversations = await readConversations(stage);
  await stage.stopServer();
  const evidence: Evidence = {
    ...readStore(stage.dataFolder),
    conversations,
    leftOvers: [...leftOvers, ...(await leftOversAfter(stage))],
    defects: stage
      .printed()
      .split("\n")
      .filter((line) => line.includes("a request failed"))
      .map((line) => line.slice(0, 600)),
  };
  return { ledger: people.ledger, evidence };
}

function countBy(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
