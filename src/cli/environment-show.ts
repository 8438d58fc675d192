import { bytesText, countText, usdText } from "../domain/amounts.ts";
import { type Credential, credentialText } from "./egress-flags.ts";

export interface ShownEnvironment {
  name: string;
  image: string;
  access: "none" | "limited" | "custom" | "full";
  variables: string[];
  setupScript: string;
  limits: {
    memoryBytes: number;
    cpus: number;
    pids: number;
    minutes: number;
    turns: number;
    tokens: number;
    usd: number;
  };
  egress: {
    allow: string[];
    deny: string[];
    groupsOff: string[];
    credentials: Credential[];
    limits: {
      uploadBytes: number;
      requestBytes: number;
      requestsPerMinute: number;
      connections: number;
      namesPerMinute: number;
    };
  };
  secrets: string[];
}

/** Name and value of everything that is shown of an environment. */
export function environmentFacts(shown: ShownEnvironment): (readonly [string, string])[] {
  const { image, access, variables, limits, setupScript, egress, secrets } = shown;
  const list = (lines: readonly string[], none: string) => (lines.length === 0 ? none : lines.join("\n"));
  const { uploadBytes, requestBytes, requestsPerMinute, connections, namesPerMinute } = egress.limits;
  return [
    ["Name", shown.name],
    ["Image", image],
    ["Variables", variables.length === 0 ? "none" : variables.join(", ")],
    ["Memory", bytesText(limits.memoryBytes)],
    ["CPUs", String(limits.cpus)],
    ["Processes", String(limits.pids)],
    ["Minutes", String(limits.minutes)],
    ["Task budget", budgetText(limits)],
    ["Access", `${access} (${accessWords[access]})`],
    ["Allowed", list(egress.allow, "nothing besides")],
    ["Denied", list(egress.deny, "nothing")],
    ["Groups off", list(egress.groupsOff, "none")],
    ["Credentials", list(egress.credentials.map(credentialText), "none")],
    ["Secrets", secrets.length === 0 ? "none" : secrets.join(", ")],
    [
      "Egress limits",
      [
        `${bytesText(uploadBytes)} uploaded in all, ${bytesText(requestBytes)} a request`,
        `${requestsPerMinute} requests and ${namesPerMinute} new names a minute, ${connections} connections at once`,
      ].join("\n"),
    ],
    ["Set-up script", setupScript === "" ? "none" : setupScript.trimEnd()],
  ];
}

function budgetText({ turns, tokens, usd }: ShownEnvironment["limits"]): string {
  const limits = [
    usd === 0 ? "" : usdText(usd * 1e9),
    tokens === 0 ? "" : `${countText(tokens)} tokens`,
    turns === 0 ? "" : `${turns} turns`,
  ].filter(Boolean);
  return limits.length === 0 ? "none" : limits.join(", ");
}

const accessWords = {
  none: "nothing but the model and the task's own git",
  limited: "the default list, and what is allowed here",
  custom: "what is allowed here alone",
  full: "every public host",
} as const;
