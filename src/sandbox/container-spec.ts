import { dirname } from "node:path";
import type Docker from "dockerode";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import { isId } from "../domain/ids.ts";
import type { SandboxSpec } from "../domain/sandbox.ts";
import { doorSocketInSandbox, guestInSandbox, objectsInSandbox } from "../domain/session.ts";
import type { EngineTraits, UserNamespace } from "./traits.ts";

export const sandboxLabels = {
  appliance: "ccw.appliance",
  sandbox: "ccw.sandbox",
  task: "ccw.task",
} as const;

/**
 * Root in a sandbox keeps what `apt-get install` and `dpkg` need, and nothing more. Every one of them works on
 * the sandbox's own files and processes only.
 */
const capabilities = [
  "CHOWN", // dpkg gives unpacked files to their owners
  "DAC_OVERRIDE", // root reads and writes files of service users, as maintainer scripts expect
  "FOWNER", // chmod and utime on files of other users, by dpkg and tar
  "FSETID", // keeps the setgid bit when a file's owner changes, as dpkg's directories need
  "SETUID", // apt fetches as the user `_apt`; initdb and the like refuse to run as root
  "SETGID",
  "KILL", // the guest ends and reaps processes of other users
  "SYS_CHROOT", // some maintainer scripts and test suites call chroot
];

export const containerNameOf = (id: SandboxId): string => `ccw-${id}`;

/**
 * A sandbox as the Docker API (1.41) wants it. `guestExecutable` is the path of a static or self-contained
 * executable on the engine's machine. Everything that keeps a sandbox in is decided here.
 */
export function containerSpec(
  spec: SandboxSpec,
  engine: EngineTraits,
  applianceId: string,
  guestExecutable: string,
): Docker.ContainerCreateOptions {
  return {
    name: containerNameOf(spec.id),
    Image: spec.image,
    Entrypoint: [guestInSandbox],
    Cmd: ["guest"],
    Hostname: "sandbox",
    User: "0:0",
    WorkingDir: "/root",
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"],
    Labels: {
      [sandboxLabels.appliance]: applianceId,
      [sandboxLabels.sandbox]: spec.id,
      [sandboxLabels.task]: spec.taskId,
    },
    StopSignal: "SIGTERM",
    Tty: false,
    OpenStdin: false,
    // A health check of the image's own would run commands that nobody asked for. Podman has systemd run them, and
    // complains where there is none even if there is nothing to run.
    ...(engine.kind === "docker" ? { Healthcheck: { Test: ["NONE"] } } : {}),
    HostConfig: {
      NetworkMode: "none",
      CapDrop: ["ALL"],
      CapAdd: capabilities,
      // Masked paths stay the engine's own, and so does the filter unless a stricter one was made of it.
      SecurityOpt: [
        "no-new-privileges",
        ...(engine.seccompProfile === undefined ? [] : [`seccomp=${engine.seccompProfile}`]),
      ],
      Privileged: false,
      ...usernsMode(engine.userns),
      IpcMode: "private",
      // Equal values leave no swap: a limit that swaps is a limit that stalls the machine.
      Memory: spec.limits.memoryBytes,
      MemorySwap: spec.limits.memoryBytes,
      NanoCpus: Math.round(spec.limits.cpus * 1e9),
      PidsLimit: spec.limits.pids,
      // The first two always together: a single one replaces the engine's own default for the other. No core files,
      // which would be written where the host's kernel is told to.
      Ulimits: [
        ulimit("nofile", engine.ulimits.nofile),
        ulimit("nproc", engine.ulimits.nproc),
        ulimit("core", 0),
      ],
      // The only things of the host inside, all read-only. connect() on a socket needs write permission on
      // its inode, which a read-only mount does not take away.
      Binds: [
        `${bindable(spec.doorFolder)}:${dirname(doorSocketInSandbox)}:ro`,
        `${bindable(guestExecutable)}:${guestInSandbox}:ro`,
        ...spec.objectFolders.map((folder, index) => `${bindable(folder)}:${objectsInSandbox(index)}:ro`),
      ],
      // Memory-backed files count against the memory limit; the sizes keep one of them from taking it all.
      Tmpfs: { "/run": "rw,nosuid,nodev,noexec,mode=755,size=64m" },
      ShmSize: 256 * 1024 * 1024,
      // What the guest prints must not fill the disk of the host.
      LogConfig:
        engine.kind === "podman"
          ? { Type: "k8s-file", Config: { "max-size": "1mb" } }
          : { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
      Init: false, // the guest is the first process, and reaps
    },
  };
}

/** The ids that a container's labels name; undefined for labels that no sandbox of ours carries. */
export function idsFromLabels(labels: Record<string, string>): { id: SandboxId; taskId: TaskId } | undefined {
  const id = labels[sandboxLabels.sandbox] ?? "";
  const taskId = labels[sandboxLabels.task] ?? "";
  return isId("SandboxId", id) && isId("TaskId", taskId) ? { id, taskId } : undefined;
}

function usernsMode(userns: UserNamespace): { UsernsMode?: string } {
  switch (userns.kind) {
    case "unique":
      return { UsernsMode: "auto:size=65536" };
    case "shared": {
      const mapping = `0:${userns.firstId}:65536`;
      return { UsernsMode: `auto:uidmapping=${mapping},gidmapping=${mapping}` };
    }
    case "engine":
    case "none":
      return {};
  }
}

function ulimit(Name: string, value: number): { Name: string; Soft: number; Hard: number } {
  return { Name, Soft: value, Hard: value };
}

/** A colon would end the path within a bind and turn the rest into options. */
function bindable(path: string): string {
  if (!path.startsWith("/") || /[:\n\0]/.test(path)) {
    throw new Error(`cannot mount ${JSON.stringify(path)}: it is not an absolute path without colons`);
  }
  return path;
}
