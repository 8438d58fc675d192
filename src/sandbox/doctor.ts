import type { EngineTraits } from "./traits.ts";

/** One thing that the appliance needs of the machine, and how it stands. */
export interface Check {
  name: string;
  state: "ok" | "warning" | "failed";
  /** What was found, and what it means. */
  detail: string;
  /** What mends it; empty where nothing needs mending. */
  fix: string;
}

/** What `doctor-probes.ts` found on this machine. */
export interface Findings {
  engine:
    | { kind: "answers"; socket: string; traits: EngineTraits; trial: Trial; image: "present" | "missing" }
    | { kind: "absent"; message: string; hint: string };
  /** CAP_SYS_RESOURCE: without it no process of ours may raise a limit. */
  mayRaiseLimits: boolean;
  hardOpenFiles: number;
  /** Commands of the host, by name: installed or not. */
  commands: { mmdebstrap: boolean; runc: boolean };
  git: { kind: "works"; version: string } | { kind: "no_backend"; version: string } | { kind: "absent" };
  disk:
    | { kind: "known"; folder: string; freeBytes: number }
    | { kind: "unknown"; folder: string; reason: string };
}

/** Whether the engine's runtime can start a container under a sandbox's own specification. */
export type Trial = { kind: "works"; ms: number } | { kind: "failed"; message: string; hint: string };

/** The findings as checks, in the order in which they matter. Pure. */
export function judge(findings: Findings): Check[] {
  return [
    ...engineChecks(findings),
    limitsCheck(findings),
    gitCheck(findings.git),
    diskCheck(findings.disk),
    ...baseCheck(findings),
  ];
}

/** One line a check, and below it what mends it. */
export function formatChecks(checks: readonly Check[]): string {
  const mark = { ok: "ok     ", warning: "warning", failed: "FAILED " };
  return checks
    .map(({ state, name, detail, fix }) => {
      const line = `${mark[state]}  ${name}: ${detail}`;
      return fix === "" ? line : `${line}\n         → ${fix}`;
    })
    .join("\n");
}

function engineChecks({ engine, commands }: Findings): Check[] {
  if (engine.kind === "absent") return [failed("container engine", engine.message, engine.hint)];
  const { traits, trial, image, socket } = engine;
  return [
    ok(
      "container engine",
      `${traits.kind} ${traits.version} at ${socket}${traits.rootless ? ", rootless" : ""}`,
    ),
    runtimeCheck(traits, trial, commands.runc),
    traits.limitsWork
      ? ok(
          "resource limits",
          `memory, processors and processes are limited (cgroup v${traits.cgroupVersion})`,
        )
      : warning(
          "resource limits",
          `this engine does not enforce limits (cgroup v${traits.cgroupVersion}): one task can take the whole machine`,
          traits.rootless
            ? "Use the engine as root, or boot with systemd.unified_cgroup_hierarchy=1 and delegate the controllers to the user."
            : "Boot with cgroup_enable=memory, or with systemd.unified_cgroup_hierarchy=1.",
        ),
    usernsCheck(traits),
    image === "present"
      ? ok("sandbox image", "slim is built")
      : warning("sandbox image", "slim is not built; no task can start", "ccw-server image build slim"),
  ];
}

function runtimeCheck(traits: EngineTraits, trial: Trial, runcInstalled: boolean): Check {
  if (trial.kind === "works")
    return ok("container start", `${traits.runtime} starts one in ${Math.round(trial.ms)} ms`);
  if (traits.runtime === "crun" && traits.cgroupVersion === 1) {
    return failed(
      "container start",
      `crun does not run with cgroup v1, which this machine uses: ${trial.message}`,
      `${runcInstalled ? "" : "apt-get install -y runc; "}set runtime = "runc" under [engine] in /etc/containers/containers.conf and restart the Podman service.`,
    );
  }
  return failed("container start", trial.message, trial.hint);
}

function usernsCheck({ userns, kind }: EngineTraits): Check {
  const name = "user namespaces";
  switch (userns.kind) {
    case "unique":
      return ok(name, "each sandbox has user ids of its own");
    case "engine":
      return ok(name, "the engine maps a sandbox's root to a user without rights");
    case "shared":
      return warning(
        name,
        "all sandboxes share one range of user ids, apart from the host's",
        `echo containers:2147483648:1073741824 | tee -a /etc/subuid /etc/subgid   # gives each its own; restart ccw-server`,
      );
    case "none":
      return warning(
        name,
        `root in a sandbox is the host's root, held by capabilities and filters alone (${kind} maps no ids)`,
        'Use Podman, or set "userns-remap": "default" in /etc/docker/daemon.json and restart Docker (its images are then kept apart and must be built anew).',
      );
  }
}

function limitsCheck({ mayRaiseLimits, hardOpenFiles }: Findings): Check {
  const name = "open files";
  if (hardOpenFiles < 4096) {
    return warning(
      name,
      `this process may open ${hardOpenFiles} files at most, and sandboxes get no more`,
      "Raise LimitNOFILE of the service, or `ulimit -Hn 65536` before the start.",
    );
  }
  const detail = `${hardOpenFiles} at most`;
  return mayRaiseLimits
    ? ok(name, detail)
    : ok(
        name,
        `${detail}; limits cannot be raised here (no CAP_SYS_RESOURCE), so sandboxes stay within them`,
      );
}

function gitCheck(git: Findings["git"]): Check {
  const install = "apt-get install -y git";
  switch (git.kind) {
    case "works":
      return ok("git", `${git.version}, with http-backend`);
    case "no_backend":
      return failed("git", `${git.version} has no http-backend, which serves the repositories`, install);
    case "absent":
      return failed("git", "not installed; the appliance keeps its repositories with it", install);
  }
}

function diskCheck(disk: Findings["disk"]): Check {
  if (disk.kind === "unknown") {
    return failed(
      "disk",
      `${disk.folder} cannot be used: ${disk.reason}`,
      "Choose another folder with --data DIR.",
    );
  }
  const free = `${(disk.freeBytes / 1e9).toFixed(1)} GB free in ${disk.folder}`;
  const fix = "Make room, or move the data with --data DIR.";
  if (disk.freeBytes < 1e9) return failed("disk", `${free}: too little to work with`, fix);
  return disk.freeBytes < 5e9
    ? warning("disk", `${free}: an image and a few tasks fill that`, fix)
    : ok("disk", free);
}

/** Without a registry the base image comes from Debian packages; only worth a word while the image is not there. */
function baseCheck({ engine, commands }: Findings): Check[] {
  if (commands.mmdebstrap || (engine.kind === "answers" && engine.image === "present")) return [];
  return [
    warning(
      "mmdebstrap",
      "not installed; where no image registry is in reach, the sandbox image cannot be built without it",
      "apt-get install -y mmdebstrap debian-archive-keyring",
    ),
  ];
}

const ok = (name: string, detail: string): Check => ({ name, state: "ok", detail, fix: "" });
const warning = (name: string, detail: string, fix: string): Check => ({
  name,
  state: "warning",
  detail,
  fix,
});
const failed = (name: string, detail: string, fix: string): Check => ({ name, state: "failed", detail, fix });
