/** The same choices from the same seed: mulberry32. */
export interface Random {
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number;
  between(from: number, to: number): number;
  /** One of these, each as often as its weight says. */
  pick<Value>(choices: readonly (readonly [weight: number, value: Value])[]): Value;
  /** Another source that depends on this one's seed and the name alone: what happens beside it does not disturb it. */
  fork(name: number): Random;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const below = (bound: number) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
  return {
    below,
    between: (from, to) => from + below(to - from + 1),
    pick(choices) {
      let left = below(choices.reduce((sum, [weight]) => sum + weight, 0));
      for (const [weight, value] of choices) {
        if (left < weight) return value;
        left -= weight;
      }
      throw new Error("there is nothing to choose from");
    },
    fork: (name) => createRandom(Math.imul(seed ^ 0x9e3779b9, name + 1)),
  };
}
