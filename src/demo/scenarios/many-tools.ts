import { bash, countArgument, label, type Scenario, say, use } from "../scenario.ts";

export const manyTools: Scenario = {
  name: "many-tools",
  summary: "runs many commands one after another; `demo: many-tools 200` runs 200",
  words: /\bmany (tools|commands)\b|\b\d+ tools\b/i,
  play(turn) {
    const count = countArgument(turn, 200, 2000);
    const done = turn.steps.length;
    if (done >= count) return say(`${label} ${count} commands ran, one after another.`);
    return use(
      done === 0 ? `${label} I run ${count} commands.` : "",
      bash(`echo "command ${done + 1} of ${count}"`, `Command ${done + 1} of ${count}`),
    );
  },
};
