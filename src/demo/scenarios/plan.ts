import { bash, label, lastResult, quote, type Scenario, say, use } from "../scenario.ts";

const text = "# A plan\n\n1. Write `plan.txt`.\n2. Commit it.";
/** What Codex is told when its plan is approved. */
const approved = /^The plan is approved\. Carry it out\.$/;

export const plan: Scenario = {
  name: "plan",
  summary: "in plan mode: proposes a plan, and carries it out when it is approved",
  words: approved,
  play(turn) {
    const hasLeave = approved.test(turn.prompt);
    const done = turn.steps.length + (hasLeave ? 1 : 0);
    if (done === 0) {
      return turn.tools.has("ExitPlanMode")
        ? use(label, { name: "ExitPlanMode", input: { plan: text } })
        : // As Codex marks a plan.
          say(`${label}\n\n<proposed_plan>\n${text}\n</proposed_plan>`);
    }
    if (done === 1) {
      if (!hasLeave && lastResult(turn).isError)
        return say(`${label} The plan was not approved.\n\n${quote(lastResult(turn).text)}`);
      return use(
        "",
        bash(
          "echo 'As planned.' > plan.txt && git add plan.txt && git commit -q -m 'Carry the plan out' && git log -1 --format='%h %s'",
          "Carry the plan out",
        ),
      );
    }
    return say(`${label} The plan is carried out.\n\n${quote(lastResult(turn).text)}`);
  },
};
