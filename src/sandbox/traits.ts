import type Docker from "dockerode";
import { z } from "zod";

/** How a sandbox's user ids stand to the host's. */
export type UserNamespace =
  /** The engine gives each sandbox a range of its own: an escaped root is nobody, to the host and to its neighbours. */
  | { kind: "unique" }
  /** All sandboxes share one range: an escaped root is nobody to the host, but the same nobody for all. */
  | { kind: "shared"; firstId: number }
  /** The engine itself lives in a user namespace (rootless, or Docker's userns-remap); nothing is asked of it. */
  | { kind: "engine" }
  /** Root in a sandbox is the host's root, held by capabilities, seccomp and mounts alone. */
  | { kind: "none" };

/** What an engine is and can do, as it says itself and as far as a container's specification depends on it. */
export interface EngineTraits {
  kind: "podman" | "docker";
  version: string;
  rootless: boolean;
  cgroupVersion: 1 | 2;
  /** The OCI runtime: `runc`, `crun`, … */
  runtime: string;
  /** Whether memory, processor and pid limits take effect. */
  limitsWork: boolean;
  userns: UserNamespace;
  /** The highest limits that a container may be given; a higher one makes the runtime refuse to start it. */
  ulimits: Ulimits;
  /** A system call filter on the engine's machine; without one, the engine's default holds. */
  seccompProfile?: string;
}

export interface Ulimits {
  nofile: number;
  nproc: number;
}

/** What is read from the machine rather than from the engine. */
export interface HostFacts {
  /** /proc/self/limits: the engine runs on the same machine under the same or wider limits. */
  limits: string;
  /** /etc/subuid and /etc/subgid; empty where there is none. */
  subuid: string;
  subgid: string;
}

/** Asks the engine. Rejects with whatever the connection throws. */
export async function readTraits(docker: Docker, host: HostFacts): Promise<EngineTraits> {
  const version = versionSchema.parse(await docker.version());
  const info = infoSchema.parse(await docker.info());
  const podman = version.Components.find((component) => component.Name === "Podman Engine");
  const kind = podman === undefined ? "docker" : "podman";
  const rootless = info.Rootless || info.SecurityOptions.some((option) => option.includes("rootless"));
  return {
    kind,
    version: podman?.Version ?? version.Version,
    rootless,
    cgroupVersion: info.CgroupVersion === "2" ? 2 : 1,
    runtime: info.DefaultRuntime,
    limitsWork: info.MemoryLimit && info.PidsLimit && !(rootless && info.CgroupVersion !== "2"),
    userns: userNamespaceOf({ kind, rootless, remapped: info.SecurityOptions.includes("name=userns") }, host),
    ulimits: ulimitsWithin(host.limits),
  };
}

/**
 * The limits for open files and processes, never above the machine's hard limits: a process without
 * CAP_SYS_RESOURCE cannot raise a limit again, and the runtime then refuses to start any container.
 */
export function ulimitsWithin(limits: string): Ulimits {
  return {
    nofile: Math.min(65_536, hardLimit(limits, "Max open files")),
    nproc: Math.min(32_768, hardLimit(limits, "Max processes")),
  };
}

function userNamespaceOf(
  engine: { kind: "podman" | "docker"; rootless: boolean; remapped: boolean },
  host: HostFacts,
): UserNamespace {
  if (engine.rootless || engine.remapped) return { kind: "engine" };
  if (engine.kind === "docker") return { kind: "none" };
  return hasAutoRange(host.subuid) && hasAutoRange(host.subgid)
    ? { kind: "unique" }
    : { kind: "shared", firstId: 2_147_483_648 };
}

/** containers-storage.conf(5): `--userns=auto` takes its ranges from the sub-ids of the user `containers`. */
function hasAutoRange(subids: string): boolean {
  return subids.split("\n").some((line) => {
    const [user, , count] = line.split(":");
    return user === "containers" && Number(count) >= 65_536 * 64;
  });
}

function hardLimit(limits: string, name: string): number {
  const line = limits.split("\n").find((candidate) => candidate.startsWith(name));
  const hard = line?.slice(name.length).trim().split(/\s+/)[1];
  const value = Number(hard);
  return Number.isInteger(value) && value > 0 ? value : Number.MAX_SAFE_INTEGER;
}

const versionSchema = z.object({
  Version: z.string(),
  Components: z.array(z.object({ Name: z.string(), Version: z.string() })).default([]),
});

const infoSchema = z.object({
  Rootless: z.boolean().default(false),
  SecurityOptions: z
    .array(z.string())
    .nullish()
    .transform((options) => options ?? []),
  CgroupVersion: z.string().default("1"),
  DefaultRuntime: z.string().default("unknown"),
  MemoryLimit: z.boolean().default(false),
  PidsLimit: z.boolean().default(false),
});
