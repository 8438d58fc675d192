import { alsoHeard } from "./agents/heard.ts";
import { afterEvent } from "./kept-prompts.ts";
import type { SpoolFollower } from "./spool-follower.ts";
import type { StateFile } from "./state.ts";

/**
 * What a guest remembers of what it told follows from the lines of its spool: one write, that happens or does not. So
 * whoever goes on after it, wherever it died, remembers to have told exactly what is told.
 */
export function followSpool(state: StateFile): SpoolFollower {
  return {
    taken: state.value.events,
    skip: (last) => state.update({ events: last }),
    take({ n, event, command }) {
      const { heard } = state.value;
      state.follow(n, {
        ...afterEvent(state.value, event),
        ...(heard !== null && { heard: alsoHeard(heard, event) }),
        ...(command !== undefined && { lastCommand: command }),
      });
    },
    save: state.save,
  };
}
