import { describe, expect, test } from "bun:test";
import { limitsSchema } from "../domain/environment.ts";
import { newId } from "../domain/ids.ts";
import { containerSpec, idsFromLabels } from "./container-spec.ts";
import type { EngineTraits, UserNamespace } from "./traits.ts";

const source = { now: () => 1_800_000_000_000, randomBytes: (count: number) => new Uint8Array(count) };
const podman: EngineTraits = {
  kind: "podman",
  version: "5.4.2",
  rootless: false,
  cgroupVersion: 2,
  runtime: "crun",
  limitsWork: true,
  userns: { kind: "unique" },
  ulimits: { nofile: 20_000, nproc: 30_000 },
};
const docker: EngineTraits = { ...podman, kind: "docker", version: "28.0.0", userns: { kind: "none" } };
const spec = {
  id: newId("SandboxId", source),
  taskId: newId("TaskId", source),
  image: "localhost/ccw/slim:1",
  limits: limitsSchema.parse({ memoryBytes: 512 * 1024 ** 2, cpus: 1.5, pids: 200 }),
  doorFolder: "/data/doors/a",
  objectFolders: [],
};
const bodyOn = (engine: EngineTraits) => containerSpec(spec, engine, "appliance-1", "/opt/ccw-server");
const hostOn = (engine: EngineTraits) => bodyOn(engine).HostConfig ?? {};

for (const engine of [podman, docker]) {
  describe(`a sandbox on ${engine.kind}`, () => {
    const body = bodyOn(engine);
    const host = hostOn(engine);

    test("has no network", () => expect(host.NetworkMode).toBe("none"));
    test("has no capability but the listed ones", () => {
      expect(host.CapDrop).toEqual(["ALL"]);
      expect(host.CapAdd?.toSorted()).toEqual(
        ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SYS_CHROOT"].toSorted(),
      );
    });
    test("cannot gain privileges", () => {
      expect(host.SecurityOpt).toEqual(["no-new-privileges"]);
      expect(host.Privileged).toBe(false);
    });
    test("sees of the host its door and the guest, read-only, and nothing else", () => {
      expect(host.Binds).toEqual(["/data/doors/a:/run/ccw:ro", "/opt/ccw-server:/run/ccw-server:ro"]);
      expect(host.Mounts).toBeUndefined();
      expect(host.VolumesFrom).toBeUndefined();
      expect(body.Volumes).toBeUndefined();
      expect(host.Devices).toBeUndefined();
      expect(host.PidMode).toBeUndefined();
      expect(host.IpcMode).toBe("private");
    });
    test("cannot swap, and is limited in memory, processors and processes", () => {
      expect(host.Memory).toBe(512 * 1024 ** 2);
      expect(host.MemorySwap).toBe(host.Memory);
      expect(host.NanoCpus).toBe(1_500_000_000);
      expect(host.PidsLimit).toBe(200);
    });
    test("has both ulimits, within the engine's own, and writes no core files", () => {
      expect(host.Ulimits).toEqual([
        { Name: "nofile", Soft: 20_000, Hard: 20_000 },
        { Name: "nproc", Soft: 30_000, Hard: 30_000 },
        { Name: "core", Soft: 0, Hard: 0 },
      ]);
    });
    test("has bounded memory file systems and a bounded log", () => {
      expect(host.Tmpfs?.["/run"]).toContain("size=64m");
      expect(host.ShmSize).toBe(256 * 1024 ** 2);
      expect(host.LogConfig?.Config["max-size"]).toMatch(/^1m/);
    });
    test("runs the guest as its first process, as root, once", () => {
      expect(body.Entrypoint).toEqual(["/run/ccw-server"]);
      expect(body.Cmd).toEqual(["guest"]);
      expect(body.User).toBe("0:0");
      expect(host.Init).toBe(false);
      expect(host.RestartPolicy).toEqual({ Name: "no" });
      expect(body.StopSignal).toBe("SIGTERM");
    });
    test("is found again by its labels", () => {
      const labels = body.Labels ?? {};
      expect(labels["ccw.appliance"]).toBe("appliance-1");
      expect(idsFromLabels(labels)).toEqual({ id: spec.id, taskId: spec.taskId });
      expect(body.name).toBe(`ccw-${spec.id}`);
    });
    test("has nothing of the server's environment", () => {
      const names = body.Env?.map((variable) => variable.split("=")[0]);
      expect(names).toEqual(["PATH", "HOME", "LANG"]);
    });
  });
}

test("user ids are mapped in the best way that the engine has", () => {
  const modes: [UserNamespace, string | undefined][] = [
    [{ kind: "unique" }, "auto:size=65536"],
    [{ kind: "shared", firstId: 100_000 }, "auto:uidmapping=0:100000:65536,gidmapping=0:100000:65536"],
    [{ kind: "engine" }, undefined],
    [{ kind: "none" }, undefined],
  ];
  for (const [userns, mode] of modes) expect(hostOn({ ...podman, userns }).UsernsMode).toBe(mode);
});

test("a stricter system call filter is used where there is one", () => {
  const host = hostOn({ ...podman, seccompProfile: "/data/engine/seccomp.json" });
  expect(host.SecurityOpt).toEqual(["no-new-privileges", "seccomp=/data/engine/seccomp.json"]);
});

test("a path that would add mount options is refused", () => {
  for (const doorFolder of ["/data/a:/etc:rw", "relative/path", "/data/a\nb"]) {
    expect(() => containerSpec({ ...spec, doorFolder }, podman, "a", "/opt/ccw-server")).toThrow(
      "cannot mount",
    );
  }
});

test("labels that are not a sandbox's own are not taken for one", () => {
  expect(idsFromLabels({ "ccw.sandbox": "sbx_x", "ccw.task": spec.taskId })).toBeUndefined();
  expect(idsFromLabels({ "ccw.sandbox": spec.id })).toBeUndefined();
});
