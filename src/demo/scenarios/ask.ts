import { bash, label, lastResult, quote, type Scenario, say, use } from "../scenario.ts";

const question = "Which colour shall I write down?";

export const ask: Scenario = {
  name: "ask",
  summary: "asks a question, writes the answer into a file and commits it",
  words: /\bask (me|us|a question|questions)\b/i,
  play(turn) {
    switch (turn.steps.length) {
      case 0:
        if (!turn.tools.has("AskUserQuestion")) {
          return say(`${label} I would ask a question now, but this agent offers no way to ask.`);
        }
        return use(`${label} I have a question before I begin.`, {
          name: "AskUserQuestion",
          input: {
            questions: [
              {
                question,
                header: "Colour",
                multiSelect: false,
                options: [
                  { label: "Red", description: "The colour of a failing test" },
                  { label: "Green", description: "The colour of a passing test" },
                ],
              },
            ],
          },
        });
      case 1: {
        const { text, isError } = lastResult(turn);
        if (isError) return say(`${label} My question was not answered, so I did nothing.\n\n${quote(text)}`);
        const folder = turn.folder ?? ".";
        return use("Thank you. I write it down.", {
          name: "Write",
          input: { file_path: `${folder}/answer.txt`, content: `${answerIn(text)}\n` },
        });
      }
      case 2:
        if (lastResult(turn).isError)
          return say(`${label} I could not write the file.\n\n${quote(lastResult(turn).text)}`);
        return use(
          "",
          bash(
            "git add answer.txt && git commit -q -m 'Write the answer down' && git log -1 --format='%h %s'",
            "Commit the answer",
          ),
        );
      default:
        return say(`${label} Your answer stands in \`answer.txt\`.\n\n${quote(lastResult(turn).text)}`);
    }
  },
};

/** The agent reports an answer as `"question"="answer"`; where it words it otherwise, all of it is kept. */
function answerIn(text: string): string {
  return /"="([\s\S]*?)"(?:[.,]|$)/.exec(text)?.[1] ?? text.trim();
}
