import { bash, label, lastResult, quote, type Scenario, say, use } from "../scenario.ts";

export const pushMain: Scenario = {
  name: "push-main",
  summary: "tries to push to main, which the appliance refuses, and shows what git said",
  words: /\bpush\b[\s\S]*\bmain\b/i,
  play(turn) {
    if (turn.steps.length === 0) {
      return use(
        `${label} I try to push to main.`,
        bash(
          `git commit -q --allow-empty -m "A commit for main" && git push origin HEAD:main 2>&1; echo "exit code $?"`,
          "Push to main",
        ),
      );
    }
    const { text } = lastResult(turn);
    const verdict = /exit code 0\s*$/.test(text) ? "The push went through:" : "The push was refused:";
    return say(`${label} ${verdict}\n\n${quote(text)}`);
  },
};
