import { z } from "zod";

/**
 * Podman's default system call filter lets a process make user namespaces, mount in them and use the kernel's
 * keyrings, so that Podman can run in Podman. With a user namespace of its own a process has every capability over
 * new network stacks, file systems and packet filters: the part of the kernel where most ways out were found. Docker's
 * default refuses all that; this makes Podman's refuse it too.
 */
export function withoutNamespaces(profile: unknown): object {
  const { syscalls, ...rest } = profileSchema.parse(profile);
  const refused = new Set([...refusedCalls, "clone", "clone3"]);
  const kept = syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !refused.has(name)) }))
    .filter((rule) => rule.names.length > 0);
  return {
    ...rest,
    syscalls: [
      ...kept,
      { names: refusedCalls, action: "SCMP_ACT_ERRNO", errnoRet: 1 },
      // "No such call": the flags of clone3 lie in memory, where no filter sees them; the C library then takes clone.
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: namespaceFlags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
    ],
  };
}

const refusedCalls = [
  ...[
    "unshare",
    "setns",
    "pivot_root",
    "mount",
    "umount",
    "umount2",
    "mount_setattr",
    "move_mount",
    "open_tree",
  ],
  ...[
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "perf_event_open",
  ],
];

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, from linux/sched.h. */
const namespaceFlags = 0x7e020000;

const profileSchema = z.looseObject({
  defaultAction: z.enum(["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS"]),
  syscalls: z.array(z.looseObject({ names: z.array(z.string()), action: z.string() })).min(1),
});
