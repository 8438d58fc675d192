import { z } from "zod";
import { type AcpProgram, acpProgramFields } from "./acp-program.ts";
import { imageSchema } from "./environment.ts";
import type { ModelApi } from "./model.ts";
import { namedRecord } from "./named-record.ts";

/** An agent that tasks can have. */
export interface AgentKind {
  /** As people know it. */
  title: string;
  api: ModelApi;
  /** As its own CLI signs commits; an empty address where it has none. */
  identity: { name: string; email: string };
  /** The image that a task's sandbox starts from, where its environment names this one. */
  imageFor(image: string): string;
  /** Its names for the newest model of each size. */
  models: readonly string[];
  /** Undefined for those that the guest knows how to drive. */
  acp?: AcpProgram;
}

/** The agents of this appliance: those that are built in, and those that the operator has set up. */
export interface Agents {
  readonly all: readonly (AgentKind & { name: string })[];
  named(name: string): AgentKind | undefined;
}

const builtIn: Readonly<Record<string, AgentKind>> = {
  claude: {
    title: "Claude Code",
    api: "messages",
    identity: { name: "Claude", email: "noreply@anthropic.com" },
    imageFor: (image) => image,
    models: ["opus", "sonnet", "haiku"],
  },
  codex: {
    title: "Codex",
    api: "responses",
    identity: { name: "Codex", email: "noreply@openai.com" },
    // Its programs take 370 MB, which the image of everybody else need not carry.
    imageFor: (image) => (image === "slim" ? "slim-codex" : image),
    models: [],
  },
};

/** `[agents.NAME]` of ccw.toml. */
export const configuredAgentsSchema = namedRecord(
  wrongName,
  z.strictObject({
    ...acpProgramFields,
    title: acpProgramFields.title.optional(),
    api: z.enum(["messages", "responses"], 'must be "messages" or "responses"').default("messages"),
    image: imageSchema.optional(),
  }),
).transform((agents) =>
  Object.entries(agents).map(
    ([name, { api, image, title = name, ...program }]): ConfiguredAgent => ({
      ...{ name, api, image },
      acp: { ...program, title },
    }),
  ),
);

export interface ConfiguredAgent {
  name: string;
  api: ModelApi;
  image: string | undefined;
  acp: AcpProgram;
}

export function createAgents(configured: readonly ConfiguredAgent[] = []): Agents {
  const kinds = new Map(Object.entries(builtIn));
  for (const { name, api, image, acp } of configured) {
    kinds.set(name, {
      ...{ title: acp.title, api, models: [], acp },
      identity: { name: acp.title, email: "" },
      imageFor: (wanted) => image ?? wanted,
    });
  }
  return {
    all: [...kinds].map(([name, kind]) => ({ ...kind, name })),
    named: (name) => kinds.get(name),
  };
}

function wrongName(name: string): string | undefined {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name))
    return "an agent's name has small letters, digits and hyphens, and 40 of them at most";
  return Object.hasOwn(builtIn, name) ? "this agent is built in; take another name" : undefined;
}
