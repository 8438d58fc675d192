import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { type Findings, formatChecks, judge } from "./doctor.ts";
import { diagnose } from "./doctor-probes.ts";
import type { EngineTraits } from "./traits.ts";

const traits: EngineTraits = {
  kind: "podman",
  version: "4.3.1",
  rootless: false,
  cgroupVersion: 1,
  runtime: "runc",
  limitsWork: true,
  userns: { kind: "unique" },
  ulimits: { nofile: 20_000, nproc: 20_000 },
};
const engine = {
  kind: "answers",
  socket: "/run/podman/podman.sock",
  traits,
  trial: { kind: "works", ms: 100 },
  image: "present",
} as const;
const healthy: Findings = {
  engine,
  mayRaiseLimits: true,
  hardOpenFiles: 65_536,
  commands: { mmdebstrap: true, runc: true },
  git: { kind: "works", version: "git version 2.47.3" },
  disk: { kind: "known", folder: "/data", freeBytes: 50e9 },
};

test("a healthy machine has nothing to mend", () => {
  const checks = judge(healthy);
  expect(checks.length).toBeGreaterThan(6);
  expect(checks.filter((check) => check.state !== "ok" || check.fix !== "")).toEqual([]);
});

test("everything that is wrong comes with what mends it", () => {
  const trial = { kind: "failed", message: "crun: unknown cgroup mode", hint: "see doctor" } as const;
  const bad: [string, Findings, string][] = [
    [
      "container engine",
      { ...healthy, engine: { kind: "absent", message: "none", hint: "install podman" } },
      "install podman",
    ],
    [
      "container start",
      { ...healthy, engine: { ...engine, traits: { ...traits, runtime: "crun" }, trial } },
      'runtime = "runc"',
    ],
    ["container start", { ...healthy, engine: { ...engine, trial } }, "see doctor"],
    [
      "resource limits",
      { ...healthy, engine: { ...engine, traits: { ...traits, limitsWork: false } } },
      "cgroup",
    ],
    [
      "user namespaces",
      { ...healthy, engine: { ...engine, traits: { ...traits, userns: { kind: "none" } } } },
      "userns-remap",
    ],
    [
      "user namespaces",
      { ...healthy, engine: { ...engine, traits: { ...traits, userns: { kind: "shared", firstId: 1 } } } },
      "/etc/subuid",
    ],
    ["sandbox image", { ...healthy, engine: { ...engine, image: "missing" } }, "image build slim"],
    ["open files", { ...healthy, hardOpenFiles: 1024 }, "LimitNOFILE"],
    ["git", { ...healthy, git: { kind: "absent" } }, "apt-get install -y git"],
    ["git", { ...healthy, git: { kind: "no_backend", version: "2" } }, "apt-get install -y git"],
    ["disk", { ...healthy, disk: { kind: "known", folder: "/data", freeBytes: 2e9 } }, "--data"],
    ["disk", { ...healthy, disk: { kind: "unknown", folder: "/data", reason: "no" } }, "--data"],
  ];
  for (const [name, findings, fix] of bad) {
    const wrong = judge(findings).filter((check) => check.state !== "ok");
    expect(wrong.map((check) => check.name)).toEqual([name]);
    expect(wrong[0]?.fix).toContain(fix);
  }
});

test("mmdebstrap is missed only where an image has yet to be built", () => {
  const without = { ...healthy, commands: { mmdebstrap: false, runc: true } };
  expect(judge(without).every((check) => check.state === "ok")).toBe(true);
  const unbuilt = judge({ ...without, engine: { ...engine, image: "missing" } });
  expect(unbuilt.find((check) => check.name === "mmdebstrap")?.fix).toContain("apt-get install");
});

test("a machine without an engine is told what was looked for and what to install", async () => {
  const dataFolder = await mkdtemp("/tmp/ccw-doctor-");
  const log = { info() {}, warn() {}, error() {} };
  const idSource = { now: () => 0, randomBytes: (count: number) => new Uint8Array(count) };
  try {
    const socket = `${dataFolder}/nobody.sock`;
    const checks = await diagnose({ socket, dataFolder, path: "/nowhere", log, idSource });
    const text = formatChecks(checks);
    expect(text).toContain(`FAILED   container engine: No container engine answers (${socket}: not there).`);
    expect(text).toContain("→ Start the engine that belongs to this socket");
    expect(text).toContain("FAILED   git: not installed");
  } finally {
    await rm(dataFolder, { recursive: true, force: true });
  }
});
