import { expect, test } from "bun:test";
import { compileEgressPolicy, type EgressSource } from "./egress-policy.ts";
import { summarizeEgress } from "./egress-summary.ts";

const summary = (source: Partial<EgressSource>) =>
  summarizeEgress(
    compileEgressPolicy({ access: "limited", allow: [], deny: [], groupsOff: [], grants: [], ...source }),
  );

test("the agent is told that it has no network", () => {
  expect(summary({ access: "none", allow: ["a.example"] })).toContain("no access to the internet");
  expect(summary({ access: "none", allow: ["a.example"] })).not.toContain("a.example");
});

test("the agent is told groups instead of 171 names, and the environment's own rules", () => {
  const text = summary({ groupsOff: ["Cloud Platforms"], allow: ["a.example path=/x write"] });
  expect(text).toContain("Version Control; Container Registries; Package Managers - JavaScript/Node");
  expect(text).toContain("Switched off: Cloud Platforms.");
  expect(text).toContain("Also reachable:\n- a.example path=/x write");
  expect(text).not.toContain("registry.npmjs.org");
  expect(text.length).toBeLessThan(3000);
});

test("the agent is told what it can only read, and not to try again in a loop", () => {
  for (const access of ["limited", "custom", "full"] as const) {
    expect(summary({ access })).toContain("Only to be read from");
    expect(summary({ access })).toContain("do not try again in a loop");
  }
  expect(summary({ access: "full" })).toContain("any host by name");
  expect(summary({ access: "custom" })).toContain("nothing yet");
});

test("the agent is told which hosts get a credential, where it can reach them", () => {
  const credentialHosts = ["api.example", "off.example"].map((text) => ({ kind: "name", text }) as const);
  const text = summary({ access: "custom", allow: ["api.example"], credentialHosts });
  expect(text).toContain("hosts for which the proxy adds a credential (api.example); unless");
  expect(text).not.toContain("off.example");
});

test("what is denied is not pointed at, and many rules do not fill the instructions", () => {
  expect(summary({ deny: ["secret.example"] })).not.toContain("secret.example");
  const many = Array.from({ length: 100 }, (_, at) => `h${at}.example`);
  expect(summary({ access: "custom", allow: many })).toContain("- and 60 more");
});
