/** An aggregate whose every verb runs inside `atomically`. */
export function eachAtomic<Verbs extends object>(
  verbs: Verbs,
  atomically: <Result>(work: () => Result) => Result,
): Verbs {
  return new Proxy(verbs, {
    get(target, name, receiver) {
      const verb: unknown = Reflect.get(target, name, receiver);
      if (typeof verb !== "function") return verb;
      return (...input: unknown[]) => atomically(() => Reflect.apply(verb, target, input));
    },
  });
}
