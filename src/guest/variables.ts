import type { SessionStart } from "../domain/session.ts";
import type { Agent } from "./agents/agent.ts";
import type { TrustFiles } from "./trust.ts";

/**
 * What decides where the agent's model, its credential and its way out are: an environment's variable of such a
 * name is left out, whatever its value, since any of them would point the agent past the door.
 */
const reserved =
  /^(ANTHROPIC_.*|CODEX_.*|CLAUDE_CODE_USE_.*|CLAUDE_CODE_OAUTH_TOKEN|CLAUDE_CONFIG_DIR|GIT_CONFIG_.*|(https?|all|no|ftp)_proxy)$/i;

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
  /** Undefined where the appliance has sent no authority. */
  trust: TrustFiles | undefined;
  /** The agent's own settings. */
  agent: Agent["variables"];
}

/**
 * Which of two values of one name counts, from the weakest: the image's, ours for tools (a list of authorities that
 * the image names cannot hold the appliance's), the environment's, ours for the way to the door.
 */
export function sandboxVariables(sources: VariableSources): SandboxVariables {
  const { inherited, start, port, gitConfigPath, trust, agent } = sources;
  const door = `http://127.0.0.1:${port}`;
  const given = Object.entries(start.variables);
  const own = agent({ url: `${door}/model`, token: start.tokens.model });
  const fixed = Object.keys(own);
  const isOurs = (name: string) => reserved.test(name) || fixed.includes(name);
  const shell: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    LANG: "C.UTF-8",
    ...withoutReserved(Object.entries(inherited)),
    ...(trust === undefined ? {} : trustVariables(trust)),
    // Node's own fetch asks for neither of the proxy's variables without it.
    NODE_USE_ENV_PROXY: "1",
    ...withoutReserved(given),
    // Read from left to right, and the last one counts.
    JAVA_TOOL_OPTIONS: [
      inherited["JAVA_TOOL_OPTIONS"],
      ...javaOptions(port, trust),
      start.variables["JAVA_TOOL_OPTIONS"],
    ]
      .filter((options) => options !== undefined && options !== "")
      .join(" "),
    HTTP_PROXY: door,
    HTTPS_PROXY: door,
    http_proxy: door,
    https_proxy: door,
    NO_PROXY: "127.0.0.1,localhost,::1",
    no_proxy: "127.0.0.1,localhost,::1",
    GIT_CONFIG_SYSTEM: gitConfigPath,
    GIT_TERMINAL_PROMPT: "0",
  };
  return {
    shell,
    agent: { ...shell, ...own },
    refused: given.map(([name]) => name).filter(isOurs),
  };
}

/** Where each of the common tools looks for authorities, when it does not read the system's list by itself. */
function trustVariables({ bundle, own }: TrustFiles): Record<string, string> {
  return {
    // In place of the tool's own list.
    SSL_CERT_FILE: bundle, // OpenSSL, Go, Ruby, PHP, Python's ssl, uv, rustup
    REQUESTS_CA_BUNDLE: bundle,
    PIP_CERT: bundle,
    CURL_CA_BUNDLE: bundle,
    GIT_SSL_CAINFO: bundle,
    CARGO_HTTP_CAINFO: bundle,
    AWS_CA_BUNDLE: bundle,
    NIX_SSL_CERT_FILE: bundle,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: bundle,
    HTTPLIB2_CA_CERTS: bundle,
    CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: bundle,
    // Beside it.
    NODE_EXTRA_CA_CERTS: own, // Bun too
    DENO_CERT: own,
  };
}

/**
 * Java reads neither the proxy's variables nor the system's list of authorities. These options reach every JVM,
 * whoever starts it and whenever it was installed, which a file of a JDK or of a build tool cannot; the price is that
 * each says on its standard error that it has picked them up. Hosts on loopback are no matter of the proxy by default.
 */
function javaOptions(port: number, trust: TrustFiles | undefined): string[] {
  return [
    ...["http", "https"].flatMap((scheme) => [
      `-D${scheme}.proxyHost=127.0.0.1`,
      `-D${scheme}.proxyPort=${port}`,
    ]),
    ...(trust === undefined ? [] : [`-Djavax.net.ssl.trustStore=${trust.javaStore}`]),
  ];
}

function withoutReserved(entries: [string, string | undefined][]): Record<string, string> {
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (value === undefined || reserved.test(name) ? [] : [[name, value]])),
  );
}
