import { expect, test } from "bun:test";
import { sandboxVariables } from "./variables.ts";

const start = {
  sandboxId: "sbx",
  taskId: "tsk",
  acked: 0,
  repositories: [],
  author: { name: "", email: "" },
  trailers: [],
  setupScript: "",
  agent: { kind: "claude", model: "", sessionId: "" },
  tokens: { model: "scoped-model", git: "scoped-git" },
};

const of = (variables: Record<string, string>, inherited: Record<string, string> = {}) =>
  sandboxVariables({
    inherited,
    start: { ...start, variables },
    port: 3128,
    gitConfigPath: "/etc/gitconfig",
    trust: { bundle: "/bundle.pem", own: "/own.pem", javaStore: "/java.jks" },
    agent: ({ url, token }) => ({
      IS_SANDBOX: "1",
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: token,
    }),
  });

test("no variable of the environment or the image can lead the agent past the door", () => {
  const hostile = {
    ANTHROPIC_API_KEY: "x",
    ANTHROPIC_BASE_URL: "http://evil",
    anthropic_custom_headers: "x",
    CLAUDE_CODE_USE_BEDROCK: "1",
    CLAUDE_CODE_OAUTH_TOKEN: "x",
    https_proxy: "http://evil",
    All_Proxy: "http://evil",
    NO_PROXY: "*",
    GIT_CONFIG_GLOBAL: "/evil",
    IS_SANDBOX: "0",
  };
  const { agent, shell, refused } = of(hostile, hostile);
  expect(agent).toMatchObject({
    ANTHROPIC_BASE_URL: "http://127.0.0.1:3128/model",
    ANTHROPIC_AUTH_TOKEN: "scoped-model",
    HTTPS_PROXY: "http://127.0.0.1:3128",
    https_proxy: "http://127.0.0.1:3128",
    NO_PROXY: "127.0.0.1,localhost,::1",
    IS_SANDBOX: "1",
  });
  for (const name of ["ANTHROPIC_API_KEY", "anthropic_custom_headers", "All_Proxy", "GIT_CONFIG_GLOBAL"]) {
    expect(agent).not.toHaveProperty(name);
    expect(shell).not.toHaveProperty(name);
  }
  expect(Object.values(agent)).not.toContain("http://evil");
  expect(refused).toEqual(Object.keys(hostile));
});

test("the environment's own variables reach both, over the image's, and the model's token only the agent", () => {
  const { agent, shell } = of({ COLOUR: "blue", PATH: "/mine" }, { COLOUR: "red", HOME: "/home/dev" });
  expect(shell).toMatchObject({ COLOUR: "blue", PATH: "/mine", HOME: "/home/dev" });
  expect(agent).toMatchObject({ COLOUR: "blue" });
  expect(Object.values(shell)).not.toContain("scoped-model");
});

test("tools find the proxy and the authorities, over the image's settings and under the environment's", () => {
  const image = { SSL_CERT_FILE: "/image.pem", PIP_CERT: "/image.pem", JAVA_TOOL_OPTIONS: "-Xmx1g" };
  const { shell } = of(
    { PIP_CERT: "/mine.pem", JAVA_TOOL_OPTIONS: "-Djavax.net.ssl.trustStore=/mine" },
    image,
  );
  expect(shell).toMatchObject({
    SSL_CERT_FILE: "/bundle.pem",
    NODE_EXTRA_CA_CERTS: "/own.pem",
    NODE_USE_ENV_PROXY: "1",
    PIP_CERT: "/mine.pem",
    JAVA_TOOL_OPTIONS:
      "-Xmx1g -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128 " +
      "-Djavax.net.ssl.trustStore=/java.jks -Djavax.net.ssl.trustStore=/mine",
  });
});
