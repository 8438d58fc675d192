import type { ModelApi } from "./model.ts";

/** An agent CLI that tasks can have. */
export interface AgentKind {
  /** As people know it. */
  title: string;
  api: ModelApi;
  /** As its own CLI signs commits. */
  identity: { name: string; email: string };
  /** A built-in image that it is not in → the one that has it beside all that is in there. */
  images: Readonly<Record<string, string>>;
}

const agents: Readonly<Record<string, AgentKind>> = {
  claude: {
    title: "Claude Code",
    api: "messages",
    identity: { name: "Claude", email: "noreply@anthropic.com" },
    images: {},
  },
  codex: {
    title: "Codex",
    api: "responses",
    identity: { name: "Codex", email: "noreply@openai.com" },
    // Its programs take 370 MB, which the image of everybody else need not carry.
    images: { slim: "slim-codex" },
  },
};

export const agentNames: readonly string[] = Object.keys(agents);

export function agentNamed(name: string): AgentKind | undefined {
  return Object.hasOwn(agents, name) ? agents[name] : undefined;
}

/** The image that a task's sandbox starts from, where its environment names `image`. */
export function imageFor(agent: string, image: string): string {
  return agentNamed(agent)?.images[image] ?? image;
}
