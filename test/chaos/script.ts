import type { Random } from "./random.ts";

/** What a person wants of one task: its first prompt, and what is said to it later, each some time after the one before. */
export interface Script {
  first: string;
  acts: Act[];
}

export interface Act {
  afterMs: number;
  kind: ActKind;
  /** Of a prompt. */
  words: string;
}

const actKinds = [
  [6, "prompt"],
  [3, "prompt now"],
  [2, "edit"],
  [2, "remove"],
  [1, "move"],
  [2, "send now"],
  [2, "interrupt"],
  [1, "cancel"],
  [1, "roll back"],
] as const;
export type ActKind = (typeof actKinds)[number][1];

/** Lines for the demo model. `stalls`: also those that take minutes. */
export function scriptOf(random: Random, { stalls }: { stalls: boolean }): Script {
  const words = () =>
    random.pick([
      [4, `demo: slow ${random.between(2, 8)}`],
      [4, `demo: many-tools ${random.between(5, 25)}`],
      [4, `demo: jot word-${random.below(1e6)}`],
      [2, "demo: fix-test"],
      [2, "demo: ask"],
      [1, "demo: remember"],
      [1, "demo: cut 1"],
      [1, "demo: broken-off 1"],
      [1, "demo: overloaded 2"],
    ] as const);
  const first = stalls && random.below(100) === 0 ? "demo: stall 1" : words();
  const acts = Array.from({ length: random.between(0, 4) }, (): Act => {
    const kind = random.pick(actKinds);
    const { words: said, afterMs } = { words: words(), afterMs: random.between(0, 5000) };
    return { kind, afterMs, words: said };
  });
  return { first, acts };
}
