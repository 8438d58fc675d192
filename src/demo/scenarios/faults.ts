import { countArgument, label, type Scenario, say } from "../scenario.ts";

/** How a model endpoint can let an agent down. */

export const fail: Scenario = {
  name: "fail",
  summary: "refuses the request with an API error, so that the turn fails",
  words: undefined,
  play: () => ({
    kind: "refuse",
    status: 400,
    type: "invalid_request_error",
    message: "The demo model was asked to fail, and does.",
  }),
};

export const overloaded: Scenario = {
  name: "overloaded",
  summary: "is overloaded twice and then answers; `demo: overloaded 5` five times",
  words: undefined,
  play(turn) {
    const times = countArgument(turn, 2, 1000);
    if (turn.attempt >= times) return say(`${label} I was overloaded ${times} times; now I answer.`);
    const message = `The demo model plays overloaded, ${turn.attempt + 1} of ${times} times.`;
    return { kind: "refuse", status: 529, type: "overloaded_error", message };
  },
};

export const stall: Scenario = {
  name: "stall",
  summary: "begins to answer and says nothing more, once; `demo: stall 5` five times",
  words: undefined,
  play(turn) {
    const times = countArgument(turn, 1, 1000);
    if (turn.attempt >= times) return say(`${label} I stalled ${times} times; now I answer.`);
    return { kind: "stall" };
  },
};

export const cut: Scenario = {
  name: "cut",
  summary: "breaks the connection in the middle of an answer, once; `demo: cut 5` five times",
  words: undefined,
  play(turn) {
    const times = countArgument(turn, 1, 1000);
    if (turn.attempt >= times) return say(`${label} I was cut off ${times} times; this is my whole answer.`);
    return {
      ...{ kind: "cut", where: "middle" },
      text: `${label} This answer breaks off in the middle of a sentence, as it was asked to.`,
    };
  },
};

export const brokenOff: Scenario = {
  name: "broken-off",
  summary: "breaks the connection behind an answer's last word, once; `demo: broken-off 5` five times",
  words: undefined,
  play(turn) {
    const times = countArgument(turn, 1, 1000);
    if (turn.asked >= times) return say(`${label} My answer broke off ${times} times; this one is whole.`);
    return { kind: "cut", where: "end", text: `${label} Nobody will be told that this answer is over.` };
  },
};

export const usageLimit: Scenario = {
  name: "usage-limit",
  summary: "says once that the account's usage limit is reached; `demo: usage-limit 90` for 90 seconds",
  words: undefined,
  play(turn) {
    const seconds = countArgument(turn, 60, 1_000_000);
    if (turn.asked > 0) return say(`${label} I was out of quota for ${seconds} seconds; now I answer.`);
    return { kind: "limit", seconds };
  },
};
