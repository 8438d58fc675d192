import type { Wakes, WakeTopic } from "../domain/store/wakes.ts";

export function createWakes(): Wakes {
  const listeners = new Map<WakeTopic, Set<() => void>>();
  return {
    on(topic, listener) {
      const set = listeners.get(topic) ?? new Set();
      listeners.set(topic, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size === 0 && listeners.get(topic) === set) listeners.delete(topic);
      };
    },
    wake(topic) {
      for (const listener of listeners.get(topic) ?? []) listener();
    },
  };
}
