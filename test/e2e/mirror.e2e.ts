import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  bodiesOf,
  enginesUnderTest,
  freshFolder,
  reaches,
  removeLeftOvers,
  run,
  startAppliance,
  submit,
} from "./appliance.ts";

/** Sandboxes borrow objects of repositories that the appliance holds: real containers, both engines, real git. */

const engines = enginesUnderTest();
afterAll(async () => {
  for (const engine of engines) await removeLeftOvers(engine);
});

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
    { timeout: 180_000 },
  );
});
