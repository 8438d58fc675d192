import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import Docker from "dockerode";
import { limitsSchema, type SandboxLimits } from "../../src/domain/environment.ts";
import { newId, type SandboxId } from "../../src/domain/ids.ts";
import type { SandboxEngine, SandboxExit } from "../../src/domain/sandbox.ts";
import { connectEngine, type EngineConnection } from "../../src/sandbox/connect.ts";
import { createEngine } from "../../src/sandbox/engine.ts";
import { createImages } from "../../src/sandbox/images.ts";
import { ownPodman } from "../chaos/engines.ts";
import { pidsWith } from "../machine.ts";
import { until } from "../until.ts";
import { enginesUnderTest } from "./engines.ts";

/**
 * What holds in a sandbox, looked at from inside: each test runs a shell script in the guest's place, in the real
 * image on a real engine.
 */

const source = {
  now: () => Date.now(),
  randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
};
const log = { info() {}, warn() {}, error() {} };
const never = new AbortController().signal;

for (const { name, socket } of enginesUnderTest()) {
  describe(`on ${name}`, () => {
    let folder: string;
    let connection: EngineConnection;
    let engine: SandboxEngine;
    let door: ReturnType<typeof Bun.serve>;
    const guest = (): string => join(folder, "guest-0");
    const applianceId = `test-${process.pid}`;
    const started: SandboxId[] = [];

    beforeAll(async () => {
      folder = await mkdtemp("/tmp/ccw-sandbox-");
      await mkdir(join(folder, "door"), { mode: 0o755 });
      door = Bun.serve({
        unix: join(folder, "door", "door.sock"),
        fetch: () => new Response("the door speaks"),
      });
      await chmod(join(folder, "door", "door.sock"), 0o666);
      connection = await connectEngine({ socket, dataFolder: folder, path: process.env["PATH"] ?? "", log });
      const { docker, traits } = connection;
      engine = createEngine({ docker, traits, applianceId, guestExecutable: guest(), log });
      const images = createImages({
        docker,
        traits,
        cacheFolder: "/tmp/ccw-test-cache",
        path: process.env["PATH"] ?? "",
      });
      await images.buildImage("slim", { onProgress() {}, signal: never });
    }, 600_000);

    afterAll(async () => {
      for (const id of started) await engine.remove(id);
      await door.stop(true);
      await connection.close();
      await rm(folder, { recursive: true, force: true });
    });

    async function begin(script: string, limits: Partial<SandboxLimits> = {}): Promise<SandboxId> {
      const file = join(folder, `guest-${started.length}`);
      await writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const id = newId("SandboxId", source);
      started.push(id);
      const { docker, traits } = connection;
      await createEngine({ docker, traits, applianceId, guestExecutable: file, log }).start({
        id,
        taskId: newId("TaskId", source),
        image: await engine.resolveImage("slim"),
        limits: limitsSchema.parse(limits),
        doorFolder: join(folder, "door"),
        objectFolders: [],
      });
      return id;
    }

    /** Runs the script as the sandbox's first process; what it printed, and how it ended. */
    async function inside(
      script: string,
      limits: Partial<SandboxLimits> = {},
    ): Promise<{ output: string; exit: SandboxExit }> {
      const id = await begin(script, limits);
      const exit = await engine.wait(id, never);
      return { output: await engine.tail(id, 64 * 1024), exit };
    }

    test("there is no network but loopback, and the door is the way out", async () => {
      const { output, exit } = await inside(`
        echo "interfaces: $(ls /sys/class/net | tr '\\n' ' ')"
        echo "routes: $(ip route show table all | grep -v 'table local' | wc -l)"
        curl -s --max-time 5 http://1.1.1.1/ || echo "outside: curl $?"
        echo "door: $(curl -s --unix-socket /run/ccw/door.sock http://door/)"
        getent hosts example.com || echo "names: none"`);
      expect(output).toContain("interfaces: lo \n");
      expect(output).toContain("routes: 0\n");
      expect(output).toContain("outside: curl 7");
      expect(output).toContain("door: the door speaks");
      expect(output).toContain("names: none");
      expect(exit).toEqual({ exitCode: 0, reason: "ended with exit code 0" });
    });

    test("nothing of the host can be written, and only the door and the guest are of the host", async () => {
      // Through sed, since Podman's log puts a line that was written in pieces together in another order.
      const { output } = await inside(`{
        touch /run/ccw/x 2>&1; rm -f /run/ccw/door.sock 2>&1; mv /run/ccw/door.sock /run/ccw/y 2>&1
        echo >> /run/ccw-server; chmod 777 /run/ccw-server 2>&1
        mount -o remount,rw /run/ccw 2>&1 && echo REMOUNTED
        ls -A /run/ccw
        grep -E ' /run/' /proc/self/mountinfo | awk '{print $5, $6}'
        find / -xdev -name '*.sock' -not -path '/proc/*' 2>/dev/null
        ls /var/run/docker.sock /run/podman /run/docker.sock; } 2>&1 | sed ''`);
      expect(output).toMatch(/^touch: .*Read-only file system/m);
      expect(output).toMatch(/^rm: .*Read-only file system/m);
      expect(output).toMatch(/^mv: .*Read-only file system/m);
      expect(output).toMatch(/cannot create \/run\/ccw-server/);
      expect(output).toMatch(/^chmod: .*Read-only file system/m);
      expect(output).not.toContain("REMOUNTED");
      const mounts = output.match(/^\/run\/ccw\S* r[ow],/gm);
      expect(mounts?.sort()).toEqual(["/run/ccw ro,", "/run/ccw-server ro,"]);
      expect(output.match(/No such file/g)?.length).toBe(3);
    });

    test("privileges are gone: no devices, mounts, set-user-id, kernel interfaces (ATTACKS 63)", async () => {
      const { output } = await inside(`{
        grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
        mknod /tmp/disk b 8 0 2>/dev/null && echo BROKE mknod
        mount -t tmpfs none /mnt 2>/dev/null && echo BROKE mount
        unshare -m true 2>/dev/null && echo BROKE unshare -m
        unshare -U true 2>/dev/null && echo BROKE unshare -U
        cp /usr/bin/id /tmp/id && chmod u+s /tmp/id
        setpriv --reuid 65534 --clear-groups /tmp/id -u
        echo 1 2>/dev/null > /proc/sys/kernel/panic && echo BROKE sysctl
        echo h 2>/dev/null > /proc/sysrq-trigger && echo BROKE sysrq
        head -c1 /dev/kmsg 2>/dev/null && echo BROKE kmsg
        head -c1 /proc/kcore 2>/dev/null | grep -q . && echo BROKE kcore
        dmesg >/dev/null 2>&1 && echo BROKE dmesg
        hostname other 2>/dev/null && echo BROKE hostname
        ls /dev | grep -E '^(sd|vd|nvme|kvm|mem|fuse|loop)' && echo BROKE devices
        setpriv --reuid 65534 --clear-groups sleep 30 & sleep 0.2
        python3 -c "
import ctypes; libc=ctypes.CDLL(None,use_errno=True)
for name,call in (('ptrace',lambda:libc.ptrace(16,$!,0,0)),('bpf',lambda:libc.syscall(321,0,0,0)),
    ('keyctl',lambda:libc.syscall(250,0,-3,0)),('init_module',lambda:libc.syscall(175,0,0,0)),('kexec',lambda:libc.syscall(246,0,0,0,0)),
    ('io_uring',lambda:libc.syscall(425,1,0)),('reboot',lambda:libc.reboot(0)),('swapon',lambda:libc.swapon(b'/x',0))):
    r=call(); print('BROKE '+name if r>=0 else 'held '+name)
"
        kill $!; echo done; } 2>&1 | sed ''`);
      expect(output).toContain("done");
      expect(output).not.toContain("BROKE");
      expect(output).toContain("held ptrace");
      expect(output).toContain("held bpf");
      // A set-user-id copy of id, run by nobody, stays nobody.
      expect(output).toMatch(/^65534$/m);
      expect(output).toMatch(/NoNewPrivs:\s+1/);
      expect(output).toMatch(/Seccomp:\s+2/);
      // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SYS_CHROOT, and not one more.
      expect(output).toMatch(/CapBnd:\s+00000000000400fb\n/);
    });

    test("user ids are mapped as the engine's traits say, apart for each sandbox where that can be", async () => {
      const ids = [
        await begin("cat /proc/self/uid_map; sleep 30"),
        await begin("cat /proc/self/uid_map; sleep 30"),
      ];
      const maps = await Promise.all(ids.map((id) => untilPrinted(engine, id, /\d+ +\d+ +\d+/)));
      const first = maps.map((map) => Number(map.trim().split(/\s+/)[1]));
      switch (connection.traits.userns.kind) {
        case "unique":
          expect(first.every((start) => start >= 65_536)).toBe(true);
          expect(first[0]).not.toBe(first[1]);
          break;
        case "shared":
          expect(first).toEqual([connection.traits.userns.firstId, connection.traits.userns.firstId]);
          break;
        case "engine":
          expect(first.every((start) => start > 0)).toBe(true);
          break;
        case "none":
          expect(first).toEqual([0, 0]);
      }
      for (const id of ids) await engine.remove(id);
    });

    test("limits are in force, and running out of memory is said in words", async () => {
      const limits = { memoryBytes: 256 * 1024 ** 2, cpus: 0.5, pids: 100 };
      const { output } = await inside(
        `cd /sys/fs/cgroup
        cat memory/memory.limit_in_bytes memory.max 2>/dev/null
        cat pids/pids.max pids.max 2>/dev/null
        cat cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 cpu.max
        echo "files $(ulimit -n) core $(ulimit -c)"; df -m /run /dev/shm | awk 'NR>1{print $6, $2}'`,
        limits,
      );
      expect(output).toMatch(/^268435456\n100\n50000\n/);
      expect(output).toContain(`files ${connection.traits.ulimits.nofile} core 0\n`);
      expect(output).toContain("/run 64\n");
      expect(output).toContain("/dev/shm 256\n");

      const bomb = await inside('exec python3 -c "x=bytearray(10**9)"', limits);
      expect(bomb.exit).toEqual({ exitCode: 137, reason: "ran out of memory (limit 256 MiB)" });
    });

    test("a fork bomb stays within its sandbox", async () => {
      const { output, exit } = await inside(
        `i=0; while [ $i -lt 300 ]; do sleep 5 & i=$((i+1)); done 2>/tmp/refused
        ls -d /proc/[0-9]* | wc -l`,
        { pids: 64 },
      );
      expect(Number(output.trim().split("\n").pop() || 0)).toBeLessThanOrEqual(64);
      expect(exit.exitCode).not.toBe(-1);
    });

    test("dpkg installs a package as root", async () => {
      const { output, exit } = await inside(`
        set -e
        mkdir -p /tmp/p/DEBIAN /tmp/p/var/lib/probe /tmp/p/usr/bin; chown 101:102 /tmp/p/var/lib/probe
        printf 'Package: probe\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: probe\\n' > /tmp/p/DEBIAN/control
        printf '#!/bin/sh\\nset -e\\nadduser() { useradd --system "$1"; }\\nadduser probe\\nchown probe:probe /var/lib/probe\\nchmod 2770 /var/lib/probe\\nsu -s /bin/sh probe -c id\\n' > /tmp/p/DEBIAN/postinst
        chmod 755 /tmp/p/DEBIAN/postinst; echo 'echo works' > /tmp/p/usr/bin/probe; chmod 755 /tmp/p/usr/bin/probe
        dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null
        dpkg -i /tmp/p.deb 2>&1
        sh /usr/bin/probe; stat -c '%U %a' /var/lib/probe`);
      expect(output).toContain("works\nprobe 2770\n");
      expect(output).toMatch(/uid=\d+\(probe\)/);
      expect(exit.exitCode).toBe(0);
    });

    test("a kill from outside is reported; removal may be repeated; the list is the appliance's own", async () => {
      const id = await begin("exec sleep 60");
      await begin("exec sleep 60");
      const other = createEngine({
        docker: connection.docker,
        traits: connection.traits,
        applianceId: `${applianceId}-other`,
        guestExecutable: guest(),
        log,
      });
      expect((await engine.list()).find((status) => status.id === id)?.condition).toBe("running");
      expect(await other.list()).toEqual([]);

      const waiting = engine.wait(id, never);
      const { State: state } = await connection.docker.getContainer(`ccw-${id}`).inspect();
      process.kill(state.Pid, "SIGKILL");
      expect(await waiting).toEqual({ exitCode: 137, reason: "was killed" });
      expect((await engine.list()).find((status) => status.id === id)?.condition).toBe("stopped");

      await engine.remove(id);
      await engine.remove(id);
      expect((await engine.list()).some((status) => status.id === id)).toBe(false);
      expect((await engine.wait(id, never)).reason).toContain("is gone");
      expect(await engine.tail(id, 100)).toBe("");
    });

    test("a sandbox that is stopped keeps its files, and runs again with the same identity", async () => {
      const id = await begin(`
        trap 'echo told to stop; exit 143' TERM
        echo run >> /root/runs; echo "runs: $(wc -l < /root/runs)"; stat -c 'door: %F' /run/ccw/door.sock
        sleep 300 & wait`);
      await untilPrinted(engine, id, /runs: 1[\s\S]*door: socket/);
      const ended = engine.wait(id, never);
      await engine.stop(id);
      expect(await ended).toMatchObject({ exitCode: 143 });
      const row = async () => (await engine.list()).find((sandbox) => sandbox.id === id);
      expect(await row()).toMatchObject({ condition: "stopped" });
      await engine.stop(id);
      await engine.restart(id);
      await engine.restart(id);
      await untilPrinted(engine, id, /told to stop[\s\S]*runs: 2[\s\S]*door: socket/);
      expect(await row()).toMatchObject({ condition: "running" });
      await engine.remove(id);
      await engine.stop(id);
      await expect(engine.restart(id)).rejects.toMatchObject({ code: "not_found" });
    });

    // Docker's daemon knows no such condition.
    if (name === "podman") {
      test("a sandbox that was being stopped when the engine died is told, and is started again", async () => {
        const id = await begin("trap '' TERM; echo up; while :; do sleep 1; done");
        await untilPrinted(engine, id, /up/);
        const condition = async () => (await engine.list()).find((row) => row.id === id)?.condition;
        const ownSocket = join(folder, "own.sock");
        const service = Bun.spawn(["podman", "system", "service", "--time", "0", `unix://${ownSocket}`], {
          stdio: ["ignore", "ignore", "ignore"],
        });
        while (!existsSync(ownSocket)) await Bun.sleep(20);
        const own = new Docker({ socketPath: ownSocket });
        const stopping = own.getContainer(`ccw-${id}`).stop({ t: 60 });
        stopping.catch(() => {});
        while ((await condition()) !== "stopping") await Bun.sleep(20);
        service.kill("SIGKILL");
        await service.exited;
        expect(await condition()).toBe("stopping");
        await engine.restart(id);
        expect(await condition()).toBe("running");
        await untilPrinted(engine, id, /up[\s\S]*up/);
        expect((await engine.tail(id, 1000)).match(/up/g)?.length).toBe(2);
      });

      test("a sandbox in whose start the engine died, at whatever instant, is started again", async () => {
        const id = await begin("trap 'exit 143' TERM; sleep 600 & wait");
        const own = await ownPodman(folder);
        const met = new Set<string>();
        try {
          for (let delay = 30; delay < 150; delay += 6) {
            await engine.stop(id);
            const starting = own.engine.docker.getContainer(`ccw-${id}`).start();
            const settled = starting.then(
              () => "started",
              () => "not answered",
            );
            await Bun.sleep(delay);
            await own.kill();
            met.add(await settled);
            await own.start();
            // One half-made start is in the way of the next, and gone after it.
            await engine.restart(id).catch(() => engine.restart(id));
            expect((await engine.list()).find((row) => row.id === id)?.condition).toBe("running");
          }
        } finally {
          await own.close();
        }
        expect(met).toContain("not answered");
      });

      test("of a sandbox in the middle of whose start the engine died, its removal leaves no process", async () => {
        const id = await begin("exec sleep 600");
        const container = connection.docker.getContainer(`ccw-${id}`);
        const { Id } = await container.inspect();
        // Until its program is run, the first process has the runtime's variables.
        const halfMade = () => pidsWith(`/${Id}`, "environ");
        const own = await ownPodman(folder);
        try {
          // Podman may be quicker than it is killed.
          for (let tries = 0; halfMade().length === 0 && tries < 50; tries++) {
            await engine.stop(id);
            let isOver = false;
            const starting = own.engine.docker
              .getContainer(Id)
              .start()
              .catch(() => {})
              .finally(() => {
                isOver = true;
              });
            while (!isOver && halfMade().length === 0) await Bun.sleep(1);
            await own.kill();
            await starting;
            await Bun.sleep(500);
            await own.start();
          }
        } finally {
          await own.close();
        }
        expect(halfMade()).toHaveLength(1);
        await engine.remove(id);
        await until("it is gone", () => halfMade().length === 0);
      });
    }

    test("waiting outlasts an engine that goes away and comes back", async () => {
      const relaySocket = join(folder, "relay.sock");
      let relay = await relayTo(socket, relaySocket);
      const through = await connectEngine({ socket: relaySocket, dataFolder: folder, path: "", log });
      const watching = createEngine({
        docker: through.docker,
        traits: through.traits,
        applianceId,
        guestExecutable: guest(),
        log,
      });
      const id = await begin("exec sleep 60");
      const waiting = watching.wait(id, never);
      await Bun.sleep(200);
      relay.close();
      await Bun.sleep(1500);
      const { State: state } = await connection.docker.getContainer(`ccw-${id}`).inspect();
      relay = await relayTo(socket, relaySocket);
      process.kill(state.Pid, "SIGKILL");
      expect(await waiting).toEqual({ exitCode: 137, reason: "was killed" });
      relay.close();
    });

    test("waiting ends with its signal, and starting twice is starting once", async () => {
      const id = await begin("echo once; exec sleep 60");
      await untilPrinted(engine, id, /once/);
      const gaveUp = new AbortController();
      const waiting = engine.wait(id, gaveUp.signal).catch((thrown: unknown) => thrown);
      gaveUp.abort(new Error("no longer of interest"));
      expect(await waiting).toEqual(new Error("no longer of interest"));

      const spec = { id, taskId: newId("TaskId", source), image: await engine.resolveImage("slim") };
      await engine.start({
        ...spec,
        limits: limitsSchema.parse({}),
        doorFolder: join(folder, "door"),
        objectFolders: [],
      });
      expect((await engine.tail(id, 1000)).match(/once/g)?.length).toBe(1);
    });

    test("output beyond the log's limit is dropped, not kept on disk", async () => {
      const { output } = await inside(
        "head -c 20000000 /dev/zero | tr '\\0' 'x' | fold -w 100; echo; echo the end",
      );
      expect(output).toEndWith("the end\n");
    });

    test("an image that is missing is said to be, with the command that builds it", async () => {
      const spec = { id: newId("SandboxId", source), taskId: newId("TaskId", source) };
      const limits = limitsSchema.parse({});
      await writeFile(guest(), "#!/bin/sh\n", { mode: 0o755 });
      const missing = engine.start({
        ...spec,
        image: "localhost/ccw/slim:000000000000",
        limits,
        doorFolder: join(folder, "door"),
        objectFolders: [],
      });
      expect(missing).rejects.toMatchObject({
        code: "not_found",
        hint: expect.stringContaining("image build slim"),
      });
      await missing.catch(() => undefined);
    });
  });
}

/** A stand-in for an engine's restart: a relay before its socket, which drops every connection when it closes. */
async function relayTo(target: string, path: string): Promise<{ close(): void }> {
  await rm(path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target);
    for (const end of [near, far]) {
      open.add(end);
      end.on("error", () => end.destroy());
      end.on("close", () => open.delete(end));
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    close() {
      server.close();
      for (const end of open) end.destroy();
    },
  };
}

async function untilPrinted(engine: SandboxEngine, id: SandboxId, pattern: RegExp): Promise<string> {
  return until(`${id} prints ${pattern}`, async () => {
    const output = await engine.tail(id, 10_000);
    return pattern.test(output) && output;
  });
}
