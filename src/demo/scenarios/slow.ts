import {
  bash,
  countArgument,
  label,
  lastResult,
  quote,
  type Scenario,
  type Step,
  say,
  use,
} from "../scenario.ts";

/** Half of the time passes in streamed text, the other half in commands of at most this long. */
const longestCommand = 20;

export const slow: Scenario = {
  name: "slow",
  summary: "takes long: streams text, waits in the shell, then commits; `demo: slow 30` takes 30 seconds",
  words: /\b(take (a )?long|takes long|slowly|take your time)\b/i,
  play(turn) {
    const seconds = countArgument(turn, 20, 3600);
    const waiting = Math.ceil(seconds / 2);
    const commands = Math.ceil(waiting / longestCommand);
    const step = turn.steps.length;
    if (step < commands) {
      const wait = Math.min(longestCommand, waiting - step * longestCommand);
      const command = bash(
        `for i in $(seq 1 ${wait}); do sleep 1; echo "second $i of ${wait}"; done`,
        `Wait for ${wait} s`,
      );
      return step === 0 ? streamed(seconds - waiting, command) : use("", command);
    }
    if (step === commands) {
      return use(
        "Now the work itself.",
        bash(
          `echo 'This took ${seconds} seconds.' > slow.txt && git add slow.txt && ` +
            `git commit -q -m 'Take ${seconds} seconds' && git log -1 --format='%h %s'`,
          "Commit",
        ),
      );
    }
    return say(`${label} That was slow, as you asked.\n\n${quote(lastResult(turn).text)}`);
  },
};

function streamed(seconds: number, command: ReturnType<typeof bash>): Step {
  const pieces = Array.from({ length: seconds }, (_, second) => `\n${second + 1} of ${seconds} seconds.`);
  return {
    kind: "use",
    text: `${label} I take my time.${pieces.join("")}`,
    tools: [command],
    overMs: seconds * 1000,
  };
}
