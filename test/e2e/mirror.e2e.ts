import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RemoteRepository } from "../../src/domain/repository.ts";
import { remoteFrom } from "../../src/forge/mirror-remote.fixture.ts";
import { createMirrors } from "../../src/forge/mirrors.ts";
import { authorization, startRemoteServer } from "../../src/forge/remote-server.fixture.ts";
import {
  bodiesOf,
  enginesUnderTest,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
} from "./appliance.ts";

/** A mirror on a disk that fills up; and sandboxes that borrow objects of repositories that the appliance holds: real containers, both engines, real git. */

const engines = enginesUnderTest();

/** Runs in the checkout, as root in the sandbox; what it prints stands in the transcript. */
const look = `
set -x
cat .git/objects/info/alternates
git count-objects -v | sed s/^/first-/
git fsck --full 2>&1 && echo FSCK IS CLEAN
git log --oneline | wc -l | sed s/^/commits-/
git gc --quiet --prune=now && git status --short --branch && echo GC IS FINE
touch /run/ccw-objects/0/mine || echo READ-ONLY
git blame -s README.md > /dev/null && echo BLAME IS FINE
`;

test("on a full disk the mirror is as it was, and goes on when there is room", async () => {
  const folder = freshFolder();
  const small = join(folder, "small");
  mkdirSync(small);
  const root = async (...argv: string[]) => {
    const { code, out, err } = await run(argv, { cwd: folder });
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${err}`);
    return out.trim();
  };
  await root("mount", "-t", "tmpfs", "-o", "size=3m", "none", small);
  const bare = join(folder, "forge/acme/widget.git");
  const forge = await startRemoteServer({
    folder: join(folder, "forge"),
    workFolder: join(folder, "server"),
  });
  try {
    const work = join(folder, "work");
    await root("git", "init", "--quiet", "--bare", "--initial-branch=main", bare);
    await root("git", "init", "--quiet", "--initial-branch=main", work);
    const commit = async (bytes: number) => {
      for (let n = 0; n * 65_536 < bytes; n++)
        writeFileSync(
          join(work, `file-${n}`),
          crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536))),
        );
      await root("git", "-C", work, "add", ".");
      const identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
      await root("git", "-C", work, ...identity, "commit", "--quiet", "--message", "More");
      await root("git", "-C", work, "push", "--quiet", bare, "HEAD:main");
      return root("git", "-C", work, "rev-parse", "HEAD");
    };
    const mirrors = createMirrors({
      folder: join(small, "mirrors"),
      remote: remoteFrom(join(small, "remote"), {
        authorizationFor: async () => authorization,
        refused() {},
      }),
      log: { info() {}, warn() {}, error() {} },
      ...{ now: Date.now, borrowed: () => [], repositories: () => [], changed() {} },
    });
    const repository: RemoteRepository = {
      ...{ kind: "remote", name: "git.example/acme/widget", forge: "work", path: "acme/widget", webUrl: "" },
      ...{ cloneUrl: `${forge.url}/acme/widget.git`, defaultBranch: "main", createdAt: 1 },
      push: { force: false, delete: false },
    };
    const { signal } = new AbortController();
    const first = await commit(1000);
    const { folder: mirror } = await mirrors.refresh(repository, signal);
    const second = await commit(5_000_000);
    const head = () => root("git", `--git-dir=${mirror}`, "rev-parse", "main");
    for (let tries = 0; tries < 3; tries++) {
      await expect(mirrors.refresh(repository, signal)).rejects.toMatchObject({ code: "no_space" });
      expect(await head()).toBe(first);
    }
    await root("git", `--git-dir=${mirror}`, "fsck", "--full");
    await root("mount", "-o", "remount,size=20m", small);
    expect((await mirrors.refresh(repository, signal)).folder).toBe(mirror);
    expect(await head()).toBe(second);
  } finally {
    await forge.close();
    await root("umount", small);
    rmSync(folder, { recursive: true, force: true });
  }
}, 600_000);

describe.each(engines.map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  test(
    "a checkout borrows the appliance's objects, and git in the sandbox works as usual",
    async () => {
      const dataFolder = freshFolder();
      const appliance = await startAppliance({ engine, dataFolder });
      try {
        const { client } = appliance;
        await client.read(client.api.repositories.$post({ json: { name: "large" } }));
        const url = `${appliance.url.replace("http://", `http://me:${appliance.token}@`)}/git/large.git`;
        const work = join(dataFolder, "work");
        mkdirSync(work);
        const git = async (...args: string[]) => {
          const identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
          const { code, err } = await run(["git", ...identity, ...args], { cwd: work });
          if (code !== 0) throw new Error(err);
        };
        await git("init", "--quiet", "--initial-branch=main");
        writeFileSync(join(work, "README.md"), "large\n");
        for (let n = 0; n < 40; n++)
          writeFileSync(join(work, `file-${n}`), crypto.getRandomValues(new Uint8Array(65_536)));
        await git("add", ".");
        await git("commit", "--quiet", "--message", "Large");
        await git("push", "--quiet", url, "main");
        await client.read(client.api.environments.$post({ json: { name: "looking", setupScript: look } }));

        const task = await submit(appliance, {
          prompt: "demo: slow 1",
          environment: "looking",
          repositories: [{ name: "large" }],
        });
        await reaches(appliance, task.id, "completed");
        const output = (await bodiesOf(appliance, task.id, "step_output")).map(({ text }) => text).join("");
        expect(output).toContain("/run/ccw-objects/0/objects");
        expect(output).toContain("first-count: 0\n");
        expect(output).toContain("first-in-pack: 0\n");
        for (const words of ["FSCK IS CLEAN", "commits-1", "GC IS FINE", "READ-ONLY", "BLAME IS FINE"])
          expect(output).toContain(`\n${words}`);
        expect(output).not.toContain("Receiving objects");
        expect(await bodiesOf(appliance, task.id, "notice")).toEqual([]);
      } finally {
        await appliance.stop();
        rmSync(dataFolder, { recursive: true, force: true });
      }
    },
    { timeout: 600_000 },
  );
});
