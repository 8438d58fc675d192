import type { SessionStart } from "../domain/session.ts";

/**
 * What decides where the agent's model, its credential and its way out are: an environment's variable of such a
 * name is left out, whatever its value, since any of them would point the agent past the door.
 */
const reserved =
  /^(ANTHROPIC_.*|CLAUDE_CODE_USE_.*|CLAUDE_CODE_OAUTH_TOKEN|CLAUDE_CONFIG_DIR|GIT_CONFIG_.*|(https?|all|no|ftp)_proxy)$/i;

export interface SandboxVariables {
  /** For git and the set-up script. */
  shell: Record<string, string>;
  /** For the agent: the shell's, and its model. */
  agent: Record<string, string>;
  /** Names of the environment's variables that were left out. */
  refused: string[];
}

export interface VariableSources {
  /** What the image and the engine set for the guest itself. */
  inherited: Record<string, string | undefined>;
  start: SessionStart;
  port: number;
  gitConfigPath: string;
  /** The agent's own settings. */
  agent: Record<string, string>;
}

export function sandboxVariables(sources: VariableSources): SandboxVariables {
  const { inherited, start, port, gitConfigPath, agent } = sources;
  const door = `http://127.0.0.1:${port}`;
  const given = Object.entries(start.variables);
  const fixed = Object.keys(agent);
  const isOurs = (name: string) => reserved.test(name) || fixed.includes(name);
  const shell: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    LANG: "C.UTF-8",
    ...withoutReserved(Object.entries(inherited)),
    ...withoutReserved(given),
    HTTP_PROXY: door,
    HTTPS_PROXY: door,
    http_proxy: door,
    https_proxy: door,
    NO_PROXY: "127.0.0.1,localhost",
    no_proxy: "127.0.0.1,localhost",
    GIT_CONFIG_SYSTEM: gitConfigPath,
    GIT_TERMINAL_PROMPT: "0",
  };
  return {
    shell,
    agent: {
      ...shell,
      ...agent,
      ANTHROPIC_BASE_URL: `${door}/model`,
      ANTHROPIC_AUTH_TOKEN: start.tokens.model,
    },
    refused: given.map(([name]) => name).filter(isOurs),
  };
}

function withoutReserved(entries: [string, string | undefined][]): Record<string, string> {
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (value === undefined || reserved.test(name) ? [] : [[name, value]])),
  );
}
