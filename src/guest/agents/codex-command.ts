import type { AgentStart, ModelAccess } from "./agent.ts";
import { codexHome } from "./codex-conversation.ts";

/** What Codex's process has that an environment's variables cannot change. */
export const codexVariables = ({ url, token }: ModelAccess): Record<string, string> => ({
  OPENAI_BASE_URL: `${url}/v1`,
  OPENAI_API_KEY: token,
});

/**
 * The app server on standard input and output. Its settings go before those of the repository and the home folder: the
 * model is behind the door, and nothing else is asked for from outside. Its own sandbox and its questions for leave are off,
 * since the container is the boundary; that is said with each conversation.
 */
export function codexArguments({ env }: Pick<AgentStart, "env">): string[] {
  const provider = {
    name: "ccw-server",
    base_url: env["OPENAI_BASE_URL"] ?? "",
    env_key: "OPENAI_API_KEY",
    wire_api: "responses",
  };
  const settings: Record<string, string> = {
    model_provider: text("ccw"),
    "model_providers.ccw": `{ ${Object.entries(provider)
      .map(([name, value]) => `${name} = ${text(value)}`)
      .join(", ")}, stream_idle_timeout_ms = 600000 }`,
    web_search: text("disabled"),
    "analytics.enabled": "false",
    "feedback.enabled": "false",
    check_for_update_on_startup: "false",
    suppress_unstable_features_warning: "true",
    // What is written for Claude Code is meant for whoever works on the repository.
    project_doc_fallback_filenames: `[${text("CLAUDE.md")}]`,
  };
  return [
    "app-server",
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    // Questions in the mode that acts, too.
    ...["--enable", "default_mode_request_user_input"],
    // Catalogues and tools of the vendor's own service, which is out of reach; compressed requests, which the door refuses.
    ...["apps", "plugins", "remote_plugin", "image_generation", "enable_request_compression"].flatMap(
      (name) => ["--disable", name],
    ),
  ];
}

/** Codex makes its home folder only where it is the usual one. */
export function codexEnvironment(env: Record<string, string>): Record<string, string> {
  return { ...env, CODEX_HOME: codexHome(env) };
}

/** A string of JSON is one of TOML (https://toml.io/en/v1.0.0#string). */
const text = (value: string) => JSON.stringify(value);
