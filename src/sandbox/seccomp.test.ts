import { expect, test } from "bun:test";
import { z } from "zod";
import { withoutNamespaces } from "./seccomp.ts";

const ruleSchema = z.looseObject({ names: z.array(z.string()), action: z.string() });
const profileSchema = z.looseObject({ syscalls: z.array(ruleSchema) });

const podmanLike = {
  defaultAction: "SCMP_ACT_ERRNO",
  archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: [] }],
  syscalls: [
    { names: ["read", "clone", "clone3", "unshare", "mount", "keyctl"], action: "SCMP_ACT_ALLOW" },
    { names: ["bpf"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
  ],
};

test("no rule lets a process make namespaces, mount or use keyrings any more", () => {
  const { syscalls } = profileSchema.parse(withoutNamespaces(podmanLike));
  const allowed = syscalls.filter((rule) => rule.action === "SCMP_ACT_ALLOW");
  expect(allowed.flatMap((rule) => rule.names)).toEqual(["read", "clone"]);
  // clone without flags of a namespace is how every process is made.
  expect(allowed.find((rule) => rule.names.includes("clone"))?.["args"]).toMatchObject([
    { op: "SCMP_CMP_MASKED_EQ" },
  ]);
});

test("the rest of the profile stays as it was", () => {
  expect(withoutNamespaces(podmanLike)).toMatchObject({
    archMap: podmanLike.archMap,
    defaultAction: "SCMP_ACT_ERRNO",
  });
});

test("a profile that allows by default is not taken for a filter", () => {
  expect(() => withoutNamespaces({ ...podmanLike, defaultAction: "SCMP_ACT_ALLOW" })).toThrow();
  expect(() => withoutNamespaces({})).toThrow();
});
