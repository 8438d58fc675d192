/** Many deadlines on one timer: a connection that begins, moves on and ends costs no timer of its own. */
export interface Deadlines {
  /** `expired` is called once, up to half a second late, unless the deadline is moved or cleared before. */
  add(expired: () => void): Deadline;
  close(): void;
}

export interface Deadline {
  /** From now, in milliseconds; replaces what was set. */
  set(ms: number): void;
  clear(): void;
}

const sweepMs = 500;

export function createDeadlines(
  failed: (thrown: unknown) => void,
  now: () => number = performance.now.bind(performance),
): Deadlines {
  const armed = new Map<Deadline, { due: number; expired: () => void }>();
  const timer = setInterval(() => {
    const at = now();
    for (const [deadline, { due, expired }] of armed) {
      if (due > at) continue;
      armed.delete(deadline);
      try {
        expired();
      } catch (thrown) {
        failed(thrown);
      }
    }
  }, sweepMs);
  timer.unref();
  return {
    add(expired) {
      const deadline: Deadline = {
        set(ms) {
          const found = armed.get(deadline);
          if (found === undefined) armed.set(deadline, { due: now() + ms, expired });
          else found.due = now() + ms;
        },
        clear: () => void armed.delete(deadline),
      };
      return deadline;
    },
    close() {
      clearInterval(timer);
      armed.clear();
    },
  };
}
