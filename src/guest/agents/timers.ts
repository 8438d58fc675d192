/** Waits that end with a process of the agent's. */
export interface Timers {
  /**
   * Runs `then` after so long, unless the returned function is called first. A guest that stood still itself, stopped or
   * without a processor, waits anew: what was said meanwhile is not heard yet.
   */
  after(ms: number, then: () => void): () => void;
  close(): void;
}

/** So late a timer is where the guest stood still. */
const lateMs = 300;
/** On a machine that is always late, silence is silence in the end. */
const maxTimes = 5;

export function createTimers(): Timers {
  const waiting = new Set<ReturnType<typeof setTimeout>>();
  return {
    after(ms, then) {
      let timer: ReturnType<typeof setTimeout>;
      const wait = (times: number) => {
        const due = performance.now() + ms + lateMs;
        timer = setTimeout(() => {
          waiting.delete(timer);
          if (performance.now() > due && times < maxTimes) wait(times + 1);
          else then();
        }, ms);
        waiting.add(timer);
      };
      wait(1);
      return () => {
        clearTimeout(timer);
        waiting.delete(timer);
      };
    },
    close() {
      for (const timer of waiting) clearTimeout(timer);
      waiting.clear();
    },
  };
}
