import { expect, test } from "bun:test";
import { defaultGroups } from "./default-allowlist.ts";
import { formatHostPattern } from "./host-pattern.ts";

const hosts = defaultGroups.flatMap((group) => group.hosts);

test("the default list has its 171 entries in its 16 groups and a group of our own, in canonical text, none twice", () => {
  expect(hosts.length).toBe(171 + 5);
  expect(new Set(hosts.map(({ host }) => host)).size).toBe(171 + 5);
  for (const { host, pattern } of hosts) expect(formatHostPattern(pattern)).toBe(host);
  expect(defaultGroups.map(({ name, hosts }) => [name, hosts.length])).toEqual([
    ["Anthropic Services", 3],
    ["Version Control", 15],
    ["Container Registries", 11],
    ["Cloud Platforms", 25],
    ["Package Managers - JavaScript/Node", 7],
    ["Package Managers - Python", 8],
    ["Package Managers - Ruby", 12],
    ["Package Managers - Rust", 6],
    ["Package Managers - Go", 7],
    ["Package Managers - JVM", 10],
    ["Package Managers - Other Languages", 23],
    ["Linux Distributions", 8],
    ["Development Tools & Platforms", 25],
    ["Cloud Services & Monitoring", 4],
    ["Content Delivery & Mirrors", 3],
    ["Schema & Configuration", 4],
    ["Defaults of package managers", 5],
  ]);
});

test("every code host and every wildcard but that of one publisher is marked", () => {
  const unmarked = hosts.filter(({ inspect }) => !inspect).map(({ host }) => host);
  expect(unmarked.filter((host) => host.startsWith("*"))).toEqual(["*.data.mcr.microsoft.com"]);
  expect(unmarked.filter((host) => /git|bitbucket|launchpad|sentry|statsig/.test(host))).toEqual([]);
  expect(hosts.filter(({ pullTokens, inspect }) => pullTokens && !inspect)).toEqual([]);
});
