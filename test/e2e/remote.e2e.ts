import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { commandLines } from "../machine.ts";
import { bodiesOf, enginesUnderTest, eventsOf, reaches, run, taskOf } from "./appliance.ts";
import { noise, openRemoteWorld, type RemoteWorld } from "./remote-world.ts";

/** Work on a repository that lives on a forge, from `forge add` to the pull request: real git servers, both engines. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  let world: RemoteWorld;
  beforeAll(async () => {
    world = await openRemoteWorld(engine);
  }, 600_000);
  afterAll(async () => {
    await world?.close();
  });

  const create = async (...argv: string[]) =>
    taskOf(world.appliance, await world.ccw("task", "create", ...argv));
  const branchOf = (task: { repositories: { workBranch: string }[] }) =>
    task.repositories[0]?.workBranch ?? "";

  test("a task clones through the door, commits in the person's name and pushes its branch; its pull request is opened", async () => {
    const { github, name, ccw, gitAt } = world;
    await world.environment(
      "looking",
      [
        "echo remote $(git config remote.origin.url)",
        "echo door $(git remote get-url origin)",
        "echo missing $(git fsck --full 2>&1 | grep -c missing)",
      ].join("\n"),
    );
    const from = github.seen.length;
    const task = await create("--repo", name, "--env", "looking", "demo: fix-test");
    await reaches(world.appliance, task.id, "completed");
    const said = await world.outputOf(task.id, "setup");
    expect(said).toContain(`remote ${github.url}/acme/widget.git\n`);
    expect(said).toContain(`door http://127.0.0.1:3128/git/${name}.git\n`);
    expect(said).toContain("missing 0\n");

    const branch = branchOf(task);
    const log = await gitAt("acme/widget", "log", "-1", "--format=%an <%ae>%n%B", branch);
    expect(log).toStartWith(`${task.person} <`);
    expect(log).toContain("\nCo-authored-by: Claude <noreply@anthropic.com>\n");
    expect(log).toContain(`\nTask: ${world.appliance.url}/tasks/${task.id}`);
    expect(await gitAt("acme/widget", "diff", "--name-only", `main...${branch}`)).toBe("src/basket.js");
    expect(world.pushes(from)).toEqual([200]);

    // What the mirror had to fetch is more than a megabyte; the sandbox of the second task brings next to nothing.
    expect(world.fetchedBytes(0)).toBeGreaterThan(1_000_000);
    const before = github.seen.length;
    const second = await create("--repo", name, "demo: fix-test");
    await reaches(world.appliance, second.id, "completed");
    expect(world.fetchedBytes(before)).toBeLessThan(10_000);

    const page = await ccw("task", "pr", task.id);
    const [pull] = github.state.repositories.get("acme/widget")?.pulls ?? [];
    expect(page).toBe(`${github.url}/acme/widget/pull/${pull?.number}`);
    expect(pull).toMatchObject({ head: branch, base: "main", draft: false, state: "open" });
    expect(await ccw("task", "pr", task.id)).toBe(page);
    expect(await ccw("pr", "list")).toContain(`#${pull?.number}`);
  }, 600_000);

  test("a push to anything but the own branch, and a rewriting of that, are refused in git's own output and reach nobody", async () => {
    const { github, name, gitAt } = world;
    await world.environment(
      "pushing",
      [
        "exec 2>&1",
        "branch=$(git branch --show-current)",
        'try() { echo "--- $1"; shift; git "$@" && echo WENT THROUGH; }',
        "git commit -q --allow-empty -m one",
        "try main push origin HEAD:main",
        "git tag v1; try tag push origin v1",
        "try other push origin HEAD:refs/heads/other",
        "try delete push origin :main",
        "try two push origin HEAD:$branch HEAD:other",
        'try own push origin "HEAD:$branch"',
        "git commit -q --amend --allow-empty -m two",
        'try force push --force origin "HEAD:$branch"',
        "git fetch -q origin && git reset -q --hard origin/$branch",
        "git commit -q --allow-empty -m three",
        'try forward push origin "HEAD:$branch"',
        "true",
      ].join("\n"),
    );
    const [from, main] = [github.seen.length, await github.bare.tipOf("acme/widget", "main")];
    const task = await create("--repo", name, "--env", "pushing", "demo: slow 1");
    await reaches(world.appliance, task.id, "completed");
    const branch = branchOf(task);
    const said = await world.outputOf(task.id, "setup");
    const parts = new Map(
      said.split(/^--- /m).map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n"))]),
    );
    for (const what of ["main", "tag", "other", "delete", "two"]) {
      expect(parts.get(what)).toContain(`remote: `);
      expect(parts.get(what)).toContain(`refs/heads/${branch}`);
      expect(parts.get(what)).toContain("! [remote rejected]");
      expect(parts.get(what)).not.toContain("WENT THROUGH");
    }
    expect(parts.get("force")).toContain("remote: Push refused: this push would rewrite the branch");
    expect(parts.get("force")).not.toContain("WENT THROUGH");
    for (const what of ["own", "forward"]) expect(parts.get(what)).toContain("WENT THROUGH");

    // The third is what the agent has committed, at the end of the task.
    expect(world.pushes(from)).toEqual([200, 200, 200]);
    expect(await github.bare.tipOf("acme/widget", "main")).toBe(main);
    expect(await gitAt("acme/widget", "tag")).toBe("");
    expect((await github.bare.branches("acme/widget")).map((each) => each.name)).not.toContain("other");
    expect(await gitAt("acme/widget", "log", "--format=%s", `main..${branch}`)).toBe(
      "Take 1 seconds\nthree\none",
    );
    const refused = await bodiesOf(world.appliance, task.id, "push_refused");
    expect(refused.map(({ ref }) => ref)).toContain("refs/heads/main");
    expect(refused.map(({ ref }) => ref)).toContain("refs/tags/v1");
  }, 600_000);

  test("the real credential is nowhere in the sandbox, the log, events, answers, files, nor in anybody's arguments", async () => {
    const { github, name, secrets, appliance, ccw } = world;
    // Written so that the script itself does not fit the pattern.
    const pattern = "gh[p]_[0-9a-f]{36}|eC1hY2Nlc3MtdG9rZW46[Z]2hw";
    await world.environment(
      "searching",
      [
        `p='${pattern}'`,
        "printf 'gh%s_%036d\\n' p 0 > /tmp/decoy",
        "git fetch -q origin",
        "echo environment $( (env; cat /proc/*/environ | tr '\\0' '\\n') 2>/dev/null | grep -cE \"$p\")",
        "echo arguments $(cat /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -cE \"$p\")",
        'echo config $(git config --list --show-origin | grep -cE "$p")',
        'echo files $(grep -rlIsE "$p" /etc /home /root /run /tmp /var /workspace /opt /srv .git)',
        'echo spoken $(GIT_TRACE_CURL=1 git ls-remote origin 2>&1 | grep -cE "$p")',
      ].join("\n"),
    );
    const task = await create("--repo", name, "--env", "searching", "demo: slow 1");
    await reaches(appliance, task.id, "completed");
    const said = await world.outputOf(task.id, "setup");
    expect(said).toContain("environment 0\narguments 0\nconfig 0\nfiles /tmp/decoy\nspoken 0\n");

    // Arguments of every process of the machine, while the appliance fetches.
    await github.bare.commit("acme/widget", "main", { "slow.txt": noise(1000) });
    github.fail({
      method: "POST",
      path: /widget\.git\/git-upload-pack$/,
      times: 3,
      fault: { afterMs: 1000 },
    });
    const arguments_ = new Set<string>();
    let fetching = true;
    const synced = ccw("repo", "sync", name).finally(() => {
      fetching = false;
    });
    while (fetching) {
      for (const { line } of commandLines()) arguments_.add(line);
      await Bun.sleep(20);
    }
    await synced;
    expect([...arguments_].some((line) => /\bfetch\b/.test(line) && line.includes(github.url))).toBe(true);
    const shown = [
      ...arguments_,
      appliance.output(),
      JSON.stringify(await eventsOf(appliance, task.id)),
      await ccw("forge", "list", "--json"),
      await ccw("forge", "test", "work", "--json"),
      await ccw("repo", "list", "--json"),
      await ccw("task", "show", task.id, "--json"),
    ];
    for (const text of shown)
      for (const secret of Object.values(secrets)) expect(text.includes(secret)).toBe(false);
    for (const secret of Object.values(secrets)) {
      const found = await run(["grep", "-rlaF", "-e", secret, appliance.dataFolder]);
      expect([found.code, found.out]).toEqual([1, ""]);
    }
  }, 600_000);

  test("what is new on the forge is there after `repo sync`, and borrowed by the next task", async () => {
    const { github, name, ccw, appliance } = world;
    const tip = await github.bare.commit("acme/widget", "main", { "news.txt": noise(60_000) });
    await ccw("repo", "sync", name);
    const mirrors = join(appliance.dataFolder, "mirrors");
    const tips = await Promise.all(
      readdirSync(mirrors, { recursive: true, encoding: "utf8" })
        .filter((path) => /^[^/]+\/[^/]+\.git$/.test(path))
        .map((path) => run(["git", `--git-dir=${join(mirrors, path)}`, "rev-parse", "main"])),
    );
    expect(tips.map(({ out }) => out.trim())).toContain(tip);
    const from = github.seen.length;
    const task = await create("--repo", name, "demo: slow 1");
    await reaches(appliance, task.id, "completed");
    expect(world.fetchedBytes(from)).toBeLessThan(10_000);
  }, 600_000);

  test("a submodule that the task may reach is fetched; another stays empty and is named", async () => {
    const { github, name, ccw, appliance } = world;
    for (const path of ["acme/lib", "acme/secret"])
      await github.addRepository(path, { people: { ada: "write" } });
    const lib = await ccw("repo", "add", "acme/lib", "--forge", "work");
    const at = (path: string) => github.bare.tipOf(path, "main");
    const modules = ["lib", "secret"].map(
      (each) => `[submodule "${each}"]\n\tpath = ${each}\n\turl = ../${each}.git\n`,
    );
    await github.bare.commit("acme/widget", "with-lib", { ".gitmodules": modules.join("") });
    // A commit with links is made with plumbing: `M 160000` is no file.
    const { gitAt } = world;
    const index = { GIT_INDEX_FILE: join(github.bare.folder, "index") };
    const git = async (...argv: string[]) => {
      const { code, out, err } = await run(
        ["git", `--git-dir=${github.bare.pathOf("acme/widget")}`, ...argv],
        {
          env: {
            ...index,
            GIT_AUTHOR_NAME: "A",
            GIT_AUTHOR_EMAIL: "a@b",
            GIT_COMMITTER_NAME: "A",
            GIT_COMMITTER_EMAIL: "a@b",
          },
        },
      );
      if (code !== 0) throw new Error(err);
      return out.trim();
    };
    await git("read-tree", "with-lib");
    await git("update-index", "--add", "--cacheinfo", `160000,${await at("acme/lib")},lib`);
    await git("update-index", "--add", "--cacheinfo", `160000,${await at("acme/secret")},secret`);
    const commit = await git("commit-tree", "-p", "with-lib", "-m", "Links", await git("write-tree"));
    await gitAt("acme/widget", "update-ref", "refs/heads/with-lib", commit);

    await world.environment(
      "modules",
      "cat lib/README.md; ls secret | wc -l; git -C lib config remote.origin.url",
    );
    const task = await create(
      "--repo",
      `${name}@with-lib`,
      "--repo",
      lib,
      "--env",
      "modules",
      "demo: slow 1",
    );
    await reaches(appliance, task.id, "completed");
    expect(await world.outputOf(task.id, "setup")).toContain(`# acme/lib\n0\n${github.url}/acme/lib.git\n`);
    const notices = (await bodiesOf(appliance, task.id, "notice")).map(({ text }) => text).join("\n");
    expect(notices).toContain("secret");
    expect(notices).not.toContain("failed");
  }, 600_000);

  test("a plain git server: its HEAD names the default branch, and a person merges on the appliance", async () => {
    const { github, appliance, ccw, gitAt } = world;
    const path = "plain/widget";
    await github.addRepository(path, { people: { ada: "write" } });
    await gitAt(path, "branch", "-m", "main", "trunk");
    const file = join(appliance.dataFolder, "..", "token");
    await Bun.write(file, world.secrets.token);
    await ccw("forge", "add", "plain", github.url, "--kind", "git", "--user", "ada", "--token-file", file);
    const name = await ccw("repo", "add", path, "--forge", "plain");
    expect(await ccw("repo", "list")).toMatch(/plain\/widget +remote +plain +trunk/);

    const task = await create("--repo", name, "demo: slow 1");
    await reaches(appliance, task.id, "completed");
    const number = await ccw("task", "pr", task.id);
    expect(number).toBe(`${name}#1`);
    const moved = await github.bare.commit(path, "trunk", { "other.txt": "meanwhile\n" });
    await ccw("pr", "merge", number);
    const [merged, ...parents] = (await gitAt(path, "log", "-1", "--format=%s|%P", "trunk"))
      .split(/[| ]/)
      .reverse();
    expect([merged, parents[0]]).toEqual([await github.bare.tipOf(path, branchOf(task)), moved]);
    expect(await ccw("pr", "list", "--task", task.id)).toContain("merged");
  }, 600_000);
});
