import { expect, test } from "bun:test";
import Docker from "dockerode";
import { readTraits, ulimitsWithin } from "./traits.ts";

const limits = `Limit                     Soft Limit           Hard Limit           Units
Max processes             96350                96350                processes
Max open files            1024                 20000                files
`;

test("limits stay within the machine's hard ones, and within what a sandbox needs", () => {
  expect(ulimitsWithin(limits)).toEqual({ nofile: 20_000, nproc: 32_768 });
  expect(ulimitsWithin(limits.replaceAll("96350", "unlimited"))).toEqual({ nofile: 20_000, nproc: 32_768 });
  expect(ulimitsWithin("")).toEqual({ nofile: 65_536, nproc: 32_768 });
});

/** An engine's answers, as recorded from Podman 4.3.1, 5.4 rootless and Docker 20.10, 28 with userns-remap. */
const answers = {
  podman: {
    version: { Version: "4.3.1", Components: [{ Name: "Podman Engine", Version: "4.3.1" }] },
    info: { CgroupVersion: "1", DefaultRuntime: "runc", MemoryLimit: true, PidsLimit: true, Rootless: false },
  },
  rootless: {
    version: { Version: "5.4.2", Components: [{ Name: "Podman Engine", Version: "5.4.2" }] },
    info: { CgroupVersion: "1", DefaultRuntime: "crun", MemoryLimit: true, PidsLimit: true, Rootless: true },
  },
  docker: {
    version: { Version: "20.10.24", Components: [{ Name: "Engine", Version: "20.10.24" }] },
    info: { CgroupVersion: "2", DefaultRuntime: "runc", MemoryLimit: true, PidsLimit: true },
  },
  remapped: {
    version: { Version: "28.0.0" },
    info: {
      SecurityOptions: ["name=seccomp,profile=builtin", "name=userns"],
      MemoryLimit: true,
      PidsLimit: true,
    },
  },
};

async function traitsOf(engine: keyof typeof answers, subids: string) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => Response.json(answers[engine][request.url.endsWith("/version") ? "version" : "info"]),
  });
  try {
    const docker = new Docker({ host: "127.0.0.1", port: server.port ?? 0 });
    return await readTraits(docker, { limits, subuid: subids, subgid: subids });
  } finally {
    await server.stop(true);
  }
}

test("Podman gives each sandbox its own ids where a range is set aside, else one range for all", async () => {
  const ranges = "root:1:2\ncontainers:2147483648:1073741824\n";
  expect(await traitsOf("podman", ranges)).toMatchObject({ kind: "podman", userns: { kind: "unique" } });
  expect(await traitsOf("podman", "root:100000:65536\n")).toMatchObject({ userns: { kind: "shared" } });
});

test("a rootless engine maps by itself, and limits nothing under cgroup v1", async () => {
  expect(await traitsOf("rootless", "")).toMatchObject({ userns: { kind: "engine" }, limitsWork: false });
});

test("Docker maps only where its daemon was told to", async () => {
  expect(await traitsOf("docker", "")).toMatchObject({
    kind: "docker",
    version: "20.10.24",
    cgroupVersion: 2,
    userns: { kind: "none" },
    limitsWork: true,
  });
  expect(await traitsOf("remapped", "")).toMatchObject({ kind: "docker", userns: { kind: "engine" } });
});
