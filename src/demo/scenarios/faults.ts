import { label, type Scenario, say } from "../scenario.ts";

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
  summary: "is overloaded twice and then answers",
  words: undefined,
  play: ({ attempt }) =>
    attempt < 2
      ? {
          kind: "refuse",
          status: 529,
          type: "overloaded_error",
          message: `The demo model plays overloaded, ${attempt + 1} of 2 times.`,
        }
      : say(`${label} I was overloaded ${attempt} times; now I answer.`),
};

export const stall: Scenario = {
  name: "stall",
  summary: "begins to answer and then says nothing more",
  words: undefined,
  play: () => ({ kind: "stall" }),
};

export const cut: Scenario = {
  name: "cut",
  summary: "breaks the connection in the middle of each answer",
  words: undefined,
  play: () => ({
    kind: "cut",
    text: `${label} This answer breaks off in the middle, every time it is asked for.`,
  }),
};
