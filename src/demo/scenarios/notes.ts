import { bash, label, lastResult, quote, type Scenario, say, use } from "../scenario.ts";

/** Work that leaves traces: in the files, and in the conversation. */

export const jot: Scenario = {
  name: "jot",
  summary: "adds a word to `notes.txt` and commits nothing; `demo: jot pear`",
  words: undefined,
  play(turn) {
    const word = (turn.args[0] ?? "note").replace(/[^\w-]/g, "").slice(0, 40);
    if (turn.steps.length === 0)
      return use("", bash(`echo ${word} >> notes.txt && cat notes.txt`, "Write it down"));
    return say(`${label} \`notes.txt\` holds now:\n\n${quote(lastResult(turn).text)}`);
  },
};

export const remember: Scenario = {
  name: "remember",
  summary: "says what it was asked before in this conversation",
  words: /\bwhat did (I|we) (ask|say)\b/i,
  play({ prompts }) {
    const before = prompts.slice(0, -1).map((prompt) => prompt.slice(0, 200));
    if (before.length === 0) return say(`${label} This is the first thing that I am asked here.`);
    return say(`${label} I was asked before:\n\n${quote(before.join("\n"))}`);
  },
};
