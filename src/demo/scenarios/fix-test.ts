import { posix } from "node:path";
import { demoFault } from "../demo-repository.ts";
import {
  bash,
  label,
  lastResult,
  quote,
  resultText,
  type Scenario,
  say,
  type Turn,
  use,
} from "../scenario.ts";

const runTests = bash("pwd && node --test --test-reporter=tap 2>&1 | tail -n 80", "Run the tests");

/** Finds its way by what the tools answer: the failing test's file, the module that it imports, the line in it. */
export const fixTest: Scenario = {
  name: "fix-test",
  summary: "fixes the failing test of the demo repository and commits",
  words: /\b(fix|mend|repair)\b[\s\S]*\btests?\b|\btests?\b[\s\S]*\b(fail|fix|broken)/i,
  play(turn) {
    switch (turn.steps.length) {
      case 0:
        return use(`${label} Let me run the tests first.`, runTests);
      case 1:
        return readTest(turn);
      case 2:
        return readSource(turn);
      case 3:
        return edit(turn);
      case 4:
        return lastResult(turn).isError
          ? stop("The edit was refused.", lastResult(turn).text)
          : use("The tests once more.", runTests);
      case 5:
        return commit(turn);
      default:
        return summarize(turn);
    }
  },
};

function readTest(turn: Turn) {
  const output = lastResult(turn).text;
  if (/^# fail 0$/m.test(output)) return say(`${label} All tests pass here; there is nothing to fix.`);
  // TAP's diagnostics of a failed test name its file first.
  const test = /^\s*not ok [\s\S]*?^\s*location: '(.+?):\d+:\d+'$/m.exec(output)?.[1];
  if (test === undefined) return stop("I saw no failing test in what `node --test` said.", output);
  return use(`A test fails: \`${posix.basename(test)}\`. Let me read it.`, read(test));
}

function readSource(turn: Turn) {
  const test = testPath(turn);
  const module = /from ["'](\.[^"']+)["']/.exec(lastResult(turn).text)?.[1];
  if (module === undefined) return stop("The test imports no module of this repository.", test);
  return use("It tests this module:", read(posix.join(posix.dirname(test), module)));
}

function edit(turn: Turn) {
  const source = lastResult(turn).text;
  if (!source.includes(demoFault.wrong)) {
    return stop(
      "I know only the fault in the demo repository, and it is not here. A real model would go on.",
      source,
    );
  }
  const module = /from ["'](\.[^"']+)["']/.exec(resultText(turn.steps, 1))?.[1] ?? "";
  return use("The quantity is left out of the sum. I put it in.", {
    name: "Edit",
    input: {
      file_path: posix.join(posix.dirname(testPath(turn)), module),
      old_string: demoFault.wrong,
      new_string: demoFault.right,
    },
  });
}

function commit(turn: Turn) {
  const output = lastResult(turn).text;
  if (!/^# fail 0$/m.test(output)) return stop("The tests still fail.", output);
  return use(
    "They pass. I commit.",
    bash(
      `git add -A && git commit -q -m 'Count the quantity of every line of the basket' && git log -1 --format='%h %s'`,
      "Commit the fix",
    ),
  );
}

function summarize(turn: Turn) {
  const { text, isError } = lastResult(turn);
  if (isError) return stop("Git refused the commit.", text);
  return say(
    `${label}\n\nThe failing test passes now. \`total\` added up prices and forgot the quantities; ` +
      `it multiplies them now. Committed as:\n\n${quote(text)}`,
  );
}

function stop(reason: string, evidence: string) {
  return say(`${label} ${reason}\n\n${quote(evidence.slice(-2000))}`);
}

function read(path: string) {
  return { name: "Read", input: { file_path: path } };
}

function testPath(turn: Turn): string {
  return /^\s*not ok [\s\S]*?^\s*location: '(.+?):\d+:\d+'$/m.exec(resultText(turn.steps, 0))?.[1] ?? "";
}
