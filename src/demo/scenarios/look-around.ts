import { bash, label, lastResult, quote, type Scenario, say, use } from "../scenario.ts";

/** What is played when the prompt names no scenario. */
export function lookAround(scenarios: readonly Scenario[]): Scenario {
  return {
    name: "look-around",
    summary: "looks around in the folder and says what it is",
    words: undefined,
    play(turn) {
      if (turn.steps.length === 0) {
        return use(
          `${label} I look around first.`,
          bash("pwd; ls; git log --oneline -5 2>&1", "Look around in the working folder"),
        );
      }
      const list = scenarios.map(({ name, summary }) => `- \`demo: ${name}\` ${summary}`).join("\n");
      return say(
        `${label} I understand no free text. This is what I found:\n\n${quote(lastResult(turn).text)}\n\n` +
          `Write one of these lines into a prompt, and I play it with real tools:\n\n${list}\n\n` +
          "With a real model set up, the same prompt gets real work.",
      );
    },
  };
}
