import type { Conversation } from "./conversation.ts";
import type { Attempts, Scenario, Step } from "./scenario.ts";
import { label } from "./scenario.ts";
import { ask } from "./scenarios/ask.ts";
import { brokenOff, cut, fail, overloaded, stall, usageLimit } from "./scenarios/faults.ts";
import { fixTest } from "./scenarios/fix-test.ts";
import { lookAround } from "./scenarios/look-around.ts";
import { manyTools } from "./scenarios/many-tools.ts";
import { jot, remember } from "./scenarios/notes.ts";
import { plan } from "./scenarios/plan.ts";
import { pushMain } from "./scenarios/push-main.ts";
import { slow } from "./scenarios/slow.ts";

/** In the order in which people are shown them; where plain words fit several, the first one plays. */
export const scenarios: readonly Scenario[] = [
  fixTest,
  ask,
  plan,
  slow,
  manyTools,
  pushMain,
  jot,
  remember,
  fail,
  overloaded,
  stall,
  cut,
  brokenOff,
  usageLimit,
];

/**
 * Plays the scenario that the prompt names, as a line `demo: NAME [NUMBER]` or in plain words; else the model
 * looks around in the folder and says what it is.
 */
export function play(conversation: Conversation, attempts: Attempts): Step {
  // Requests without tools are the agent's own, such as a title for the session.
  if (conversation.tools.size === 0) return { kind: "say", text: label };
  const { scenario, args } = chosenBy(conversation.prompt);
  return scenario.play({ ...conversation, ...attempts, args });
}

function chosenBy(prompt: string): { scenario: Scenario; args: string[] } {
  const [name, ...args] = /^\s*demo:[ \t]*(.+?)\s*$/im.exec(prompt)?.[1]?.split(/\s+/) ?? [];
  const named = scenarios.find((scenario) => scenario.name === name?.toLowerCase());
  if (named !== undefined) return { scenario: named, args };
  const meant = scenarios.find((scenario) => scenario.words?.test(prompt));
  return { scenario: meant ?? lookAround(scenarios), args: [] };
}
