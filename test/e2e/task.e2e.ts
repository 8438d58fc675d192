import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Appliance,
  bodiesOf,
  containersOf,
  enginesUnderTest,
  eventsOf,
  executable,
  freshFolder,
  isObject,
  reaches,
  run,
  sleeps,
  startAppliance,
  submit,
  taskOf,
  until,
} from "./appliance.ts";
import { containerOf, killContainer, say } from "./turns.ts";

/** A task runs, end to end: the compiled executable, a real engine, real git, the real agent CLI, the demo model. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  const folders: string[] = [];
  const newFolder = () => {
    const folder = freshFolder();
    folders.push(folder);
    return folder;
  };
  let appliance: Appliance;

  beforeAll(async () => {
    appliance = await startAppliance({ engine, dataFolder: newFolder(), env: { CCW_PARALLEL: "3" } });
  });
  afterAll(async () => {
    await appliance.stop();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  const clone = async (branch: string): Promise<string> => {
    const folder = join(newFolder(), "clone");
    const url = `${appliance.url.replace("http://", `http://me:${appliance.token}@`)}/git/demo.git`;
    const { code, err } = await run(["git", "clone", "-q", "--branch", branch, url, folder]);
    if (code !== 0) throw new Error(err);
    return folder;
  };
  const workBranch = (task: { repositories: { workBranch: string }[] }) =>
    task.repositories[0]?.workBranch ?? "";

  test("the failing test of the demo repository is fixed on the task's own branch", async () => {
    const task = await submit(appliance, { prompt: "demo: fix-test" });
    expect(workBranch(task)).toMatch(/^claude\/demo-fix-test-[a-z0-9]{6}$/);
    const done = await reaches(appliance, task.id, "completed");
    expect(done.inputTokens).toBeGreaterThan(0);
    expect(done.outputTokens).toBeGreaterThan(0);

    const before = await clone("main");
    expect((await run(["node", "--test"], { cwd: before })).code).not.toBe(0);
    const after = await clone(workBranch(task));
    expect((await run(["node", "--test"], { cwd: after })).code).toBe(0);
    const [diff] = await appliance.client.read(
      appliance.client.api.tasks[":id"].diff.$get({ param: { id: task.id } }),
    );
    expect(diff?.diff).toContain("+++ b/src/basket.js");

    const used = (await bodiesOf(appliance, task.id, "tool_use")).map(({ name }) => name);
    expect(used).toContain("Bash");
    expect(used).toContain("Edit");
    await sleeps(engine, task.id);
  });

  test("a person's own repository: added, pushed, worked on and fetched from a terminal", async () => {
    const ccw = (...argv: string[]) => run([executable, ...argv, "--data", appliance.dataFolder]);
    const name = `shop-${engine.name}`;
    expect(await ccw("repo", "add", name)).toMatchObject({ code: 0 });
    expect(await ccw("task", "create", "--repo", name, "too early")).toMatchObject({
      code: 2,
      err: expect.stringContaining("has no commits yet"),
    });

    const folder = newFolder();
    const url = `${appliance.url.replace("http://", `http://me:${appliance.token}@`)}/git/${name}.git`;
    const git = async (...argv: string[]) => {
      const { code, out, err } = await run(["git", "-C", folder, ...argv]);
      if (code !== 0) throw new Error(err);
      return out.trim();
    };
    await git("init", "-q", "-b", "main");
    await Bun.write(join(folder, "notes.txt"), "buy milk\n");
    await git("add", ".");
    await git("-c", "user.name=ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", "First");
    await git("push", "-q", url, "main");

    const made = await ccw("task", "create", "--repo", name, "demo: ask");
    const id = made.out.trim();
    const following = ccw("task", "follow", id);
    await reaches(appliance, id, "waiting");
    expect(await ccw("task", "answer", id, "1")).toMatchObject({ code: 0 });
    const followed = await following;
    expect(followed.code).toBe(0);
    expect(followed.out).toContain("= Idle: The work in");

    const task = await taskOf(appliance, id);
    await git("fetch", "-q", url, workBranch(task));
    expect(await git("log", "--format=%an", "-1", "FETCH_HEAD")).toBe(task.person);
    expect(await git("diff", "--name-only", "main", "FETCH_HEAD")).toBe("answer.txt");
    expect((await ccw("task", "diff", id)).out).toContain("+++ b/answer.txt");
    expect((await ccw("task", "show", "tsk_00000000000000000000")).code).toBe(3);
  });

  test("a question of the agent waits for a person, and the answer is acted on", async () => {
    const task = await submit(appliance, { prompt: "demo: ask" });
    await reaches(appliance, task.id, "waiting");
    const { questions } = await appliance.client.read(
      appliance.client.api.tasks[":id"].$get({ param: { id: task.id } }),
    );
    const question = questions[0];
    if (question === undefined || !isObject(question.input)) throw new Error("no question");
    expect(question.tool).toBe("AskUserQuestion");
    const [first] = question.input["questions"] as { question: string; options: { label: string }[] }[];
    const choice = first?.options[1]?.label ?? "";
    await appliance.client.read(
      appliance.client.api.tasks[":id"].answers.$post({
        param: { id: task.id },
        json: {
          requestId: question.requestId,
          answer: { kind: "answers", answers: { [first?.question ?? ""]: choice } },
        },
      }),
    );
    await reaches(appliance, task.id, "completed");
    const folder = await clone(workBranch(task));
    expect((await run(["git", "grep", "-F", choice], { cwd: folder })).code).toBe(0);
  });

  test("a model that refuses fails the task in its own words", async () => {
    const task = await submit(appliance, { prompt: "demo: fail" });
    const failed = await reaches(appliance, task.id, "failed");
    expect(failed.detail).toContain("The agent stopped with an error");
    expect(failed.detail).toContain("400");
  });

  test("a push to another branch is refused in git's own output", async () => {
    const task = await submit(appliance, { prompt: "demo: push-main" });
    await reaches(appliance, task.id, "completed");
    const results = (await bodiesOf(appliance, task.id, "tool_result")).map(({ text }) => text).join("\n");
    expect(results).toMatch(/remote: .*refs\/heads\/main/);
    expect(results).toContain(workBranch(task));
    expect(await bodiesOf(appliance, task.id, "push_refused")).toMatchObject([
      { repository: "demo", ref: "refs/heads/main" },
    ]);
    const main = await clone("main");
    expect((await run(["git", "rev-list", "--count", "HEAD"], { cwd: main })).out.trim()).toBe("1");
  });

  test("more prompts are taken one a turn, with the conversation as it was", async () => {
    const task = await submit(appliance, { prompt: "demo: slow 10" });
    await reaches(appliance, task.id, "running");
    await say(appliance, task.id, "demo: fix-test");
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toHaveLength(2);
    const { prompts } = await appliance.client.read(
      appliance.client.api.tasks[":id"].$get({ param: { id: task.id } }),
    );
    expect(prompts.map(({ state }) => state)).toEqual(["taken", "taken"]);
  });

  test("inside there is loopback, the door and nothing else", async () => {
    const probes = [
      "echo interfaces: $(ls /sys/class/net | tr '\\n' ' ')",
      "echo routes: $(tail -n +2 /proc/net/route | wc -l)",
      "echo me: $(id -u)",
      "grep -E '^(NoNewPrivs|CapEff)' /proc/self/status",
      "echo engine sockets: $(ls /var/run/docker.sock /run/podman/podman.sock 2>/dev/null | wc -l)",
      "echo mounts: $(grep -c ccw /proc/self/mounts) writable: $(grep ' /run/ccw' /proc/self/mounts | grep -vcE ' ro[, ]')",
      "for u in http://example.com https://example.com; do curl -s -o /dev/null -w '%{http_code} %{http_connect}\\n' -m 60 $u; done; true",
      "curl -s -m 5 --noproxy '*' http://example.com; echo direct: $?",
      "curl -s -m 5 --proxy '' http://127.0.0.1:3128/git/other.git/info/refs?service=git-upload-pack; echo",
    ];
    const { client } = appliance;
    await client.read(
      client.api.environments.$post({
        json: {
          name: `probe-${engine.name}`,
          setupScript: probes.join("\n"),
          variables: { GREETING: "hello there" },
        },
      }),
    );
    const task = await submit(appliance, {
      prompt: "demo: look around",
      environment: `probe-${engine.name}`,
    });
    await reaches(appliance, task.id, "completed");
    const said = (await bodiesOf(appliance, task.id, "step_output"))
      .filter(({ step }) => step === "setup")
      .map(({ text }) => text)
      .join("");
    expect(said).toContain("interfaces: lo\n");
    expect(said).toContain("routes: 0\n");
    expect(said).toContain("me: 0\n");
    expect(said).toContain("NoNewPrivs:\t1");
    expect(said).toContain("engine sockets: 0");
    expect(said).toContain("writable: 0");
    expect(said).toContain("403 000\n000 403\n");
    expect(said).toMatch(/direct: [67]\n/);
    const capabilities = BigInt(`0x${said.match(/CapEff:\s+([0-9a-f]+)/)?.[1] ?? "ffffffffffffffff"}`);
    const sysAdmin = 21n;
    const netAdmin = 12n;
    const mknod = 27n;
    for (const bit of [sysAdmin, netAdmin, mknod]) expect((capabilities >> bit) & 1n).toBe(0n);
    const refused = (await bodiesOf(appliance, task.id, "egress_refused")).map(({ target }) => target);
    expect(refused).toContain("example.com:80");
    expect(refused).toContain("example.com:443");
  });

  test("a set-up script that fails ends its task with the script's own words", async () => {
    const { client } = appliance;
    await client.read(
      client.api.environments.$post({
        json: { name: `bad-${engine.name}`, setupScript: "echo the reason >&2\nexit 3" },
      }),
    );
    const task = await submit(appliance, { prompt: "x", environment: `bad-${engine.name}` });
    const failed = await reaches(appliance, task.id, "failed");
    expect(failed.detail).toContain("3");
    expect(JSON.stringify(await bodiesOf(appliance, task.id, "step_output"))).toContain("the reason");
  });

  test("a sandbox that is killed in mid-turn is started again, and the agent goes on with the same turn", async () => {
    const task = await submit(appliance, { prompt: "demo: slow 10" });
    await reaches(appliance, task.id, "running");
    await until(
      "the turn has begun",
      async () => (await bodiesOf(appliance, task.id, "turn_started")).length > 0,
    );
    const container = await containerOf(engine, task.id);
    await killContainer(engine, task.id);
    await reaches(appliance, task.id, "completed");
    const notices = await bodiesOf(appliance, task.id, "appliance_notice");
    expect(notices[0]?.text).toContain("The sandbox ended in the middle of the work");
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toMatchObject([{ outcome: "done" }]);
    expect((await containersOf(engine, task.id)).map(({ Id }) => Id)).toEqual([container]);
    await sleeps(engine, task.id);
  });

  test("a cancelled task sleeps", async () => {
    const task = await submit(appliance, { prompt: "demo: slow 60" });
    await reaches(appliance, task.id, "running");
    await appliance.client.read(appliance.client.api.tasks[":id"].cancel.$post({ param: { id: task.id } }));
    await reaches(appliance, task.id, "cancelled");
    await sleeps(engine, task.id);
  });

  test("kill -9 of the server in mid-task: the agent goes on, and the transcript has no hole and no double", async () => {
    const dataFolder = newFolder();
    let server = await startAppliance({ engine, dataFolder });
    const task = await submit(server, { prompt: "demo: many-tools 200" });
    const toolsSoFar = async () => (await bodiesOf(server, task.id, "tool_result")).length;
    await until("the agent works", async () => (await toolsSoFar()) > 10);
    for (let round = 0; round < 3; round++) {
      await server.killHard();
      // While nobody serves, the model is away too; the agent tries again by itself.
      await Bun.sleep(500);
      server = await startAppliance({ engine, dataFolder });
      const before = await toolsSoFar();
      await until(
        "the agent goes on",
        async () =>
          (await toolsSoFar()) > before + 5 || (await taskOf(server, task.id)).state === "completed",
      );
    }
    await reaches(server, task.id, "completed");
    const events = await eventsOf(server, task.id);
    const uses = events.flatMap(({ body }) => (body.kind === "tool_use" ? [body.toolUseId] : []));
    const results = events.flatMap(({ body }) => (body.kind === "tool_result" ? [body.toolUseId] : []));
    expect(uses).toHaveLength(200);
    expect(new Set(uses).size).toBe(200);
    expect(results).toEqual(uses);
    expect(events.filter(({ body }) => body.kind === "sandbox_started")).toHaveLength(1);
    expect(events.filter(({ body }) => body.kind === "turn_ended")).toHaveLength(1);
    await sleeps(engine, task.id);
    await server.stop();
  }, 600_000);

  test("a server that is stopped and started finds its tasks, queue and sandboxes as they were", async () => {
    const dataFolder = newFolder();
    const first = await startAppliance({ engine, dataFolder, env: { CCW_PARALLEL: "1" } });
    const running = await submit(first, { prompt: "demo: slow 12" });
    const waiting = await submit(first, { prompt: "demo: fix-test" });
    await reaches(first, running.id, "running");
    expect((await taskOf(first, waiting.id)).queuePosition).toBe(1);
    expect(await first.stop()).toBe(0);
    expect(await containersOf(engine, running.id)).toHaveLength(1);
    const second = await startAppliance({ engine, dataFolder, env: { CCW_PARALLEL: "1" } });
    await reaches(second, running.id, "completed");
    await reaches(second, waiting.id, "completed");
    await second.stop();
  }, 600_000);
});
