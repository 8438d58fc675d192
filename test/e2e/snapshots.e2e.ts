import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Appliance,
  bodiesOf,
  containersOf,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  taskOf,
  until,
} from "./appliance.ts";
import { startListeningModel } from "./listening-model.ts";

/** Turns of a task: the compiled executable, a real engine, the real agent CLI; the demo model, and what it was asked. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  const folders: string[] = [];
  const newFolder = () => {
    const folder = freshFolder();
    folders.push(folder);
    return folder;
  };
  const model = startListeningModel();
  let appliance: Appliance;

  beforeAll(async () => {
    const env = {
      CCW_PARALLEL: "3",
      CCW_IDLE_MINUTES: "10",
      CCW_MODEL_BASE_URL: model.url,
      CCW_MODEL_API_KEY: "any",
    };
    // The demo repository comes with the demo model.
    const dataFolder = newFolder();
    await (await startAppliance({ engine, dataFolder, env: {} })).stop();
    appliance = await startAppliance({ engine, dataFolder, env });
  });
  afterAll(async () => {
    await appliance.stop();
    await model.close();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  const ccw = async (...argv: string[]) => {
    const done = await run([executable, ...argv, "--data", appliance.dataFolder]);
    if (done.code !== 0) throw new Error(`${argv.join(" ")}: ${done.err}`);
    return done.out;
  };
  /** The one of the task's containers that runs; one that was given up goes within a minute. */
  const awake = async (taskId: string) => {
    const container = (await containersOf(engine, taskId)).find(({ State }) => State === "running");
    if (container === undefined) throw new Error("no container runs");
    return container;
  };
  /** In the task's container, where its repository is checked out. */
  const inside = async (taskId: string, script: string): Promise<string> => {
    const container = await awake(taskId);
    const exec = await engine.docker.getContainer(container.Id).exec({
      Cmd: ["sh", "-c", `cd /workspace/demo && ${script}`],
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = await exec.start({});
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(Buffer.from(chunk));
    // Frames of 8 bytes before each piece.
    let out = "";
    for (let all = Buffer.concat(chunks); all.length >= 8; ) {
      const size = all.readUInt32BE(4);
      out += all.subarray(8, 8 + size).toString();
      all = all.subarray(8 + size);
    }
    // Docker tells the end of the output first.
    const { ExitCode } = await until("the command has ended", async () => {
      const state = await exec.inspect();
      return state.Running ? false : state;
    });
    if (ExitCode !== 0) throw new Error(`exit code ${ExitCode}: ${out}`);
    return out;
  };
  /** Sends one more prompt, and waits until its turn has ended and its work is handed over. */
  const goOn = async (id: string, prompt: string) => {
    const before = (await bodiesOf(appliance, id, "finished")).length;
    await ccw("task", "prompt", id, prompt);
    await until(
      `the turn of ${prompt}`,
      async () => (await bodiesOf(appliance, id, "finished")).length > before,
    );
    await reaches(appliance, id, "idle");
  };

  test("a task is compared, taken along, rolled back and forked, turn by turn", async () => {
    const { id } = await submit(appliance, { prompt: "demo: fix-test" });
    await reaches(appliance, id, "idle");
    await inside(id, "echo one > notes.txt && head -c 300 /dev/urandom > noise.bin");
    const noise = await inside(id, "sha256sum < noise.bin");
    await goOn(id, "demo: slow 2");
    await inside(id, "echo two > notes.txt && rm noise.bin && echo '// later' >> src/basket.js");
    await goOn(id, "demo: slow 1");

    const turns = JSON.parse(await ccw("task", "turns", id, "--json"));
    expect(turns).toMatchObject([
      { turn: 1, prompt: "demo: fix-test", files: 1, kept: true },
      { turn: 2, prompt: "demo: slow 2", files: 3, previous: 1 },
      { turn: 3, prompt: "demo: slow 1", files: 4, previous: 2 },
    ]);
    expect(await ccw("task", "diff", id, "--turn", "2", "--from", "1")).toContain("+one");
    expect(await ccw("task", "diff", id, "--turn", "3", "--from", "2")).toContain("+// later");

    const checkout = join(newFolder(), "checkout");
    const url = `${appliance.url.replace("http://", `http://me:${appliance.token}@`)}/git/demo.git`;
    await run(["git", "clone", "-q", url, checkout]);
    const patch = join(newFolder(), "work.patch");
    await ccw("task", "patch", id, "--turn", "2", "-o", patch);
    expect(await run(["git", "apply", patch], { cwd: checkout })).toMatchObject({ code: 0 });
    expect((await run(["sh", "-c", "sha256sum < noise.bin"], { cwd: checkout })).out).toBe(noise);
    expect((await run(["node", "--test"], { cwd: checkout })).code).toBe(0);
    const archive = join(newFolder(), "work.tar.gz");
    await ccw("task", "files", id, "--turn", "2", "-o", archive);
    const listed = await run(["tar", "tzf", archive]);
    expect(listed.out).toMatch(/^demo-[a-z0-9]{6}-turn-2\/notes\.txt$/m);

    const before = await awake(id);
    await ccw("task", "rollback", id, "2");
    expect((await taskOf(appliance, id)).state).toBe("completed");
    model.asked.length = 0;
    await goOn(id, "demo: slow 3");
    expect((await awake(id)).Id).not.toBe(before.Id);
    expect(await inside(id, "cat notes.txt && sha256sum < noise.bin && cat slow.txt")).toBe(
      `one\n${noise}This took 3 seconds.\n`,
    );
    expect(await inside(id, "cat src/basket.js")).not.toContain("// later");
    // What the agent remembers ends with the turn that was gone back to.
    const remembered = model.asked.filter((body) => body.includes("demo: slow 3")).join();
    expect(remembered).toContain("demo: fix-test");
    expect(remembered).toContain("demo: slow 2");
    expect(remembered).not.toContain("demo: slow 1");
    expect((await bodiesOf(appliance, id, "push_refused")).length).toBe(0);
    const branch = (await taskOf(appliance, id)).repositories[0]?.workBranch ?? "";
    await run(["git", "fetch", "-q", "origin", branch], { cwd: checkout });
    const pushed = await run(["git", "show", "FETCH_HEAD:notes.txt"], { cwd: checkout });
    expect(pushed.out).toBe("one\n");

    model.asked.length = 0;
    const fork = (await ccw("task", "fork", id, "1", "demo: slow 4")).trim();
    await reaches(appliance, fork, "idle");
    const files = await inside(fork, "ls && cat slow.txt");
    expect(files).toContain("This took 4 seconds.");
    expect(files).not.toContain("notes.txt");
    const known = model.asked.filter((body) => body.includes("demo: slow 4")).join();
    expect(known).toContain("demo: fix-test");
    expect(known).not.toContain("demo: slow 2");
    expect((await taskOf(appliance, fork)).repositories[0]?.workBranch).not.toBe(branch);
    // What was mended before the fork is no work of its own.
    expect(JSON.parse(await ccw("task", "turns", fork, "--json"))).toMatchObject([
      { turn: 1, previous: 0, files: 1 },
    ]);
    const own = await ccw("task", "diff", fork, "--from", "0");
    expect(own).toContain("+This took 4 seconds.");
    expect(own).not.toContain("basket.js");
    expect(await ccw("task", "diff", fork, "--turn", "1")).toContain("basket.js");
  }, 600_000);

  test("a sandbox cannot reach another task's snapshots, nor change its own", async () => {
    const { id } = await submit(appliance, { prompt: "demo: fix-test" });
    await reaches(appliance, id, "idle");
    const door = "http://127.0.0.1:3128/git";
    const own = `${door}/snapshots.invalid/0.git`;
    const refs = await inside(id, `git ls-remote ${own} 'refs/ccw/*'`);
    const name = /refs\/ccw\/snapshots\/(\w+)/.exec(refs)?.[1] ?? "";
    expect(name).not.toBe("");
    const refused = (script: string) => inside(id, `${script} 2>&1 || true`);
    expect(await refused(`git push ${own} :refs/ccw/snapshots/${name}`)).toContain("not deleted");
    expect(await refused(`git push -f ${own} HEAD:refs/ccw/snapshots/${name}`)).toMatch(
      /not changed|up-to-date/,
    );
    expect(await refused(`git push ${own} HEAD:refs/heads/main`)).toContain("only refs/ccw/snapshots/");
    for (const place of ["snapshots.invalid/1", "snapshots.invalid/tsk_0", "snapshots.invalid/0/../1"]) {
      expect(await refused(`git ls-remote ${door}/${place}.git`)).toMatch(/not found|no such|404/i);
    }
    expect(await inside(id, `git ls-remote ${own} 'refs/ccw/*'`)).toBe(refs);
  }, 600_000);
});
