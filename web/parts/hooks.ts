import { type Signal, signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { failureOf } from "../appliance.ts";

export type Failure = { message: string; hint: string };

/** Something a person sets off: whether it is under way, and what went wrong the last time. */
export function useAction<Args extends unknown[]>(work: (...args: Args) => Promise<void>) {
  const busy = useSignal(false);
  const failure = useSignal<Failure | undefined>(undefined);
  return {
    busy,
    failure,
    async run(...args: Args): Promise<void> {
      if (busy.value) return;
      busy.value = true;
      failure.value = undefined;
      try {
        await work(...args);
      } catch (thrown) {
        failure.value = failureOf(thrown);
      } finally {
        busy.value = false;
      }
    },
  };
}

/** What a form does when it is submitted, instead of what the browser would do. */
export function submitting(action: { run(): Promise<void> }): (event: Event) => void {
  return (event) => {
    event.preventDefault();
    void action.run();
  };
}

export type Loaded<Value> =
  | { kind: "loading" }
  | { kind: "loaded"; value: Value }
  | { kind: "failed"; failure: Failure };

/** Loads at once, again when `keys` change, and on `reload`; what is shown stays until the new has come. */
export function useLoaded<Value>(load: () => Promise<Value>, keys: readonly unknown[]) {
  const state = useSignal<Loaded<Value>>({ kind: "loading" });
  const round = useSignal(0);
  useEffect(() => {
    let current = true;
    load().then(
      (value) => {
        if (current) state.value = { kind: "loaded", value };
      },
      (thrown: unknown) => {
        if (current) state.value = { kind: "failed", failure: failureOf(thrown) };
      },
    );
    return () => {
      current = false;
    };
  }, [...keys, round.value]);
  return {
    state,
    reload: () => {
      round.value += 1;
    },
  };
}

/** Typed text that outlives a reload, a lost connection and a refused request. */
export function useDraft(name: string, initial = ""): Signal<string> {
  const draft = useMemo(() => signal(sessionStorage.getItem(`draft:${name}`) ?? initial), [name]);
  useEffect(
    () =>
      draft.subscribe((text) => {
        try {
          if (text === initial) sessionStorage.removeItem(`draft:${name}`);
          else sessionStorage.setItem(`draft:${name}`, text);
        } catch {
          // The quota is full: the text is still on the page.
        }
      }),
    [draft, name, initial],
  );
  return draft;
}

/** Takes out of a draft what has been sent; who has typed on meanwhile keeps that. */
export function takeSent(draft: Signal<string>, sent: string): void {
  const now = draft.value;
  if (now.startsWith(sent)) draft.value = now.slice(sent.length).trimStart();
}

/** Whether the key that was pressed submits a text area: Ctrl or Cmd with Enter. */
export function submits(event: KeyboardEvent): boolean {
  return event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing;
}
