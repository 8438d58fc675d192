/** Something that is looked at again and again; `close` waits for the look that is under way. */
export interface Regular {
  close(): Promise<void>;
}

/** Looks at once and then every so often, one look after another. `look` never rejects. */
export function regularly(look: () => Promise<void>, everyMs: number): Regular {
  let looking = look();
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, everyMs);
  return {
    async close() {
      clearInterval(timer);
      await looking;
    },
  };
}
